"""Pairs of (index, time) packed into one sortable integer, so that whole selectors are handled without loops."""

import numpy as np

from analysis.series.clock import IntArray

_TIME_BITS = 43
_OFFSET = 1 << (_TIME_BITS - 1)
TIME_MS_MAX = _OFFSET - 1
"""Times further than this from the run's start, 139 years, are refused."""


def packed(index: IntArray | int, time: IntArray | int) -> IntArray:
    """Return the pairs; they sort by index, then by time."""
    return np.asarray((np.asarray(index, dtype=np.int64) << _TIME_BITS) + (np.asarray(time) + _OFFSET), dtype=np.int64)


def index_of(pairs: IntArray) -> IntArray:
    """Return the indices of pairs."""
    return np.asarray(pairs >> _TIME_BITS, dtype=np.int64)


def time_of(pairs: IntArray) -> IntArray:
    """Return the times of pairs."""
    return np.asarray((pairs & ((1 << _TIME_BITS) - 1)) - _OFFSET, dtype=np.int64)
