"""Drift of a model: sound models are seldom degraded, changed services soon."""

import doctest
import math
from bisect import insort
from collections.abc import Iterable

import msgspec
import numpy as np
import pytest

from analysis.errors import InvalidSpec
from analysis.model import drift as module
from analysis.model.drift import REFERENCE_MAX, Drift, conformal_p_value


def _played(p_values: Iterable[float]) -> Drift:
    drift = Drift()
    for p_value in p_values:
        drift = drift.after(p_value)
    return drift


def _online(scores: Iterable[float]) -> list[float]:
    earlier: list[float] = []
    p_values = []
    for score in scores:
        p_values.append(conformal_p_value(score, earlier))
        if len(earlier) < REFERENCE_MAX:
            insort(earlier, score)
    return p_values


def test_under_uniform_p_values_at_most_one_model_in_twenty_is_ever_degraded() -> None:
    rng = np.random.default_rng(30)
    degraded = np.mean([_played(rng.random(200)).degraded for _ in range(800)])
    assert degraded <= 1 / 20 + 3 * math.sqrt(0.05 * 0.95 / 800)


def test_the_capital_of_a_sound_model_is_one_on_average() -> None:
    rng = np.random.default_rng(31)
    capital = np.array([_played(rng.random(12)).capital for _ in range(4000)])
    assert abs(capital.mean() - 1) < 4 * capital.std() / math.sqrt(len(capital))


def test_exchangeable_scores_degrade_at_most_one_model_in_twenty_also_with_ties() -> None:
    rng = np.random.default_rng(32)
    scores = rng.poisson(2.0, (400, 200)).astype(float)
    degraded = np.mean([_played(_online(row)).degraded for row in scores.tolist()])
    assert degraded <= 1 / 20 + 3 * math.sqrt(0.05 * 0.95 / 400)


@pytest.mark.parametrize("shift", [2.0, -2.0])
def test_a_service_that_changes_in_either_direction_is_noticed(shift: float) -> None:
    rng = np.random.default_rng(33)
    before, after = rng.standard_normal(200), shift + rng.standard_normal(60)
    p_values = _online(np.concatenate([before, after]).tolist())
    assert not _played(p_values[:200]).degraded
    assert _played(p_values).degraded


def test_a_full_reference_makes_no_drift_of_its_own() -> None:
    rng = np.random.default_rng(34)
    assert not _played(_online(rng.standard_normal(3 * REFERENCE_MAX).tolist())).degraded


def test_a_degraded_model_stays_so_and_its_state_stays_small() -> None:
    drift = _played([0.01] * 60)
    assert drift.degraded
    later = _played([0.01] * 60 + [0.5] * 3000)
    assert later.degraded
    assert len(msgspec.json.encode(later)) < 300
    assert msgspec.json.decode(msgspec.json.encode(later), type=Drift) == later


def test_endless_bad_news_do_not_overflow() -> None:
    drift = _played([0.0] * 3000)
    assert drift.capital == math.inf
    assert drift.degraded


def test_the_middle_rank_has_a_mean_of_one_half() -> None:
    for bag in ([1.0, 2.0, 3.0, 4.0], [1.0, 1.0, 2.0], [5.0, 5.0, 5.0]):
        p_values = [conformal_p_value(bag[at], sorted(bag[:at] + bag[at + 1 :])) for at in range(len(bag))]
        assert np.mean(p_values) == pytest.approx(0.5)


@pytest.mark.parametrize("p_value", [-0.01, 1.01, math.nan, math.inf])
def test_what_is_no_p_value_is_refused(p_value: float) -> None:
    with pytest.raises(InvalidSpec, match="pValue"):
        Drift().after(p_value)


def test_more_scores_than_the_reference_holds_are_refused() -> None:
    with pytest.raises(InvalidSpec, match="earlier"):
        conformal_p_value(1.0, [0.0] * (REFERENCE_MAX + 1))


def test_the_example_of_a_drift_holds() -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
