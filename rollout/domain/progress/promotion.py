"""The end of an update: the wanted revision becomes stable."""

import msgspec

from rollout.api.rollout import RolloutDuration, RolloutStatus
from rollout.domain.clock import rfc3339
from rollout.domain.decision import Decision, Event
from rollout.domain.progress.settled import routed_to
from rollout.domain.progress.standing import (
    first_deployment,
    fully_promoted,
    new_replica_set,
    target_weight_percent,
    within_rollback_window,
)
from rollout.domain.world import World


def promote(world: World, status: RolloutStatus, now: float) -> Decision[RolloutStatus]:
    """Make the wanted revision stable once all its pods are available and all traffic goes to it."""
    new = new_replica_set(world, status)
    if new is None or (fully_promoted(status) and not status.promote_full):
        return Decision(status)
    if fully_promoted(status):
        return Decision(msgspec.structs.replace(status, promote_full=False))
    first = first_deployment(world, status)
    if min(new.available, new.replicas) < world.replicas:
        return Decision(status)
    if world.routed and not first and not routed_to(world, target_weight_percent(world, status)):
        return Decision(status)
    reason = "Initial deploy" if first else _reason(world, status)
    event = Event(
        "Normal",
        "RolloutCompleted",
        f"Rollout completed update to revision {new.revision} ({new.pod_hash}): {reason}",
    )
    return Decision(_promoted(world, status, first=first, now=now), events=(event,))


def _promoted(world: World, status: RolloutStatus, *, first: bool, now: float) -> RolloutStatus:
    duration = msgspec.structs.replace(
        status.duration,
        finished_at=rfc3339(now),
        completion_status="FastPromoted" if status.promote_full else "Promoted",
    )
    return msgspec.structs.replace(
        status,
        stable_rs=status.current_pod_hash,
        current_step_index=len(world.canary.steps) if world.canary.steps else None,
        promote_full=False,
        pause_conditions=(),
        controller_pause=False,
        duration=RolloutDuration() if first else duration,
    )


def _reason(world: World, status: RolloutStatus) -> str:
    if status.promote_full:
        return "Full promotion requested"
    if within_rollback_window(world, status):
        return "Rollback within window"
    return f"Completed all {len(world.canary.steps)} canary steps"
