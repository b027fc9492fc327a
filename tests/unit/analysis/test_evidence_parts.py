"""From a block to what it says: every family against plain formulas."""

import math

import numpy as np
import pytest
from numpy.typing import ArrayLike

from analysis.evidence.block import Block, block_of, block_windows, paired
from analysis.evidence.gathered import Gathered, PodSums, log_load_ratio, nothing
from analysis.evidence.grid import GRID
from analysis.evidence.likelihood import Estimate, Likelihood
from analysis.evidence.noise import Noise, prior_noise
from analysis.evidence.parts.counts import CountsPart, block_log_likelihood, nearest_bound
from analysis.evidence.parts.growth import GrowthPart
from analysis.evidence.parts.level import LevelPart
from analysis.evidence.parts.rate import RatePart, is_above
from analysis.evidence.parts.share import SharePart
from analysis.evidence.parts.typical import TypicalPart, log_scores
from analysis.evidence.parts.usage import UsagePart
from analysis.evidence.table import ArmTable, Table, joined
from tests.support.judging import WINDOW, arm, steady, table

QUIET = Noise(0.0, 0.0)
BOUNDS = (0.1, 0.2, 0.4)


def u_of(likelihood: Likelihood) -> float:
    return known(likelihood).u


def known(likelihood: Likelihood) -> Estimate:
    found = likelihood.estimate()
    assert found is not None
    return found


def block(canary: ArrayLike, stable: ArrayLike, windows: int = 4, bounds: tuple[float, ...] = ()) -> Block:
    """A block in which each pod does the same in every window, a row a pod."""
    arms = [np.repeat(np.asarray(one, dtype=np.float64)[:, None, :], windows, axis=1) for one in (canary, stable)]
    return block_of(table(arm("new", arms[0]), arm("old", arms[1]), bounds), "Sum")


def levels(canary: list[list[float]], stable: list[list[float]], scale: str = "Log") -> Block:
    arms = [np.asarray(one, dtype=np.float64)[:, :, None] for one in (canary, stable)]
    return block_of(table(arm("new", arms[0]), arm("old", arms[1])), "Logit" if scale == "Logit" else "Log")


# --- blocks and sums ---


def test_a_block_lasts_two_minutes_and_four_windows_at_least() -> None:
    assert block_windows(30.0) == 4
    assert block_windows(5.0) == 24
    assert block_windows(60.0) == 4


def test_pods_of_which_nothing_is_known_are_left_out() -> None:
    amounts = np.ones((2, 4, 2))
    half = table(arm("new", amounts, np.array([[WINDOW], [0.0]])), arm("old", amounts))
    assert block_of(half, "Sum").canary.pods == ("new-00",)
    missing = np.full((1, 3, 1), math.nan)
    assert block_of(table(arm("new", missing), arm("old", missing)), "Log").canary.pods == ()


def test_gauges_are_averaged_on_their_scale_over_the_windows_that_have_one() -> None:
    seen = levels([[1.0, math.nan, math.e**2, 0.0]], [[1.0, 1.0, 1.0, 1.0]]).canary
    assert seen.amounts[0, 0] == pytest.approx(1.0)
    assert seen.amounts[0, 1] == pytest.approx((0.5 + 2.5) / 2 * WINDOW / 3600)
    assert seen.seconds.tolist() == [2 * WINDOW]
    bounded = levels([[0.8, 1.0]], [[0.5, 0.5]], "Logit")
    assert bounded.canary.amounts[0, 0] == pytest.approx(math.log(4))


def test_sums_of_pods_that_come_and_go_are_kept_apart() -> None:
    one = PodSums(("a", "b"), np.array([[1.0, 2.0]]))
    two = PodSums(("b", "c"), np.array([[5.0, 7.0]]))
    both = one.plus(two)
    assert both.pods == ("a", "b", "c")
    assert both.sums.tolist() == [[1.0, 7.0, 7.0]]
    assert one.plus(one).sums.tolist() == [[2.0, 4.0]]
    assert both.effective_pods == pytest.approx(15**2 / (1 + 49 + 49))
    assert PodSums((), np.zeros((1, 0))).effective_pods == 1


