"""How a simulated rollout moves: weights, pods and time."""

from dataclasses import dataclass

import numpy as np

from analysis.evidence.special import FloatArray


@dataclass(frozen=True)
class Step:
    """A weight that is held.

    Attributes:
        weight: the canary's share of the traffic, 0 to 1.
        canary_pods: pods that carry it.
        seconds: how long.
    """

    weight: float
    canary_pods: int
    seconds: float


@dataclass(frozen=True)
class Schedule:
    """The steps, and whether as many fresh pods of the old version run beside the canary.

    A fresh baseline gets the canary's share, and half of what the canary leaves where that is less. Where the canary
    leaves nothing, it has no pods.
    """

    steps: tuple[Step, ...] = (
        Step(0.05, 1, 600.0),
        Step(0.10, 1, 600.0),
        Step(0.25, 3, 600.0),
        Step(0.50, 5, 600.0),
    )
    fresh_baseline: bool = False

    def weights(self, window_seconds: float) -> FloatArray:
        """Return the canary's share by window."""
        return np.repeat([step.weight for step in self.steps], self._lengths(window_seconds))

    def baseline_weights(self, window_seconds: float) -> FloatArray:
        """Return the fresh baseline's share by window; zeros without one."""
        weights = self.weights(window_seconds)
        return np.minimum(weights, (1 - weights) / 2) if self.fresh_baseline else np.zeros_like(weights)

    def step_starts(self, window_seconds: float) -> tuple[int, ...]:
        """Return the first window of each step."""
        return tuple(int(end) for end in np.cumsum([0, *self._lengths(window_seconds)[:-1]]))

    def canary_starts(self, window_seconds: float) -> tuple[int, ...]:
        """Return the window in which each canary pod starts, in order."""
        return _starts([step.canary_pods for step in self.steps], self.step_starts(window_seconds))

    def baseline_starts(self, window_seconds: float) -> tuple[int, ...]:
        """Return the window in which each pod of the fresh baseline starts; none without one."""
        if not self.fresh_baseline:
            return ()
        # As much traffic a pod as the canary's pods get.
        shares = [min(step.weight, (1 - step.weight) / 2) for step in self.steps]
        counts = [
            int(np.ceil(step.canary_pods * share / step.weight)) if step.weight > 0 else step.canary_pods
            for step, share in zip(self.steps, shares, strict=True)
        ]
        return _starts(counts, self.step_starts(window_seconds))

    def _lengths(self, window_seconds: float) -> list[int]:
        return [max(round(step.seconds / window_seconds), 1) for step in self.steps]


def _starts(counts: list[int], step_starts: tuple[int, ...]) -> tuple[int, ...]:
    starts: list[int] = []
    for count, window in zip(counts, step_starts, strict=True):
        starts.extend([window] * (count - len(starts)))
    return tuple(starts)
