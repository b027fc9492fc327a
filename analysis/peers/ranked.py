"""The n-th largest value so far: what n failed checks need."""

import numpy as np

from analysis.evidence.special import FloatArray


def largest_so_far(values: FloatArray, rank: int) -> FloatArray:
    """Return at each place the rank-th largest of the values up to there, -inf while there are fewer."""
    best = np.full(rank, -np.inf)
    found = np.empty_like(values)
    for place, value in enumerate(values):
        if value > best[0]:
            best[0] = value
            best.sort()
        found[place] = best[0]
    return found
