"""The progress deadline: an update that does not move for too long is stuck, or aborted if the user wants that."""

import msgspec

from rollout.api.rollout import RolloutStatus
from rollout.domain.clock import epoch, rfc3339
from rollout.domain.conditions import find
from rollout.domain.decision import Decision, Event
from rollout.domain.progress.standing import current_step, fully_promoted, updating
from rollout.domain.world import World

EXCEEDED = "ProgressDeadlineExceeded"
PROGRESS_DEADLINE_SECONDS = 600


def exceeded_at(world: World, status: RolloutStatus) -> float | None:
    """When the deadline passes; None while it does not count: paused, proving, aborted, or nothing left to do.

    An update that was told to be stuck stays stuck until it moves: telling it is no progress.
    """
    if not _counts(world, status):
        return None
    if _was_told(status):
        return last_progress(status)
    return last_progress(status) + _seconds(world)


def abort_deadline_seconds(world: World) -> int | None:
    """Return how long the canary's pods may take to be ready, at least a second; None where it is only said."""
    return max(_seconds(world), 1) if world.rollout.spec.progress_deadline_abort else None


def _seconds(world: World) -> int:
    asked = world.rollout.spec.progress_deadline_seconds
    return PROGRESS_DEADLINE_SECONDS if asked is None else asked


def exceeded(world: World, status: RolloutStatus, now: float) -> bool:
    """Whether the update is stuck."""
    at = exceeded_at(world, status)
    return at is not None and now >= at


def _was_told(status: RolloutStatus) -> bool:
    """Whether this update, and not one before it, was told to be stuck."""
    told, started = find(status.conditions, "Progressing"), status.duration.rollout_started_at
    if told is None or told.reason != EXCEEDED or not told.last_update_time:
        return False
    return not started or epoch(started) < epoch(told.last_update_time)


def _counts(world: World, status: RolloutStatus) -> bool:
    if world.rollout.spec.paused or status.pause_conditions or not status.current_pod_hash:
        return False
    if status.abort or status.aborted_at is not None:
        return False  # Aborted, or about to begin again: the time since the abort is nobody's delay.
    if fully_promoted(status) and status.available_replicas >= world.replicas:
        return False
    step = current_step(world, status) if updating(world, status) else None
    return step is None or (step.pause is None and step.verify is None)


def last_progress(status: RolloutStatus) -> float:
    """Epoch seconds of the last progress: the Progressing condition's last update, or the start of the update."""
    started = status.duration.rollout_started_at
    times = [epoch(started)] if started else [0.0]
    progressing = find(status.conditions, "Progressing")
    if progressing is not None and progressing.last_update_time:
        times.append(epoch(progressing.last_update_time))
    return max(times)


def check(world: World, status: RolloutStatus, now: float) -> Decision[RolloutStatus]:
    """Abort a stuck update where `progressDeadlineAbort` asks for it; the phase tells in any case."""
    at = exceeded_at(world, status)
    if at is None or now < at:
        return Decision(status, wake_at=at)
    if not world.rollout.spec.progress_deadline_abort or not updating(world, status):
        return Decision(status)
    message = "the update made no progress within progressDeadlineSeconds"
    aborted = msgspec.structs.replace(status, abort=True, aborted_at=rfc3339(now))
    return Decision(aborted, events=(Event("Warning", "RolloutAborted", message),))
