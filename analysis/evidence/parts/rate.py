"""One arm alone: its rate against a fixed rate. The guard `limit`, and the proof of a service without errors."""

import math
from dataclasses import dataclass

import numpy as np

from analysis.evidence.block import Block
from analysis.evidence.gathered import Gathered, by_pod, noise_weight
from analysis.evidence.grid import GRID, smooth
from analysis.evidence.likelihood import GridLikelihood
from analysis.evidence.noise import Noise
from analysis.evidence.special import log_rising
from analysis.evidence.table import EVENTS, TOTAL

LIMIT_FALSE_ALARM = 0.001
"""A limit that is kept is reported as broken with this probability at most, over the whole run."""


@dataclass(frozen=True)
class RatePart:
    """The canary's rate, where e^u times `rate` is the truth.

    Counts are negative binomial, that is Poisson with gamma noise of variance omega^2 a pod and window. For
    ratios near 1 the truth varies less than a Poisson count, so evidence is understated, never overstated.
    """

    noise: Noise
    rate: float

    def gather(self, block: Block) -> Gathered:
        """Return the sums of one block."""
        arm = block.canary
        events, total = float(arm.amounts[:, EVENTS].sum()), float(arm.amounts[:, TOTAL].sum())
        sums = np.zeros(GRID.size)
        if total > 0:
            mean = total * self.rate * np.exp(GRID)
            weight = noise_weight(arm, arm.amounts[:, TOTAL], block.interval_seconds)
            size = np.array([1.0 / max(self.noise.omega2 * weight, 1e-9)])
            constant = float(log_rising(size, np.array([events]))[0])
            sums = constant - float(size[0]) * np.log1p(mean / size) + events * np.log(mean / (size + mean))
        return Gathered(sums, by_pod(arm, arm.amounts[:, TOTAL]), by_pod(block.stable, block.stable.amounts[:, TOTAL]))

    def likelihood(self, gathered: Gathered) -> GridLikelihood:
        """Return ln L(u)."""
        return GridLikelihood(smooth(gathered.sums, self.noise.tau2 / gathered.canary.effective_pods))


def is_above(likelihood: GridLikelihood) -> bool:
    """Whether the rate is above the limit, wrongly so with probability 0.1 % at most."""
    return likelihood.harm_log_evidence(0.0, 1e-9) >= -math.log(LIMIT_FALSE_ALARM)
