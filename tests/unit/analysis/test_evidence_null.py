"""Evidence keeps its promise where nothing is wrong; `make bench-martingale` shows the same at its full size."""

import math

import numpy as np
import pytest

from analysis.evidence.block import Block, block_of
from analysis.evidence.grid import GRID
from analysis.evidence.likelihood import GridLikelihood
from analysis.evidence.noise import Noise
from analysis.evidence.parts.growth import GrowthPart
from tests.benchmarks.martingale import Row, batch, most_by_chance, names
from tests.support.judging import arm, table

REPLICATES, LOOKS = 40, 60


@pytest.mark.parametrize("name", names())
def test_evidence_and_intervals_keep_their_promise_under_every_exact_null(name: str) -> None:
    few = REPLICATES // 4 if name in ("combined", "everything together") else REPLICATES
    row = Row(name, LOOKS).plus(batch(name, range(few), LOOKS))
    assert row.kept, row


def test_what_chance_explains_is_that_of_the_binomial() -> None:
    assert most_by_chance(1, 0.5) == 1
    assert most_by_chance(1000, 0.05) == 73
    assert most_by_chance(40, 0.01) == 3


@pytest.mark.parametrize("u", [0.0143, 0.0394, 0.02])
def test_a_truth_at_the_bound_of_the_null_is_no_harm_however_sharp_the_data(u: float) -> None:
    for events in (1e3, 1e5, 1e7):
        likelihood = GridLikelihood(-0.5 * events * (GRID - u) ** 2)
        assert likelihood.harm_log_evidence(u, 0.0) <= 0


def test_an_interval_covers_a_truth_between_two_points_of_the_grid() -> None:
    found = GridLikelihood(-0.5 * 1e6 * (GRID - 0.05) ** 2).estimate()
    assert found is not None
    assert found.lower <= 0.05 <= found.upper
    assert found.upper - found.lower < 0.13


def test_slopes_are_as_uncertain_as_simulation_shows_whatever_the_number_of_stable_pods() -> None:
    part = GrowthPart(Noise(0.01, 0.0), 0.04)
    for pods in ((1, 10), (4, 4), (4, 1)):
        slopes, variance = [], 0.0
        for seed in range(150):
            gathered = None
            for block in leveled(np.random.default_rng(seed), pods):
                new = part.gather(block)
                gathered = new if gathered is None else gathered.plus(new)
            assert gathered is not None
            found = part.likelihood(gathered)
            slopes.append(found.low)
            variance = found.variance
        assert np.var(slopes) == pytest.approx(variance, rel=0.4)


def leveled(random: np.random.Generator, pods: tuple[int, int]) -> list[Block]:
    arms = [np.exp(random.normal(0, 0.1, (count, 24, 1))) for count in pods]
    whole = table(arm("new", arms[0]), arm("old", arms[1]))
    return [block_of(whole.cut(first, first + 4), "Log") for first in range(0, 24, 4)]


def test_odds_of_twenty_are_reached_where_harm_is_plain() -> None:
    # The same likelihood a step beyond its bound: the tests above do not pass because nothing ever counts.
    likelihood = GridLikelihood(-0.5 * 1e4 * (GRID - 0.2) ** 2)
    assert likelihood.harm_log_evidence(0.0143, 0.0) > math.log(20)
