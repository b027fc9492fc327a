"""From scores to an alarm: what healthy rollouts reached decides what is unusual."""

from bisect import bisect_left
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from analysis.errors import InvalidSpec
from analysis.evidence.special import FloatArray


def largest_scores(trajectories: Sequence[FloatArray]) -> tuple[float, ...]:
    """Return the largest score of each healthy rollout, sorted.

    Whole rollouts are counted, not looks: looks of one rollout resemble each other, rollouts may be exchanged.

    Args:
        trajectories: a (looks,) array a rollout; one without a look says nothing and is left out.

    Raises:
        InvalidSpec: a score is not finite.
    """
    for index, scores in enumerate(trajectories):
        if not np.isfinite(scores).all():
            raise InvalidSpec(f"trajectories[{index}]", "holds a score that is no number", "fill contrasts before")
    return tuple(sorted(float(scores.max()) for scores in trajectories if len(scores)))


def trajectory_threshold(largest: Sequence[float], budget: float) -> float | None:
    """Return what the largest score of a healthy rollout exceeds with a probability of at most the budget.

    The ceil((n+1)(1-budget))-th smallest of n values (split conformal prediction, Vovk, Gammerman and Shafer 2005). It
    needs no model at all, only that healthy rollouts are exchangeable, and that none of them was fitted on.

    Args:
        largest: largest score of each healthy rollout, sorted.
        budget: ratio of healthy rollouts that may be taken for anomalies, between 0 and 1.

    Returns:
        The threshold: more is an alarm. None where fewer than ceil(1/budget)-1 rollouts cannot support any.

    >>> trajectory_threshold([float(score) for score in range(1, 100)], 0.01)
    99.0
    >>> trajectory_threshold([float(score) for score in range(1, 99)], 0.01) is None
    True
    """
    if not 0 < budget < 1:
        raise InvalidSpec("budget", f"is {budget}", "write a ratio between 0 and 1")
    # Exact decimals: (n+1)(1-budget) in floats may land just above a whole number and ask for one value more.
    allowed = (len(largest) + 1) * Fraction(repr(float(budget))) // 1
    return largest[len(largest) - allowed] if allowed >= 1 else None


def p_value(score: float, largest: Sequence[float]) -> float:
    """Return how often healthy rollouts reach such a score: (1 + those that did) / (1 + all); 1 of none.

    >>> p_value(2.5, [1.0, 2.0, 3.0])
    0.5
    """
    reached = len(largest) - bisect_left(largest, score)
    return (1 + reached) / (1 + len(largest))
