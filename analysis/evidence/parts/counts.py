"""Counts: how often events happen. Conditional on both arms' events, over-dispersed, in blocks."""

import math
from dataclasses import dataclass

import numpy as np

from analysis.evidence.block import ArmBlock, Block
from analysis.evidence.gathered import Gathered, by_pod, log_load_ratio, noise_weight
from analysis.evidence.grid import GRID, smooth
from analysis.evidence.likelihood import GridLikelihood
from analysis.evidence.noise import Noise
from analysis.evidence.special import FloatArray, log_rising
from analysis.evidence.table import EVENTS, TOTAL

# Below this variance the beta-binomial is the binomial to machine precision.
_VARIANCE_MIN = 1e-9
_CONCENTRATION_MIN = 0.5
# Beyond this an arm has no share that a number could hold.
_LOGIT_MAX = 100.0
_G = GRID.size
_ZERO = _G // 2
# After the likelihood: load (weighted sum, weight), then events and total of the canary, and of stable.
_LOAD, _LOAD_WEIGHT, _XC, _NC, _XS, _NS = range(_G, _G + 6)


@dataclass(frozen=True)
class ArmCounts:
    """One arm in a block: events and totals by pod."""

    arm: ArmBlock
    events: FloatArray
    totals: FloatArray

    @property
    def sums(self) -> tuple[float, float]:
        """Events and total of the arm."""
        return float(self.events.sum()), float(self.totals.sum())


@dataclass(frozen=True)
class CountsPart:
    """Events out of a total.

    Attributes:
        tail_seconds: bound of a histogram's tail, whose events are the slower requests; None for plain counts.
        has_load: whether the total is requests, so that load a pod is known.
    """

    noise: Noise
    label: str = ""
    tail_seconds: float | None = None
    has_load: bool = True

    def gather(self, block: Block) -> Gathered:
        """Return the sums of one block."""
        canary, stable = self._counts(block.canary, block), self._counts(block.stable, block)
        (xc, nc), (xs, ns) = canary.sums, stable.sums
        sums = np.zeros(_G + 6)
        load = 0.0
        if self.has_load:
            load = log_load_ratio((nc, ns), (float(block.canary.seconds.sum()), float(block.stable.seconds.sum())))
        if min(nc, ns) > 0 and xc + xs > 0:
            weights = [noise_weight(one.arm, one.totals, block.interval_seconds) for one in (canary, stable)]
            variance = self.noise.omega2 * sum(weights) / block.evenness_of(self._first_column(block))
            expected = nc * float(np.exp(self.noise.elasticity * load))
            sums[:_G] = block_log_likelihood(xc, expected, xs, ns, variance)
        sums[_G:] = (load * nc, nc, xc, nc, xs, ns)
        return Gathered(sums, by_pod(canary.arm, canary.totals), by_pod(stable.arm, stable.totals))

    def likelihood(self, gathered: Gathered) -> GridLikelihood:
        """Return ln L(u), the lasting difference between pods and the doubt about load integrated out."""
        sums = gathered.sums
        lasting = self.noise.tau2 * (1 / gathered.canary.effective_pods + 1 / gathered.stable.effective_pods)
        load = float(sums[_LOAD]) / max(float(sums[_LOAD_WEIGHT]), 1e-300)
        return GridLikelihood(smooth(sums[:_G], lasting + (self.noise.elasticity_error * load) ** 2))

    def totals(self, gathered: Gathered) -> tuple[float, float, float, float]:
        """Return events and total of the canary, and of stable."""
        return tuple(float(gathered.sums[index]) for index in (_XC, _NC, _XS, _NS))  # type: ignore[return-value]

    def _counts(self, arm: ArmBlock, block: Block) -> ArmCounts:
        if self.tail_seconds is None:
            return ArmCounts(arm, arm.amounts[:, EVENTS], arm.amounts[:, TOTAL])
        return ArmCounts(arm, arm.amounts[:, self._first_column(block) :].sum(axis=1), arm.amounts.sum(axis=1))

    def _first_column(self, block: Block) -> int:
        """Return the column of events, or of the fastest of the slow requests."""
        return EVENTS if self.tail_seconds is None else nearest_bound(block.bounds, self.tail_seconds) + 1


def nearest_bound(bounds: tuple[float, ...], wished_seconds: float) -> int:
    """Return the index of the bucket bound that is nearest on a log scale."""
    return min(range(len(bounds)), key=lambda index: abs(np.log(bounds[index] / wished_seconds)), default=-1)


def block_log_likelihood(xc: float, nc: float, xs: float, ns: float, variance: float) -> FloatArray:
    """Return ln L(u) / L(0) on the grid of one block.

    Given the events of both arms together, those of the canary are beta-binomial with mean
    n_c e^u / (n_c e^u + n_s): the unknown base rate, the time of day and everything else that hits both arms
    cancels. `variance` is that of its logit; the binomial with 0.

    Args:
        xc: events of the canary.
        nc: its expected exposure, corrected for load.
        xs: events of stable.
        ns: its exposure.
        variance: omega^2 times the arms' noise weights.
    """
    logit = np.clip(GRID + (math.log(nc) - math.log(ns)), -_LOGIT_MAX, _LOGIT_MAX)
    theta, rest = 1.0 / (1.0 + np.exp(-logit)), 1.0 / (1.0 + np.exp(logit))
    if variance < _VARIANCE_MIN:
        values = xc * np.log(theta) + xs * np.log(rest)
    else:
        spread = variance * float(theta[_ZERO]) * float(rest[_ZERO])
        concentration = max(1.0 / spread - 1.0, _CONCENTRATION_MIN)
        places = np.concatenate([concentration * theta, concentration * rest])
        risen = log_rising(places, np.repeat([xc, xs], _G))
        values = risen[:_G] + risen[_G:]
    return np.asarray(values - values[_ZERO], dtype=np.float64)
