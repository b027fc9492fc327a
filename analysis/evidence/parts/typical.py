"""A histogram's typical value: the shift of the mean logarithm, from bucket increments, that is from requests."""

from dataclasses import dataclass

import numpy as np

from analysis.evidence.block import Block
from analysis.evidence.gathered import Gathered, by_pod, log_load_ratio, noise_weight
from analysis.evidence.likelihood import NormalLikelihood
from analysis.evidence.noise import Noise
from analysis.evidence.parts.means import lasting, normal
from analysis.evidence.special import FloatArray

REQUESTS_MIN = 5.0
"""Fewer requests of an arm in a block say nothing by a mean."""
# The open ends: a factor below the first bound and above the last one.
_FIRST_MID, _LAST_MID = 1 / np.sqrt(2.5), 1.6
# Nothing is shorter, and nobody waits longer; products of two such bounds are numbers.
_SHORTEST_SECONDS, _LONGEST_SECONDS = 1e-12, 1e12
_S, _I, _LOAD, _LOAD_WEIGHT, _NC, _NS = range(6)


@dataclass(frozen=True)
class TypicalPart:
    """The typical latency: u is the difference of the mean score, a score being ln(middle of the bucket)."""

    noise: Noise
    unit: float
    label: str = "typical"

    def gather(self, block: Block) -> Gathered:
        """Return the sums of one block: S = sum of D/V and I = sum of 1/V."""
        canary, stable = block.canary, block.stable
        by_bucket = [arm.amounts.sum(axis=0) for arm in (canary, stable)]
        nc, ns = (float(buckets.sum()) for buckets in by_bucket)
        requests = [arm.amounts.sum(axis=1) for arm in (canary, stable)]
        sums = np.zeros(6)
        sums[_NC], sums[_NS] = nc, ns
        if block.bounds and min(nc, ns) > REQUESTS_MIN:
            scores = log_scores(block.bounds)
            weights = [
                noise_weight(arm, n, block.interval_seconds) for arm, n in zip((canary, stable), requests, strict=True)
            ]
            load = log_load_ratio((nc, ns), (float(canary.seconds.sum()), float(stable.seconds.sum())))
            shift = float(by_bucket[0] @ scores) / nc - float(by_bucket[1] @ scores) / ns
            variance = _spread(by_bucket[0] + by_bucket[1], scores) * (1 / nc + 1 / ns)
            variance = max(variance + self.noise.omega2 * sum(weights), 1e-12)
            sums[_S], sums[_I] = (shift - self.noise.elasticity * load) / variance, 1 / variance
            sums[_LOAD], sums[_LOAD_WEIGHT] = load * nc, nc
        return Gathered(sums, by_pod(canary, requests[0]), by_pod(stable, requests[1]))

    def likelihood(self, gathered: Gathered) -> NormalLikelihood:
        """Return what the requests say of u."""
        sums = gathered.sums
        load = float(sums[_LOAD]) / max(float(sums[_LOAD_WEIGHT]), 1e-300)
        doubt = (self.noise.elasticity_error * load) ** 2
        return normal(float(sums[_S]), float(sums[_I]), lasting(self.noise, gathered) + doubt, self.unit)

    def totals(self, gathered: Gathered) -> tuple[float, float, float, float]:
        """Return requests of the canary and of stable, as totals without events."""
        return 0.0, float(gathered.sums[_NC]), 0.0, float(gathered.sums[_NS])


def log_scores(bounds: tuple[float, ...]) -> FloatArray:
    """Return ln of the geometric middle of each bucket, the open ends extrapolated.

    OpenTelemetry's older bounds begin at 0: what lies below has no logarithm, and counts as the first bucket above.
    Bounds of which none is above 0 tell nothing of latency: all requests are alike.
    """
    known = np.asarray(bounds, dtype=np.float64)
    upper = np.minimum(known[known > _SHORTEST_SECONDS], _LONGEST_SECONDS)
    if not upper.size:
        return np.zeros(known.size + 1)
    middles = np.sqrt(upper[1:] * upper[:-1])
    scores = np.log(np.concatenate([[upper[0] * _FIRST_MID], middles, [upper[-1] * _LAST_MID]]))
    return np.concatenate([np.full(known.size - upper.size, scores[0]), scores])


def _spread(buckets: FloatArray, scores: FloatArray) -> float:
    """Return the variance of one request's score, in both arms together."""
    whole = float(buckets.sum())
    mean = float(buckets @ scores) / whole
    return max(float(buckets @ scores**2) / whole - mean * mean, 0.0)
