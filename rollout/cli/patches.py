"""What promote, abort, retry, pause and restart write: the same status patches as Argo Rollouts. Pure."""

from dataclasses import dataclass, field
from typing import Any

from rollout.api.rollout import CanaryStrategy, Rollout
from rollout.cli.answer import unheard
from rollout.cli.standing import step_index
from rollout.domain.clock import rfc3339
from rollout.domain.progress.standing import fully_promoted
from rollout.errors import CoalmineError

Json = dict[str, Any]


class NotPossible(CoalmineError):
    """A wish that makes no sense where the Rollout stands; says what does."""


@dataclass(frozen=True, slots=True)
class Steering:
    """What a verb writes, and what it says.

    Attributes:
        said: what was done, in the past.
        spec: a merge patch of the object; empty for none.
        status: a merge patch of its status subresource; empty for none.
        guarded: whether the status must still be the one that was read: the patch depends on it.
    """

    said: str
    spec: Json = field(default_factory=dict)
    status: Json = field(default_factory=dict)
    guarded: bool = False

    @property
    def writes(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.spec or self.status)


def promotion(rollout: Rollout, *, full: bool) -> Steering:
    """Go on from a pause or skip the current step; with `full`, skip all that is left. Raises NotPossible."""
    _refuse_unfit(rollout)
    unpause = {"spec": {"paused": False}} if rollout.spec.paused else {}
    status = rollout.status
    if not status.stable_rs or (fully_promoted(status) and not unpause):
        return Steering("there is nothing to promote: no update is under way")
    if full:
        if fully_promoted(status):
            return Steering("resumed it; there is nothing else to promote", spec=unpause)
        words = "promoted it fully: the steps and the analysis that are left are skipped"
        return Steering(words, spec=unpause, status={"status": {"promoteFull": True}})
    return _next_step(rollout, unpause)


def _next_step(rollout: Rollout, unpause: Json) -> Steering:
    """Argo's order: an inconclusive step, a pause, else the step itself. Never two at once."""
    status, steps = rollout.status, (rollout.spec.strategy.canary or CanaryStrategy()).steps
    index, reasons = step_index(rollout), {pause.reason for pause in status.pause_conditions}
    beyond = min(index + 1, len(steps))
    skip = {"status": {"pauseConditions": None, "currentStepIndex": beyond}}
    run = status.canary.current_step_analysis_run_status
    if run is not None and run.status == "Inconclusive" and reasons and status.controller_pause:
        patch = {"status": {**skip["status"], "controllerPause": False}}
        words = f"went on from the inconclusive analysis of step {index + 1} of {len(steps)}"
        return Steering(words, unpause, patch, guarded=True)
    if reasons == {"NoData"} and not unpause:
        raise NotPossible(
            "it waits for data of its metrics (NoData) and goes on by itself when they return; "
            "`promote --full` skips the analysis and the steps that are left"
        )
    if reasons or unpause:
        why = ", ".join(sorted(reasons)) or "manually paused"
        patch = {"status": {"pauseConditions": None}} if reasons else {}
        return Steering(f"ended the pause ({why})", unpause, patch, guarded=bool(reasons))
    if index >= len(steps):
        return Steering("all steps are done: it becomes stable once its pods are available")
    return Steering(f"skipped step {index + 1} of {len(steps)}", status=skip, guarded=True)


def _refuse_unfit(rollout: Rollout) -> None:
    """An aborted or invalid update goes nowhere by a promotion."""
    status = rollout.status
    if status.phase == "Degraded" and status.message.startswith("InvalidSpec"):
        raise NotPossible(f"its spec has to be mended first: {status.message}")
    if status.abort:
        raise NotPossible("its update is aborted; begin it again with `retry`, or release another version")


def abortion(rollout: Rollout) -> Steering:
    """Give the update up: traffic goes back to stable. Raises NotPossible where there is none."""
    status = rollout.status
    if status.abort:
        return Steering("its update is aborted already")
    if not status.stable_rs or fully_promoted(status):
        raise NotPossible("there is no update to abort; `undo` goes back to the version before")
    return Steering("aborted the update: all traffic goes back to stable", status={"status": {"abort": True}})


def retrial(rollout: Rollout) -> Steering:
    """Begin an aborted update again at its first step. Raises NotPossible where nothing was aborted."""
    status = rollout.status
    if unheard(status) == "retry":
        return Steering("its update begins again already")
    if not status.abort:
        raise NotPossible("its update was not aborted, so there is nothing to retry")
    return Steering("the update begins again at its first step", status={"status": {"abort": False}})


def pausing(rollout: Rollout) -> Steering:
    """Stop all progress until somebody promotes."""
    if rollout.spec.paused:
        return Steering("it is paused already")
    return Steering("paused it: steps wait, traffic and pods stay as they are", spec={"spec": {"paused": True}})


def restarting(now: float, in_seconds: float) -> Steering:
    """Replace the pods that exist now, a few at a time.

    Args:
        now: epoch seconds.
        in_seconds: how much later to begin.
    """
    at = rfc3339(now + in_seconds)
    return Steering(f"its pods are replaced from {at} on", spec={"spec": {"restartAt": at}})
