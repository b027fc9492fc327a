"""Which news may wait for more: numbers of pods that change again in a moment."""

import msgspec

from rollout.api.meta import Condition
from rollout.api.rollout import RolloutStatus
from rollout.domain.decision import Decision
from rollout.domain.world import World

COUNTS_WAIT_SECONDS = 1.0
"""Pods come, get ready and go within moments of each other: one write may tell of them all."""

SCALING = "ScalingReplicaSet"
"""Reason of the event that tells of a new size."""

_OF_COUNTS = frozenset({"Available", "Progressing"})


def counts_wait(world: World, decision: Decision[RolloutStatus], until: float) -> bool:
    """Whether a status may be published later, at `until`: it only counts pods anew, and nothing depends on it.

    Phase, step, weights of a router, pauses, an abort, a verdict, what any condition says and the generation are told
    at once; so is all of an update that was given up, since its Application waits for the pods to be gone. Without a
    router the weights are the pods, counted in another way. A turn that is due before `until` may be the deadline of
    progress, and must not miss the progress that was made.

    Args:
        world: with the status as it is published.
        decision: of the turn.
        until: epoch seconds.
    """
    known, new = world.rollout.status, decision.status
    if new.abort or known == new or any(event.reason != SCALING for event in decision.events):
        return False
    if decision.wake_at is not None and decision.wake_at <= until:
        return False
    return _without_counts(known, routed=world.routed) == _without_counts(new, routed=world.routed)


def _without_counts(status: RolloutStatus, *, routed: bool) -> RolloutStatus:
    canary = status.canary if routed else msgspec.structs.replace(status.canary, weights=None)
    return msgspec.structs.replace(
        status,
        replicas=0,
        hpa_replicas=0,
        updated_replicas=0,
        ready_replicas=0,
        available_replicas=0,
        message="" if status.phase == "Progressing" else status.message,
        conditions=tuple(map(_said, status.conditions)),
        canary=canary,
    )


def _said(condition: Condition) -> Condition:
    """What a condition says; of those that count pods without their words, and without when a count moved them."""
    if condition.type not in _OF_COUNTS:
        return condition
    return msgspec.structs.replace(condition, message="", last_update_time="")
