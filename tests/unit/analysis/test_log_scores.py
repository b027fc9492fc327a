"""Scores of a histogram's buckets: logarithms of their middles, whatever bounds a component has."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analysis.evidence.parts.typical import log_scores

bounds = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=40, unique=True).map(
    lambda found: tuple(sorted(found))
)


@given(bounds)
def test_every_bucket_has_a_finite_score_and_none_is_less_than_the_one_before(known: tuple[float, ...]) -> None:
    scores = log_scores(known)
    assert scores.shape == (len(known) + 1,)
    assert np.isfinite(scores).all()
    assert (np.diff(scores) >= 0).all()


def test_bounds_that_begin_at_zero_score_like_those_without_it() -> None:
    with_zero, without = log_scores((0.0, 0.005, 0.01, 0.025)), log_scores((0.005, 0.01, 0.025))
    assert np.array_equal(with_zero[1:], without)
    assert with_zero[0] == without[0]


def test_a_slower_tenth_shifts_the_score_by_a_tenth() -> None:
    fine = tuple(0.001 * 1.05**step for step in range(200))
    scores, middles = log_scores(fine), np.sqrt(np.asarray(fine[1:]) * np.asarray(fine[:-1]))
    assert np.allclose(scores[1:-1], np.log(middles))
