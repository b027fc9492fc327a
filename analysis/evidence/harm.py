"""Evidence of harm: an e-process against "the canary is not worse", valid at every look."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from analysis.evidence.counts import log_likelihood
from analysis.evidence.grid import GRID, harm_prior
from analysis.evidence.noise import Noise
from analysis.evidence.special import FloatArray, log_sum_exp
from analysis.evidence.windows import CountWindows

NULL_BOUND = 0.03
"""The null is "u <= 0.03": a bias of 3 % is forgiven."""
_DELTA_STEP = 0.04
# Beyond this bound too little of the grid is left to be an alternative.
_DELTA_MAX = float(GRID[-1]) - 1.0

Direction = Literal["Increase", "Decrease", "Either"]


@dataclass(frozen=True)
class HarmRule:
    """What counts as harm.

    Attributes:
        harm: the estimate must be at least this much worse, as a ratio: 0.1 is 10 %.
        min_difference: absolute differences of the rate below this are none.
    """

    harm: float
    direction: Direction = "Increase"
    min_difference: float = 0.0


def harm_log_evidence(windows: CountWindows, noise: Noise, rule: HarmRule) -> float:
    """Return the logarithm of the e-process at the last window.

    Universal inference (Wasserman, Ramdas, Balakrishnan 2020): a mixture over the alternative against the best
    point of the composite null, so P(sup E >= 1/a) <= a under every point of the null (Ville). Counted only
    while the estimate itself shows practical harm, which lowers E and so keeps its validity. `Either` is the
    mean of both directions, which is an e-process again.
    """
    match rule.direction:
        case "Increase":
            return _one_way(windows, noise, rule, math.log1p(rule.harm))
        case "Decrease":
            return _one_way(windows.swapped(), noise, rule, -math.log1p(-min(rule.harm, 0.999)))
        case "Either":
            more = _one_way(windows, noise, rule, math.log1p(rule.harm))
            fewer = _one_way(windows.swapped(), noise, rule, -math.log1p(-min(rule.harm, 0.999)))
            return float(np.logaddexp(more, fewer)) - math.log(2)


def _one_way(windows: CountWindows, noise: Noise, rule: HarmRule, gate: float) -> float:
    delta = null_bound(windows, rule.min_difference)
    if delta >= _DELTA_MAX:
        return 0.0
    likelihood = log_likelihood(windows, noise)
    evidence = e_value(likelihood, delta)
    estimate = float(GRID[int(likelihood.argmax())])
    return evidence if estimate >= max(gate, delta) else min(evidence, 0.0)


def e_value(likelihood: FloatArray, delta: float) -> float:
    """Return ln of (mixture beyond delta) / (best point up to delta)."""
    mixture = log_sum_exp(likelihood + harm_prior(delta))
    return mixture - float(likelihood[delta >= GRID].max())


def null_bound(windows: CountWindows, min_difference: float) -> float:
    """Return the bound of the null: the ratio that an absolute difference of `min_difference` makes.

    The base rate is that of the control before the running window, so that the bound is known before the data
    it is used on. Rounded up to the grid.
    """
    if min_difference <= 0:
        return NULL_BOUND
    control = windows.stable.until(max(windows.stable.totals.shape[1] - 1, 0))
    base_rate = (float(control.events.sum()) + 0.5) / (float(control.totals.sum()) + 1.0)
    floor = math.log1p(min_difference / base_rate)
    return max(NULL_BOUND, math.ceil(floor / _DELTA_STEP) * _DELTA_STEP if math.isfinite(floor) else _DELTA_MAX)
