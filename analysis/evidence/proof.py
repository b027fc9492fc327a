"""Proof of no harm, for the step `verify`: a worsening beyond the tolerance is excluded at beta = 0.05."""

import math

from analysis.evidence.counts import log_likelihood
from analysis.evidence.grid import GRID, safe_prior
from analysis.evidence.harm import Direction
from analysis.evidence.noise import Noise
from analysis.evidence.single import below_log_evidence
from analysis.evidence.special import FloatArray, log_sum_exp
from analysis.evidence.windows import CountWindows

BETA = 0.05
_MARGIN_MAX = float(GRID[-1]) - 1.0
_MARGIN_STEP = 0.04


def is_proven(
    windows: CountWindows, noise: Noise, tolerance: float, direction: Direction, min_difference: float
) -> bool:
    """Whether the windows exclude a worsening beyond `tolerance` (0.5 is 50 %), at beta = 0.05.

    The windows are those since the last change of weight. A service without errors says nothing about a
    ratio; it is proven once the canary's own rate is bounded below `min_difference`.
    """
    if _ratio_proven(windows, noise, tolerance, direction):
        return True
    if direction != "Increase" or min_difference <= 0:
        return False
    return below_log_evidence(windows, noise, min_difference) >= -math.log(BETA)


def _ratio_proven(windows: CountWindows, noise: Noise, tolerance: float, direction: Direction) -> bool:
    more = math.log1p(tolerance)
    fewer = -math.log1p(-min(tolerance, 0.95))
    match direction:
        case "Increase":
            return _excluded(windows, noise, more)
        case "Decrease":
            return _excluded(windows.swapped(), noise, fewer)
        case "Either":
            return _excluded(windows, noise, more) and _excluded(windows.swapped(), noise, fewer)


def _excluded(windows: CountWindows, noise: Noise, margin: float) -> bool:
    # The margin goes down to the grid: what is proven is never more than what was asked.
    margin = min(math.floor(margin / _MARGIN_STEP + 1e-9) * _MARGIN_STEP, _MARGIN_MAX)
    return safe_log_evidence(log_likelihood(windows, noise), margin) >= -math.log(BETA)


def safe_log_evidence(likelihood: FloatArray, margin: float) -> float:
    """Return the log e-process against "u is at least the margin" (universal inference)."""
    if margin <= 0:
        return 0.0
    mixture = log_sum_exp(likelihood + safe_prior(margin))
    return mixture - float(likelihood[margin - 1e-9 <= GRID].max())
