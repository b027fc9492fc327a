"""Growth: the slope of a gauge's logarithm an hour, such as a leak. A line a pod, one slope for all."""

import math
from dataclasses import dataclass

import numpy as np

from analysis.evidence.block import Block
from analysis.evidence.gathered import Gathered, PodSums, by_pod
from analysis.evidence.likelihood import NormalLikelihood
from analysis.evidence.noise import Noise
from analysis.evidence.parts.level import mean_level

BLOCKS_MIN = 3
_N, _T, _Y, _TT, _TY, _BLOCKS = range(6)
_CW, _SW = range(2)


@dataclass(frozen=True)
class GrowthPart:
    """The slope of canary pods against stable's mean.

    Each pod has an intercept of its own (with a flat prior on intercepts this is an e-process still: Perez-Ortiz and
    others 2022), and a restarted pod is a new one.
    """

    noise: Noise
    unit: float
    label: str = ""

    def gather(self, block: Block) -> Gathered:
        """Return the sums of one block: of every canary pod, weighted by the windows it was watched in."""
        canary, stable = block.canary, block.stable
        sums = np.array([float(canary.seconds.sum()), float(stable.seconds.sum())])
        rows = np.zeros((6, len(canary.pods)))
        if stable.pods:
            weight = canary.seconds / block.interval_seconds
            level, hours = canary.amounts[:, 0] - mean_level(stable), canary.amounts[:, 1]
            rows = np.stack(
                [weight, weight * hours, weight * level, weight * hours**2, weight * hours * level, weight > 0]
            )
        return Gathered(sums, PodSums(canary.pods, rows), by_pod(stable, stable.seconds))

    def likelihood(self, gathered: Gathered) -> NormalLikelihood:
        """Return what the slopes say of u, which is a change of the logarithm an hour."""
        rows = gathered.canary.sums
        usable = rows[_BLOCKS] >= BLOCKS_MIN
        n, t, y, tt, ty = (rows[index, usable] for index in (_N, _T, _Y, _TT, _TY))
        if n.size == 0:
            return NormalLikelihood(0.0, 0.0, math.inf, self.unit)
        sxx = np.maximum(tt - t * t / n, 0.0)
        sxy = ty - t * y / n
        whole = float(sxx.sum())
        if whole < 1e-9:
            return NormalLikelihood(0.0, 0.0, math.inf, self.unit)
        slope = float(sxy.sum()) / whole
        pods = whole**2 / float((sxx**2).sum())
        stable_pods = gathered.stable.effective_pods
        # Stable's mean is one and the same line for all canary pods, and as noisy as its pods are few.
        noise = self.noise.omega2 * (1 + pods / stable_pods) / whole
        variance = noise + self.noise.tau2 * (1 / pods + 1 / stable_pods)
        return NormalLikelihood(slope, slope, variance, self.unit)

    def totals(self, gathered: Gathered) -> tuple[float, float, float, float]:
        """Return pod-seconds watched of the canary, and of stable, as totals without events."""
        return 0.0, float(gathered.sums[_CW]), 0.0, float(gathered.sums[_SW])
