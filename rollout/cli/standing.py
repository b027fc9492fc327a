"""Where a Rollout stands along its steps, from its manifest and status alone. Pure."""

from dataclasses import dataclass

from rollout.api.rollout import CanaryStrategy, Rollout
from rollout.domain.progress.standing import fully_promoted


@dataclass(frozen=True, slots=True)
class Standing:
    """Figures as users read them; empty where a Rollout has none.

    Attributes:
        step: `<steps done>/<steps>`.
        set_weight: the canary's share that the step asks for, percent.
        actual_weight: the share that is in force, percent.
    """

    strategy: str
    replicas: int
    step: str = ""
    set_weight: str = ""
    actual_weight: str = ""


def standing(rollout: Rollout) -> Standing:
    """The figures; a promoted version has all the traffic, as Argo shows it."""
    spec, status = rollout.spec, rollout.status
    replicas = 1 if spec.replicas is None else spec.replicas
    if spec.strategy.blue_green is not None:
        return Standing("BlueGreen", replicas)
    canary = spec.strategy.canary or CanaryStrategy()
    index = step_index(rollout)
    step = f"{index}/{len(canary.steps)}" if canary.steps else ""
    if fully_promoted(status):
        return Standing("Canary", replicas, step, "100", "100")
    if not status.stable_rs:
        return Standing("Canary", replicas, step)
    actual = status.canary.weights.canary.weight if status.canary.weights else 0
    return Standing("Canary", replicas, step, str(_wanted_percent(rollout, canary, index)), str(actual))


def step_index(rollout: Rollout) -> int:
    """Index of the current step, at most the number of steps."""
    canary = rollout.spec.strategy.canary or CanaryStrategy()
    return min(max(rollout.status.current_step_index or 0, 0), len(canary.steps))


def _wanted_percent(rollout: Rollout, canary: CanaryStrategy, index: int) -> int:
    if rollout.status.abort:
        return 0
    if rollout.status.promote_full or index >= len(canary.steps):
        return 100
    done = (step.set_weight for step in reversed(canary.steps[: index + 1]) if step.set_weight is not None)
    return next(done, 0)
