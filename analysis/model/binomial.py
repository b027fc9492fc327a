"""Exact bounds on a probability from a few trials, without SciPy."""

import math
from collections.abc import Callable

CONFIDENCE = 0.95


def upper_bound(found: int, trials: int, confidence: float = CONFIDENCE) -> float:
    """Return the one-sided upper bound of Clopper and Pearson (1934); 1 of no trials.

    >>> round(upper_bound(0, 299), 4), round(upper_bound(3, 310), 4)
    (0.01, 0.0248)
    """
    if trials <= 0 or found >= trials:
        return 1.0
    return _solved(lambda p: _at_most(found, trials, p) > 1 - confidence)


def lower_bound(found: int, trials: int, confidence: float = CONFIDENCE) -> float:
    """Return the one-sided lower bound; 0 of none found."""
    return 1 - upper_bound(trials - found, trials, confidence) if found > 0 else 0.0


def _solved(too_small: Callable[[float], bool]) -> float:
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if too_small(middle) else (low, middle)
    return high


def _at_most(found: int, trials: int, p: float) -> float:
    """P(X <= found) of a binomial X."""
    if p <= 0:
        return 1.0
    if p >= 1:
        return 0.0
    constant = math.lgamma(trials + 1)
    terms = (
        constant - math.lgamma(k + 1) - math.lgamma(trials - k + 1) + k * math.log(p) + (trials - k) * math.log1p(-p)
        for k in range(found + 1)
    )
    return math.fsum(math.exp(term) for term in terms)
