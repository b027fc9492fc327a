"""What the data say about u = ln(canary / stable), in the two shapes it comes in: on a grid, and normal.

From the likelihood alone follow the evidence of harm, the proof of no harm, and the interval.
"""

import math
from dataclasses import dataclass

import numpy as np

from analysis.evidence.grid import GRID, STEP, harm_prior, interval_prior, safe_prior
from analysis.evidence.special import FloatArray, log_normal_cdf, log_normal_density, log_sum_exp

ALPHA = 0.05
"""Intervals hold at all looks together with probability 95 %."""
# Beyond this bound too little of the grid is left to be an alternative.
BOUND_MAX = float(GRID[-1]) - 0.5


@dataclass(frozen=True)
class Estimate:
    """u as far as it is known: the likeliest value, and an interval that holds at every look."""

    u: float
    lower: float
    upper: float


@dataclass(frozen=True)
class GridLikelihood:
    """ln L(u) on the grid, the lasting difference between pods integrated out."""

    values: FloatArray

    @property
    def known(self) -> bool:
        """Whether the data say anything."""
        return float(self.values.max() - self.values.min()) >= 1e-9

    def harm_log_evidence(self, delta: float, gate: float) -> float:
        """Return the log e-process against "u <= delta", counted while the likeliest u is at least `gate`.

        Universal inference (Wasserman, Ramdas, Balakrishnan 2020): a mixture over the alternative against the
        best point of the composite null, so P(sup E >= 1/a) <= a under every point of the null (Ville). The
        gate only lowers E, and so keeps its validity.
        """
        if delta >= BOUND_MAX or not self.known:
            return 0.0
        mixture = log_sum_exp(self.values + harm_prior(delta))
        # The bound itself lies between points of the grid, and sharp likelihoods tell it from its neighbours.
        within = math.floor((delta - float(GRID[0])) / STEP + 1e-9) + 1
        best = max(float(self.values[:within].max()), self._between(delta))
        evidence = mixture - best
        return evidence if float(GRID[int(self.values.argmax())]) >= max(gate, delta) else min(evidence, 0.0)

    def safe_log_evidence(self, margin: float) -> float:
        """Return the log e-process against "u >= margin"."""
        # The margin goes down to the grid: what is proven is never more than what was asked.
        margin = min(math.floor(margin / STEP + 1e-9) * STEP, BOUND_MAX)
        if margin <= 0 or not self.known:
            return 0.0
        mixture = log_sum_exp(self.values + safe_prior(margin))
        beyond = round((margin - float(GRID[0])) / STEP)
        return mixture - float(self.values[beyond:].max())

    def estimate(self, alpha: float = ALPHA) -> Estimate | None:
        """Return u with all values whose likelihood is more than alpha times the mixture's (Robbins 1970).

        The ends are the nearest points of the grid outside of that.
        """
        if not self.known:
            return None
        mixture = log_sum_exp(self.values + interval_prior())
        kept = np.flatnonzero(mixture - self.values < -math.log(alpha))
        lower, upper = max(int(kept[0]) - 1, 0), min(int(kept[-1]) + 1, GRID.size - 1)
        return Estimate(float(GRID[int(self.values.argmax())]), float(GRID[lower]), float(GRID[upper]))

    def at(self, points: FloatArray) -> FloatArray:
        """Return ln L at some u, level beyond the grid's ends."""
        return np.asarray(np.interp(points, GRID, self.values), dtype=np.float64)

    def _between(self, u: float) -> float:
        """Return ln L at a u well inside of the grid, by the cubic through its four neighbours."""
        place = (u - float(GRID[0])) / STEP
        left = math.floor(place)
        t = place - left
        inner, outer = (t + 1) * (t - 2) / 2, t * (t - 1) / 6
        weights = [-outer * (t - 2), inner * (t - 1), -inner * t, outer * (t + 1)]
        return float(np.dot(weights, self.values[left - 1 : left + 3]))

    def mirrored(self) -> "GridLikelihood":
        """Return the likelihood of -u."""
        return GridLikelihood(self.values[::-1])


NORMAL_MIXTURE = ((3.0, 0.85), (12.0, 0.1), (40.0, 0.05))
"""Scale, in units of what is called harm, and weight of the half-normals of harm."""
NORMAL_INTERVAL_SCALE = 10.0


@dataclass(frozen=True)
class NormalLikelihood:
    """An estimate of u that is normal with known variance.

    Attributes:
        low: estimate by the view that speaks best for the canary.
        high: estimate by the view that speaks worst; equal to `low` unless load explains an unknown part.
        variance: of both, what lasts between pods included; infinite where nothing is known.
        unit: the size of u that is called harm, which scales the mixtures.
    """

    low: float
    high: float
    variance: float
    unit: float

    @property
    def known(self) -> bool:
        """Whether the data say anything."""
        return math.isfinite(self.variance)

    def harm_log_evidence(self, delta: float, gate: float) -> float:
        """Return the log e-process against "u <= delta", counted while the estimate is at least `gate`."""
        if not self.known:
            return 0.0
        evidence = self._one_sided(self.low - delta)
        return evidence if self.low >= max(gate, delta) else min(evidence, 0.0)

    def safe_log_evidence(self, margin: float) -> float:
        """Return the log e-process against "u >= margin"."""
        return self._one_sided(margin - self.high) if self.known and margin > 0 else 0.0

    def _one_sided(self, distance: float) -> float:
        """Return ln of (mixture beyond the bound) / (best point of the null), by the distance from the bound.

        The mixture of half-normals of scale c has density 2 phi(d; s^2 + c^2) Phi(d c / (s sqrt(s^2 + c^2))).
        """
        s2 = self.variance
        parts = []
        for multiple, weight in NORMAL_MIXTURE:
            scale = multiple * self.unit
            whole = s2 + scale * scale
            beyond = log_normal_cdf(distance * scale / math.sqrt(s2 * whole))
            parts.append(math.log(2 * weight) + log_normal_density(distance, whole) + beyond)
        largest = max(parts)
        mixture = largest + math.log(sum(math.exp(part - largest) for part in parts))
        return mixture - log_normal_density(max(distance, 0.0), s2)

    def estimate(self, alpha: float = ALPHA) -> Estimate | None:
        """Return u with the normal-mixture confidence sequence (Robbins 1970; Howard and others 2021)."""
        if not self.known:
            return None
        s2, r = self.variance, (NORMAL_INTERVAL_SCALE * self.unit) ** 2
        half = math.sqrt(s2 * (r + s2) / r * math.log((r + s2) / (s2 * alpha * alpha)))
        return Estimate((self.low + self.high) / 2, self.low - half, self.high + half)

    def at(self, points: FloatArray) -> FloatArray:
        """Return ln L at some u, by the view that speaks best for the canary."""
        if not self.known:
            return np.zeros_like(points)
        return np.asarray(-0.5 * (self.low - points) ** 2 / self.variance, dtype=np.float64)

    def mirrored(self) -> "NormalLikelihood":
        """Return the likelihood of -u."""
        return NormalLikelihood(-self.high, -self.low, self.variance, self.unit)


Likelihood = GridLikelihood | NormalLikelihood
