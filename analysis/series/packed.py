"""Pairs of (index, time) packed into one sortable integer, so that whole selectors are handled without loops."""

from analysis.series.clock import IntArray

_TIME_BITS = 43
_OFFSET = 1 << (_TIME_BITS - 1)
TIME_MS_MAX = _OFFSET - 1
"""Times further than this from the run's start, 139 years, are refused."""


def packed(index: IntArray, time: IntArray) -> IntArray:
    """Return the pairs; they sort by index, then by time."""
    return (index << _TIME_BITS) + (time + _OFFSET)


def index_of(pairs: IntArray) -> IntArray:
    """Return the indices of pairs."""
    return pairs >> _TIME_BITS


def time_of(pairs: IntArray) -> IntArray:
    """Return the times of pairs."""
    return (pairs & ((1 << _TIME_BITS) - 1)) - _OFFSET
