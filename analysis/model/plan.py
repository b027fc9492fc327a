"""How a release moves: the weights, pods and times that a placebo repeats."""

import math
from dataclasses import dataclass
from itertools import pairwise

from analysis.errors import InvalidSpec
from analysis.judgement import WeightChange

STEPS_MAX = 100


@dataclass(frozen=True)
class PlanStep:
    """A weight that is held.

    Attributes:
        percent: of the traffic, 0 to 100.
        pod_share: canary pods by all pods of stable, 0 to 1.
        seconds: how long.
    """

    percent: int
    pod_share: float
    seconds: float


@dataclass(frozen=True)
class Plan:
    """The steps of a release, in order."""

    steps: tuple[PlanStep, ...]

    def __post_init__(self) -> None:
        """Refuse plans without a step with traffic, or with too many."""
        if not any(step.percent > 0 and step.seconds > 0 for step in self.steps):
            raise InvalidSpec("plan", "gives the canary no traffic", "add a step with setWeight")
        if len(self.steps) > STEPS_MAX:
            raise InvalidSpec("plan", f"has {len(self.steps)} steps", f"at most {STEPS_MAX} are played")

    @property
    def seconds(self) -> float:
        """How long the release takes."""
        return sum(step.seconds for step in self.steps)

    @property
    def weight_increases(self) -> int:
        """How often the weight rises, the first traffic included."""
        percents = [0, *(step.percent for step in self.steps)]
        return sum(after > before for before, after in pairwise(percents))

    def shortened(self, seconds: float) -> "Plan":
        """Return the plan in as much time, every step in proportion, so that it fits a piece of history."""
        factor = min(seconds / self.seconds, 1.0)
        return Plan(tuple(PlanStep(step.percent, step.pod_share, step.seconds * factor) for step in self.steps))

    def weights(self) -> tuple[WeightChange, ...]:
        """Return the timeline of the weight; the release begins at 0."""
        at, changes = 0.0, list[WeightChange]()
        for step in self.steps:
            if not changes or changes[-1].percent != step.percent:
                changes.append(WeightChange(at, step.percent))
            at += step.seconds
        return tuple(changes)

    def canary_starts(self, pods: int) -> tuple[float, ...]:
        """Return the second in which each canary pod starts, of a service with so many pods; stable keeps one."""
        at, starts = 0.0, list[float]()
        for step in self.steps:
            wanted = min(math.ceil(step.pod_share * pods - 1e-9), pods - 1) if step.percent > 0 else 0
            starts += [at] * (wanted - len(starts))
            at += step.seconds
        return tuple(starts)


DEFAULT_PLAN = Plan(
    (PlanStep(5, 0.1, 600.0), PlanStep(10, 0.1, 600.0), PlanStep(25, 0.3, 600.0), PlanStep(50, 0.5, 600.0))
)
"""Forty minutes in four steps."""
