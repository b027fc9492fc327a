"""Going along the steps: each asks something of the world, and the next begins when it is there."""

from dataclasses import dataclass

import msgspec

from rollout.api.rollout import PauseCondition, RolloutStatus
from rollout.api.steps import CanaryStep, Pause, Verify
from rollout.api.values import duration_seconds
from rollout.domain.clock import epoch, rfc3339
from rollout.domain.decision import Decision, Event
from rollout.domain.progress.promotion import promote
from rollout.domain.progress.runs import background
from rollout.domain.progress.settled import weight_settled
from rollout.domain.progress.standing import (
    current_step,
    first_deployment,
    fully_promoted,
    skipping,
    step_index,
    target_weight_percent,
)
from rollout.domain.world import World

PAUSE_STEP = "CanaryPauseStep"
VERIFY_TIMEOUT = "VerifyTimeout"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one look at a step gave: done, or what it waits for."""

    done: bool
    status: RolloutStatus
    wake_at: float | None = None
    events: tuple[Event, ...] = ()


def advance(world: World, status: RolloutStatus, now: float) -> Decision[RolloutStatus]:
    """Take every step that is done, up to the first that waits; behind the last one, promote."""
    if first_deployment(world, status) or fully_promoted(status):
        return promote(world, status, now)
    if world.rollout.spec.paused or status.abort:
        return Decision(status)
    if skipping(world, status):
        return promote(world, _at(status, len(world.canary.steps), now), now)
    return _walk(world, status, now)


def _walk(world: World, status: RolloutStatus, now: float) -> Decision[RolloutStatus]:
    events: tuple[Event, ...] = ()
    while (step := current_step(world, status)) is not None:
        if _held(status):
            return Decision(status, events=events)
        outcome = _look(world, status, step, now)
        status, events = outcome.status, events + outcome.events
        if not outcome.done:
            return Decision(status, events=events, wake_at=outcome.wake_at)
        index = step_index(world, status)
        total = len(world.canary.steps)
        events += (Event("Normal", "RolloutStepCompleted", f"Rollout step {index + 1}/{total} completed"),)
        status = _at(status, index + 1, now)
    if _held(status):
        return Decision(status, events=events)
    decision = promote(world, status, now)
    return Decision(decision.status, decision.actions, events + decision.events, decision.wake_at)


def _held(status: RolloutStatus) -> bool:
    """Whether something other than the step itself pauses the update."""
    return any(pause.reason not in {PAUSE_STEP, VERIFY_TIMEOUT} for pause in status.pause_conditions)


def _at(status: RolloutStatus, index: int, now: float) -> RolloutStatus:
    """The status at another step; a pause belongs to its step."""
    if status.current_step_index == index:
        return status
    left = tuple(p for p in status.pause_conditions if p.reason not in {PAUSE_STEP, VERIFY_TIMEOUT})
    return msgspec.structs.replace(
        status,
        current_step_index=index,
        current_step_started_at=rfc3339(now),
        pause_conditions=left,
        controller_pause=False,
    )


def _look(world: World, status: RolloutStatus, step: CanaryStep, now: float) -> Outcome:
    if step.pause is not None:
        return _pause(status, step.pause, now)
    if step.verify is not None:
        return _verify(world, status, step.verify, now)
    return Outcome(weight_settled(world, status, target_weight_percent(world, status)), status)


def _pause(status: RolloutStatus, pause: Pause, now: float) -> Outcome:
    waiting = next((p for p in status.pause_conditions if p.reason == PAUSE_STEP), None)
    if waiting is None:
        return Outcome(done=True, status=status) if status.controller_pause else _begin_pause(status, pause, now)
    if pause.duration is None:
        return Outcome(done=False, status=status)
    ends_at = epoch(waiting.start_time) + duration_seconds(pause.duration)
    return Outcome(done=now >= ends_at, status=status, wake_at=ends_at)


def _begin_pause(status: RolloutStatus, pause: Pause, now: float) -> Outcome:
    paused = _paused(status, PAUSE_STEP, now)
    text = "until somebody promotes it" if pause.duration is None else f"for {pause.duration}"
    wake_at = None if pause.duration is None else epoch(rfc3339(now)) + duration_seconds(pause.duration)
    event = Event("Normal", "RolloutPaused", f"Rollout is paused {text} (CanaryPauseStep)")
    return Outcome(done=wake_at is not None and now >= wake_at, status=paused, wake_at=wake_at, events=(event,))


def _paused(status: RolloutStatus, reason: str, now: float) -> RolloutStatus:
    condition = PauseCondition(reason=reason, start_time=rfc3339(now))
    conditions = (*status.pause_conditions, condition)
    return msgspec.structs.replace(status, pause_conditions=conditions, controller_pause=True)


def _verify(world: World, status: RolloutStatus, verify: Verify, now: float) -> Outcome:
    """Wait for the background run's proof at the present weight (never skips a weight, may shorten a step)."""
    if any(p.reason == VERIFY_TIMEOUT for p in status.pause_conditions):
        return Outcome(_proven(world, status), status)
    if status.controller_pause or _proven(world, status):
        return Outcome(done=True, status=status)
    if verify.timeout is None:
        return Outcome(done=False, status=status)
    started = epoch(status.current_step_started_at) if status.current_step_started_at else now
    ends_at = started + duration_seconds(verify.timeout)
    if now < ends_at:
        return Outcome(done=False, status=status, wake_at=ends_at)
    return _verify_timed_out(status, verify, now)


def _verify_timed_out(status: RolloutStatus, verify: Verify, now: float) -> Outcome:
    message = f"No harm beyond the tolerances could not be proven within {verify.timeout}"
    match verify.on_timeout:
        case "Continue":
            event = Event("Warning", "VerifyTimeout", f"{message}; going on, as onTimeout says")
            return Outcome(done=True, status=status, events=(event,))
        case "Abort":
            aborted = msgspec.structs.replace(status, abort=True, aborted_at=rfc3339(now))
            event = Event("Warning", "RolloutAborted", f"{message}; aborted, as onTimeout says")
            return Outcome(done=False, status=aborted, events=(event,))
        case "Pause":
            event = Event("Warning", "RolloutPaused", f"{message}; promote or abort it")
            return Outcome(done=False, status=_paused(status, VERIFY_TIMEOUT, now), events=(event,))


def _proven(world: World, status: RolloutStatus) -> bool:
    run = background(world, status)
    weight = target_weight_percent(world, status)
    return run is not None and run.proven_at_weight == weight and not run.no_data_since
