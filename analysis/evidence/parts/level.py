"""Gauges: the level of a value, on a log or logit scale, so that u is a difference of means over pods."""

from dataclasses import dataclass

import numpy as np

from analysis.evidence.block import ArmBlock, Block
from analysis.evidence.gathered import Gathered, by_pod, noise_weight
from analysis.evidence.likelihood import NormalLikelihood
from analysis.evidence.noise import Noise
from analysis.evidence.parts.means import lasting, normal

_S, _I, _C, _S0, _CW, _SW = range(6)


@dataclass(frozen=True)
class LevelPart:
    """The level of a gauge."""

    noise: Noise
    unit: float
    label: str = ""

    def gather(self, block: Block) -> Gathered:
        """Return the sums of one block."""
        canary, stable = block.canary, block.stable
        sums = np.zeros(6)
        if canary.pods and stable.pods:
            levels = mean_level(canary), mean_level(stable)
            weights = [noise_weight(arm, arm.seconds, block.interval_seconds) for arm in (canary, stable)]
            variance = max(self.noise.omega2 * sum(weights), 1e-12)
            sums[_S], sums[_I] = (levels[0] - levels[1]) / variance, 1 / variance
            seconds = float(canary.seconds.sum()), float(stable.seconds.sum())
            sums[_C:] = (levels[0] * seconds[0], levels[1] * seconds[1], *seconds)
        return Gathered(sums, by_pod(canary, canary.seconds), by_pod(stable, stable.seconds))

    def likelihood(self, gathered: Gathered) -> NormalLikelihood:
        """Return what the levels say of u."""
        return normal(float(gathered.sums[_S]), float(gathered.sums[_I]), lasting(self.noise, gathered), self.unit)

    def totals(self, gathered: Gathered) -> tuple[float, float, float, float]:
        """Return pod-seconds watched of the canary, and of stable, as totals without events."""
        return 0.0, float(gathered.sums[_CW]), 0.0, float(gathered.sums[_SW])


def mean_level(arm: ArmBlock) -> float:
    """Return the mean level over pods, weighted by the time they were watched."""
    return float(arm.amounts[:, 0] @ arm.seconds / arm.seconds.sum())
