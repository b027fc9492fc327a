"""An abort puts the update back to its start: weight 0, no pause, no promotion."""

import msgspec

from rollout.api.rollout import RolloutStatus
from rollout.domain.clock import rfc3339
from rollout.domain.decision import Decision, Event
from rollout.domain.progress.standing import first_deployment, fully_promoted
from rollout.domain.world import World


def settle(world: World, status: RolloutStatus, now: float) -> Decision[RolloutStatus]:
    """Settle an abort, or start afresh when a user has taken it back (retry)."""
    if not status.abort:
        return _retry(status, now) if status.aborted_at else Decision(status)
    if fully_promoted(status) or first_deployment(world, status):
        # Nothing is left to go back to, so the wish is dropped instead of repeated at each turn (Argo Rollouts #2982).
        return Decision(msgspec.structs.replace(status, abort=False, aborted_at=None))
    events = () if status.aborted_at else (Event("Warning", "RolloutAborted", "A user aborted the update"),)
    settled = msgspec.structs.replace(
        status,
        aborted_at=status.aborted_at or rfc3339(now),
        promote_full=False,
        pause_conditions=(),
        controller_pause=False,
        current_step_index=0 if world.canary.steps else None,
    )
    return Decision(settled, events=events)


def _retry(status: RolloutStatus, now: float) -> Decision[RolloutStatus]:
    """The update begins again at its first step, under a new AnalysisRun with a new budget."""
    fresh = msgspec.structs.replace(
        status,
        aborted_at=None,
        current_step_index=0,
        current_step_started_at=rfc3339(now),
        canary=msgspec.structs.replace(status.canary, current_background_analysis_run_status=None),
        duration=msgspec.structs.replace(status.duration, rollout_started_at=rfc3339(now), finished_at=None),
    )
    return Decision(fresh, events=(Event("Normal", "RolloutRetried", "The update begins again"),), halted=True)