def test_nothing_is_the_zero_of_sums() -> None:
    some = CountsPart(QUIET).gather(block([[3, 100]], [[2, 100]]))
    added = nothing(some).plus(some)
    assert np.array_equal(added.sums, some.sums)
    assert added.canary.pods == some.canary.pods


def test_tables_that_follow_each_other_are_joined_and_swapped() -> None:
    first, second = steady((1, 1), 2, (1, 2), (3, 4)), steady((2, 1), 3, (5, 6), (7, 8))
    both = joined(first, second)
    assert both.windows == 5
    assert both.canary.seconds[:, :2].tolist() == [[WINDOW, WINDOW], [0.0, 0.0]]
    assert both.swapped().canary.amounts[0, 0].tolist() == [3.0, 4.0]
    gauges = [Table(ArmTable((n,), np.ones((1, 1)), np.ones((1, 1, 1))), first.stable, 0, 30.0) for n in "ab"]
    assert math.isnan(joined(gauges[0], gauges[1]).canary.amounts[1, 0, 0])
    assert block([[1, 2]], [[3, 4]]).swapped().canary.amounts.tolist() == [[12.0, 16.0]]


def test_load_is_compared_by_pod_second_and_unknown_without_traffic() -> None:
    assert log_load_ratio((200, 100), (30, 30)) == pytest.approx(math.log(2))
    assert log_load_ratio((0, 100), (30, 30)) == 0


# --- counts ---


