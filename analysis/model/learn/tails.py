"""Which tails of a histogram to watch: chosen from history, never from the data under test."""

from collections.abc import Sequence

import numpy as np

from analysis.evidence.table import Table

WISHED_SHARES = (0.07, 0.01)
"""Shares of requests slower than the bound: one that many requests pass, and one that tells of the slowest."""
_SHARE_MIN, _SHARE_MAX = 0.001, 0.25


def tails_of(segments: Sequence[Table]) -> tuple[float, ...]:
    """Return bounds in seconds, ascending: those with the nearest shares of slower requests, on a log scale.

    Only the bounds that all segments have count. None where no bound has between 0.1 and 25 % of requests above it.
    """
    histograms = [segment for segment in segments if segment.bounds]
    if not histograms:
        return ()
    shared = sorted(set.intersection(*(set(segment.bounds) for segment in histograms)))
    shares = {bound: _slower(histograms, bound) for bound in shared}
    usable = [bound for bound in shared if _SHARE_MIN <= shares[bound] <= _SHARE_MAX]
    chosen = {min(usable, key=lambda bound: abs(np.log(shares[bound] / wished))) for wished in WISHED_SHARES if usable}
    return tuple(sorted(chosen))


def _slower(segments: Sequence[Table], bound: float) -> float:
    """Return the median over segments, so that a few bad ones choose nothing."""
    shares = []
    for segment in segments:
        requests = segment.stable.amounts.sum(axis=(0, 1))
        if requests.sum() > 0:
            shares.append(float(requests[segment.bounds.index(bound) + 1 :].sum() / requests.sum()))
    return float(np.median(shares)) if shares else 0.0
