"""What a Rollout's status says to somebody who waits for it: healthy, failed, or not yet. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from rollout.api.rollout import Rollout, RolloutStatus
from rollout.domain.conditions import find


class Outcome(StrEnum):
    """What a wait may end with."""

    HEALTHY = "Healthy"
    FAILED = "Failed"
    WAITING = "Waiting"


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome, the phase that is told, and why."""

    outcome: Outcome
    phase: str
    words: str = ""

    @property
    def line(self) -> str:
        """For people: `Paused: CanaryPauseStep`."""
        return f"{self.phase}: {self.words}" if self.words else self.phase


def answer(rollout: Rollout) -> Answer:
    """Whether a wait is over.

    A status about an older generation is no answer (Argo), and neither is one that has not heard a user's abort, retry
    or promotion yet: those change the status, not the generation.
    """
    status, generation = rollout.status, rollout.metadata.generation
    if status.observed_generation != generation:
        return Answer(
            Outcome.WAITING, "Progressing", f"waiting for the operator to see generation {generation} of the spec"
        )
    if status.phase == "Degraded" and status.message.startswith("InvalidSpec"):
        return Answer(Outcome.FAILED, status.phase, status.message)
    if wish := unheard(status):
        return Answer(Outcome.WAITING, "Progressing", f"waiting for the operator to hear the {wish}")
    match status.phase:
        case "Healthy":
            return Answer(Outcome.HEALTHY, status.phase, status.message)
        case "Degraded":
            return Answer(Outcome.FAILED, status.phase, status.message)
        case phase:
            return Answer(Outcome.WAITING, phase or "Progressing", status.message)


def unheard(status: RolloutStatus) -> str:
    """The wish in a status that its phase does not know of yet; empty where there is none."""
    progressing = find(status.conditions, "Progressing")
    given_up = progressing is not None and progressing.reason == "RolloutAborted"
    if status.abort and not (given_up and status.aborted_at):
        return "abort"
    if given_up and not status.abort:
        return "retry"
    if status.promote_full and status.phase == "Healthy":
        return "promotion"
    return ""


def hint(rollout: Rollout) -> str:
    """How somebody may go on from here; empty where there is nothing to do."""
    name = f"{rollout.metadata.name} -n {rollout.metadata.namespace}"
    status = rollout.status
    if status.abort:
        return f"mend it with a new version, or try it again: coalmine retry {name}"
    reasons = [pause.reason for pause in status.pause_conditions]
    if rollout.spec.paused or any(reason != "NoData" for reason in reasons):
        return f"go on: coalmine promote {name}; give it up: coalmine abort {name}"
    return ""