def test_without_noise_the_likelihood_of_counts_is_binomial() -> None:
    values = block_log_likelihood(30, 1000, 20, 3000, 0.0)
    theta = 1000 * np.exp(GRID) / (1000 * np.exp(GRID) + 3000)
    plain = 30 * np.log(theta) + 20 * np.log(1 - theta)
    assert np.allclose(values, plain - plain[GRID.size // 2])
    assert GRID[values.argmax()] == pytest.approx(math.log(4.5), abs=0.04)


def test_with_noise_the_likelihood_of_counts_is_beta_binomial() -> None:
    variance, share = 0.3, 0.25
    concentration = 1 / (variance * share * (1 - share)) - 1
    theta = 1 / (1 + np.exp(np.log(3) - GRID))

    def log_beta(a: float, b: float) -> float:
        return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)

    plain = np.array(
        [
            log_beta(7 + concentration * t, 5 + concentration * (1 - t))
            - log_beta(concentration * t, concentration * (1 - t))
            for t in theta
        ]
    )
    assert np.allclose(block_log_likelihood(7, 100, 5, 300, variance), plain - plain[GRID.size // 2], atol=1e-9)


def test_arms_of_the_most_different_size_give_finite_likelihoods() -> None:
    for nc, ns in ((1e-9, 1e15), (1e15, 1e-9), (1e300, 1.0)):
        for variance in (0.0, 1e-3, 1e6):
            assert np.isfinite(block_log_likelihood(3, nc, 5, ns, variance)).all()


def test_counts_estimate_the_ratio_of_rates_and_report_their_totals() -> None:
    part = CountsPart(QUIET)
    sums = part.gather(block([[30, 1000], [30, 1000]], [[10, 1000]]))
    assert u_of(part.likelihood(sums)) == pytest.approx(math.log(3), abs=0.03)
    assert part.totals(sums) == (240.0, 8000.0, 40.0, 4000.0)


def test_counts_without_traffic_or_events_say_nothing() -> None:
    part = CountsPart(prior_noise(WINDOW))
    for nothing_seen in (block([[0, 100]], [[0, 100]]), block([[0, 0]], [[5, 100]])):
        assert not part.likelihood(part.gather(nothing_seen)).known


def test_what_load_explains_is_taken_off_and_its_doubt_widens() -> None:
    loaded = block([[40, 2000]], [[10, 1000]])
    plain = CountsPart(QUIET)
    explained = CountsPart(Noise(0.0, 0.0, elasticity=1.0))
    doubted = CountsPart(Noise(0.0, 0.0, elasticity=1.0, elasticity_error=0.5))
    unloaded = CountsPart(Noise(0.0, 0.0, elasticity=1.0), has_load=False)
    assert u_of(plain.likelihood(plain.gather(loaded))) == pytest.approx(math.log(2), abs=0.03)
    assert u_of(explained.likelihood(explained.gather(loaded))) == pytest.approx(0.0, abs=0.03)
    assert u_of(unloaded.likelihood(unloaded.gather(loaded))) == pytest.approx(math.log(2), abs=0.03)
    wide, narrow = (known(part.likelihood(part.gather(loaded))) for part in (doubted, explained))
    assert wide.upper - wide.lower > narrow.upper - narrow.lower


def test_evidence_saturates_where_pods_differ_and_grows_where_they_do_not() -> None:
    def evidence(blocks: int, tau2: float) -> float:
        part = CountsPart(Noise(0.0, tau2))
        one = part.gather(block([[15, 1000]], [[10, 1000]] * 10))
        return part.likelihood(summed([one] * blocks)).harm_log_evidence(0.0143, 0.095)

    assert evidence(1000, 0.04) < math.log(100)
    assert evidence(1000, 0.0) > math.log(1e6)


def summed(gathered: list[Gathered]) -> Gathered:
    whole = gathered[0]
    for one in gathered[1:]:
        whole = whole.plus(one)
    return whole


def test_more_noise_is_less_evidence() -> None:
    worse = block([[30, 1000]] * 3, [[10, 1000]] * 3)
    found = []
    for omega2 in (0.0, 0.3, 3.0):
        part = CountsPart(Noise(omega2, 0.0))
        found.append(part.likelihood(part.gather(worse)).harm_log_evidence(0.0143, 0.095))
    assert found == sorted(found, reverse=True)
    assert found[0] > found[2] + 1


def test_events_that_came_in_one_window_weigh_as_one_window() -> None:
    part = CountsPart(Noise(0.5, 0.0))
    spread = np.zeros((2, 4, 2))
    spread[:, :, 0], spread[:, :, 1] = 25, 1000
    burst = spread.copy()
    burst[:, :, 0] = [100, 0, 0, 0]
    calm = np.zeros((2, 4, 2))
    calm[:, :, 0], calm[:, :, 1] = 1, 1000

    def evidence(canary: "np.typing.NDArray[np.float64]") -> float:
        whole = block_of(table(arm("new", canary), arm("old", calm)), "Sum")
        return part.likelihood(part.gather(whole)).harm_log_evidence(0.0143, 0.095)

    assert evidence(burst) < evidence(spread)


def test_a_tail_counts_what_is_slower_than_the_nearest_bound() -> None:
    part = CountsPart(QUIET, tail_seconds=0.21)
    sums = part.gather(block([[5, 5, 3, 2]], [[8, 1, 1, 0]], bounds=BOUNDS))
    assert part.totals(sums) == (20.0, 60.0, 4.0, 40.0)
    assert nearest_bound(BOUNDS, 0.27) == 1
    assert nearest_bound((), 0.27) == -1


# --- typical latency ---


def test_a_typical_shift_is_the_difference_of_the_mean_scores() -> None:
    part = TypicalPart(QUIET, 0.03)
    canary, stable = np.array([50, 30, 15, 5]), np.array([70, 20, 8, 2])
    sums = part.gather(block([canary], [stable], bounds=BOUNDS))
    scores = log_scores(BOUNDS)
    shift = float(canary @ scores / 100 - stable @ scores / 100)
    assert u_of(part.likelihood(sums)) == pytest.approx(shift)
    assert part.totals(sums) == (0.0, 400.0, 0.0, 400.0)


def test_every_request_ten_percent_slower_shows_as_ten_percent() -> None:
    bounds = tuple(0.01 * 1.3**power for power in range(30))
    part = TypicalPart(QUIET, 0.03)

    def counts(median: float) -> "np.typing.NDArray[np.float64]":
        ends = [0.5 * (1 + math.erf(math.log(bound / median) / 0.7 / math.sqrt(2))) for bound in bounds]
        return np.diff(np.array(ends), prepend=0.0, append=1.0) * 1e5

    sums = part.gather(block([counts(0.11)], [counts(0.1)], bounds=bounds))
    assert u_of(part.likelihood(sums)) == pytest.approx(math.log(1.1), abs=0.002)


def test_few_requests_and_no_bounds_say_nothing_typical() -> None:
    part = TypicalPart(QUIET, 0.03)
    assert not part.likelihood(part.gather(block([[0, 1, 0, 0]], [[9, 9, 9, 9]], bounds=BOUNDS))).known
    assert not part.likelihood(part.gather(block([[9, 9]], [[9, 9]]))).known


def test_a_typical_shift_that_load_explains_is_taken_off() -> None:
    part = TypicalPart(Noise(0.0, 0.0, elasticity=0.5, elasticity_error=0.1), 0.03)
    sums = part.gather(block([[100, 60, 30, 10]], [[50, 30, 15, 5]], bounds=BOUNDS))
    found = part.likelihood(sums)
    assert u_of(found) == pytest.approx(-0.5 * math.log(2))
    assert found.variance >= (0.1 * math.log(2)) ** 2


# --- gauges ---


def test_a_level_is_the_difference_of_mean_logarithms_with_the_noise_of_its_pods() -> None:
    part = LevelPart(Noise(0.02, 0.003), 0.05)
    sums = part.gather(levels([[2.0] * 4, [4.0] * 4], [[2.0] * 4] * 4))
    found = part.likelihood(sums)
    assert found.low == pytest.approx(math.log(2) / 2)
    assert found.variance == pytest.approx(0.02 / 4 * (1 / 2 + 1 / 4) + 0.003 * (1 / 2 + 1 / 4))
    assert part.totals(sums) == (0.0, 240.0, 0.0, 480.0)


def test_a_level_of_one_arm_alone_says_nothing() -> None:
    part = LevelPart(Noise(0.02, 0.003), 0.05)
    assert not part.likelihood(part.gather(levels([[math.nan] * 4], [[2.0] * 4]))).known


def grown(part: GrowthPart, slopes: tuple[list[float], list[float]], blocks: int = 6) -> Likelihood:
    """What is seen of pods that grow by so much an hour."""
    gathered = []
    for first in range(0, 4 * blocks, 4):
        hours = (np.arange(first, first + 4) + 0.5) * WINDOW / 3600
        arms = [np.exp(np.array(some)[:, None] * hours + 3)[:, :, None] for some in slopes]
        whole = Table(arm("new", arms[0]), arm("old", arms[1]), first, WINDOW)
        gathered.append(part.gather(block_of(whole, "Log")))
    return part.likelihood(summed(gathered))


def test_growth_is_the_slope_of_the_canary_against_stables_mean() -> None:
    part = GrowthPart(Noise(0.01, 0.0004), 0.04)
    assert u_of(grown(part, ([0.5, 0.7], [0.1, 0.2, 0.0]))) == pytest.approx(0.5)


def test_a_slope_takes_three_blocks_and_both_arms() -> None:
    part = GrowthPart(Noise(0.01, 0.0004), 0.04)
    assert not grown(part, ([0.5], [0.1]), 2).known
    assert grown(part, ([0.5], [0.1]), 3).known
    assert not grown(part, ([0.5], []), 6).known
    assert not grown(part, ([], [0.1]), 6).known


def test_points_of_one_moment_have_no_slope() -> None:
    part = GrowthPart(Noise(0.01, 0.0004), 0.04)
    one = part.gather(levels([[2.0] * 4], [[2.0] * 4]))
    assert not part.likelihood(summed([one] * 5)).known
    assert part.totals(one) == (0.0, 120.0, 0.0, 120.0)


def test_use_at_equal_load_is_compared_as_the_model_says() -> None:
    part = UsagePart(Noise(0.0, 0.0, usage=(0.1, 0.01)), 0.05)
    more_load = block([[0.1 * WINDOW + 0.01 * 600, 600]], [[0.1 * WINDOW + 0.01 * 300, 300]])
    assert u_of(part.likelihood(part.gather(more_load))) == pytest.approx(0.0)
    costly = block([[1.3 * (0.1 * WINDOW + 0.01 * 300), 300]], [[0.1 * WINDOW + 0.01 * 300, 300]])
    assert u_of(part.likelihood(part.gather(costly))) == pytest.approx(math.log(1.3))


def test_without_a_model_only_what_idle_and_load_both_call_harm_is_harm() -> None:
    part = UsagePart(QUIET, 0.05)
    found = part.likelihood(part.gather(block([[2.0, 600]], [[1.0, 300]])))
    assert found.low == pytest.approx(0.0)
    assert found.high == pytest.approx(math.log(2))
    costly = part.likelihood(part.gather(block([[2.0, 300]], [[1.0, 300]])))
    assert costly.low == costly.high == pytest.approx(math.log(2))


def test_use_of_nothing_says_nothing() -> None:
    part = UsagePart(QUIET, 0.05)
    sums = part.gather(block([[0, 300]], [[1.0, 300]]))
    assert not part.likelihood(sums).known
    assert part.totals(sums) == (0.0, 1200.0, 4.0, 1200.0)


# --- one arm alone, and the share of the traffic ---


def test_a_rate_is_above_its_limit_or_it_is_not() -> None:
    part = RatePart(prior_noise(WINDOW), 0.2)

    def above(events: float, blocks: int) -> bool:
        one = part.gather(block([[events, 100]] * 2, [[1, 100]] * 2))
        return is_above(part.likelihood(summed([one] * blocks)))

    assert above(60, 5)
    assert not above(19, 50)
    assert not above(60, 1)


def test_a_rate_without_traffic_is_unknown() -> None:
    part = RatePart(QUIET, 0.2)
    assert not part.likelihood(part.gather(block([[0, 0]], [[1, 100]]))).known


def test_a_kept_limit_is_not_reported_as_broken() -> None:
    fired = 0
    part = RatePart(Noise(0.3, 0.0), 0.2)
    for seed in range(60):
        random = np.random.default_rng(seed)
        gathered, alarm = None, False
        for _ in range(20):
            rates = 0.2 * random.gamma(1 / 0.3, 0.3, (2, 4))
            amounts = np.stack([random.poisson(100 * rates), np.full((2, 4), 100)], axis=2).astype(np.float64)
            new = part.gather(block_of(table(arm("new", amounts), arm("old", amounts)), "Sum"))
            gathered = new if gathered is None else gathered.plus(new)
            alarm = alarm or is_above(part.likelihood(gathered))
        fired += alarm
    assert fired <= 1


@pytest.mark.parametrize(
    ("requests", "weight", "short"),
    [
        ((1000, 1000), 50, False),
        ((800, 1200), 50, False),
        ((50, 1950), 50, True),
        ((0, 2000), 20, True),
        ((0, 0), 50, False),
        ((0, 2000), 100, False),
        ((0, 2000), 0, False),
        ((0, 2000), None, False),
    ],
)
def test_a_shortage_of_traffic_is_less_than_half_of_what_the_weight_asks_for(
    requests: tuple[float, float], weight: int | None, short: bool
) -> None:
    part = SharePart()
    whole = summed([part.gather(requests, weight)] * 10)
    assert bool(part.problem(whole, weight)) is short


def test_what_one_arm_did_before_the_other_was_watched_is_not_compared() -> None:
    old = arm("old", np.array([[[50.0, 100.0], [50.0, 100.0], [1.0, 100.0], [1.0, 100.0]]]))
    late = arm("new", np.array([[[0.0, 0.0], [0.0, 0.0], [1.0, 100.0], [1.0, 100.0]]]))
    late = ArmTable(late.pods, np.array([[0.0, 0.0, 30.0, 30.0]]), late.amounts)
    found = block_of(paired(table(late, old)), "Sum")
    assert found.stable.amounts.tolist() == [[2.0, 200.0]]
    merged = ArmTable(late.pods, np.array([[0.0, 0.0, 90.0, 30.0]]), late.amounts)
    assert block_of(paired(table(merged, old)), "Sum").stable.amounts.tolist() == [[102.0, 400.0]]
    nobody = ArmTable(late.pods, np.zeros((1, 4)), late.amounts * 0)
    assert block_of(paired(table(nobody, old)), "Sum").stable.amounts.tolist() == [[102.0, 400.0]]
