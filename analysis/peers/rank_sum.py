"""The rank-sum test of Mann and Whitney (1947) with a shift."""

import math

import numpy as np

from analysis.evidence.special import FloatArray


def shift_estimate(canary: FloatArray, control: FloatArray) -> float:
    """Return the median of all differences canary - control (Hodges and Lehmann 1963)."""
    return float(np.median(canary[:, None] - control[None, :]))


def rank_sum_z(canary: FloatArray, control: FloatArray, shift: float = 0.0) -> float:
    """Return the standardised statistic of "the canary is larger by more than `shift`".

    Normal approximation with corrections for continuity and for ties. The interval of all shifts that the test does not
    reject at a quantile z has its lower end above `shift` where this is above z. So it is the statistic just above
    `shift`: a difference of exactly `shift` speaks against, and only values of one arm can be equal.
    """
    larger = float((canary[:, None] - control[None, :] > shift).sum())
    excess = larger - canary.size * control.size / 2
    whole = canary.size + control.size
    tied = (_tied(canary) + _tied(control)) / (whole * (whole - 1))
    variance = canary.size * control.size / 12 * (whole + 1 - tied)
    if excess == 0 or variance <= 0:
        return 0.0
    return (excess - math.copysign(0.5, excess)) / math.sqrt(variance)


def _tied(values: FloatArray) -> float:
    _, counts = np.unique(values, return_counts=True)
    return float((counts.astype(np.float64) ** 3 - counts).sum())
