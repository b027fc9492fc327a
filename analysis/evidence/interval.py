"""A confidence sequence of the ratio canary/stable: right at every look at once."""

import math

import numpy as np

from analysis.evidence.grid import GRID, interval_prior
from analysis.evidence.special import FloatArray, log_sum_exp

ALPHA = 0.05


def interval(likelihood: FloatArray, alpha: float = ALPHA) -> tuple[float, float, float] | None:
    """Return estimate, lower and upper end of u; None where the data say nothing.

    All u whose likelihood is more than alpha times the mixture's (Robbins 1970; Howard and others 2021).
    """
    if float(likelihood.max() - likelihood.min()) < 1e-9:
        return None
    mixture = log_sum_exp(likelihood + interval_prior())
    kept = np.flatnonzero(mixture - likelihood < -math.log(alpha))
    return float(GRID[int(likelihood.argmax())]), float(GRID[kept[0]]), float(GRID[kept[-1]])
