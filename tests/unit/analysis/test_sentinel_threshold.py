"""Thresholds of sentinels: an order statistic, and none where it would promise too much."""

import math
from fractions import Fraction

import numpy as np
import pytest

from analysis.errors import InvalidSpec
from analysis.model.sentinel.threshold import largest_scores, p_value, trajectory_threshold


@pytest.mark.parametrize("budget", [0.5, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.07, 1 / 3])
def test_the_threshold_is_the_order_statistic_of_split_conformal_prediction(budget: float) -> None:
    exact = Fraction(repr(budget))
    needed = math.ceil(1 / exact) - 1
    for count in {needed - 1, needed, needed + 1, 2 * needed, 2 * needed + 1, 997, 999}:
        limit = trajectory_threshold([float(rank) for rank in range(1, count + 1)], budget)
        assert limit == (None if count < needed else float(math.ceil((count + 1) * (1 - exact))))


def test_a_new_rollout_exceeds_the_threshold_as_rarely_as_promised() -> None:
    rng = np.random.default_rng(20)
    exceeded = [
        scores[-1] > (trajectory_threshold(sorted(scores[:-1]), 0.1) or math.inf)
        for scores in rng.standard_exponential((4000, 20)).tolist()
    ]
    # 19 rollouts, rank ceil(20 * 0.9) = 18: exactly 2 of 20 places are above it. Three standard errors of 4000 tries.
    assert abs(np.mean(exceeded) - 0.1) < 3 * math.sqrt(0.1 * 0.9 / 4000)


def test_whole_rollouts_count_not_their_looks() -> None:
    assert largest_scores([np.array([1.0, 7.0, 3.0]), np.array([]), np.array([2.0])]) == (2.0, 7.0)


@pytest.mark.parametrize("score", [math.nan, math.inf])
def test_a_score_that_is_no_number_calibrates_nothing(score: float) -> None:
    with pytest.raises(InvalidSpec, match=r"trajectories\[1\]"):
        largest_scores([np.array([1.0]), np.array([1.0, score])])


@pytest.mark.parametrize("budget", [0.0, 1.0, -0.1, math.nan])
def test_a_budget_is_between_nothing_and_all(budget: float) -> None:
    with pytest.raises(InvalidSpec, match="budget"):
        trajectory_threshold([1.0], budget)


def test_p_values_count_ties_as_reached_and_are_never_zero() -> None:
    assert p_value(2.0, [1.0, 2.0, 3.0]) == 3 / 4
    assert p_value(9.0, [1.0, 2.0, 3.0]) == 1 / 4
    assert p_value(9.0, []) == 1.0
