"""The mathematics against plain formulas and seeded simulations."""

import math

import numpy as np
import pytest

from analysis.evidence import combined, guards, single
from analysis.evidence.counts import block_log_likelihoods, log_likelihood
from analysis.evidence.grid import GRID, smooth
from analysis.evidence.guards import PodSeen
from analysis.evidence.harm import HarmRule, harm_log_evidence, null_bound
from analysis.evidence.interval import interval
from analysis.evidence.noise import Noise, prior_noise
from analysis.evidence.proof import is_proven
from analysis.evidence.special import FloatArray, log_beta, log_gamma, log_sum_exp
from analysis.evidence.windows import ArmWindows, CountWindows, blocks_of


def arm(events: list[list[float]], totals: list[list[float]], seconds: float = 30.0) -> ArmWindows:
    n = np.asarray(totals, dtype=np.float64)
    return ArmWindows(np.asarray(events, dtype=np.float64), n, np.full_like(n, seconds))


def steady(pods: int, windows: int, events: float, total: float) -> ArmWindows:
    return arm([[events] * windows] * pods, [[total] * windows] * pods)


def drawn(random: np.random.Generator, rate: FloatArray, total: float) -> ArmWindows:
    n = random.poisson(total, rate.shape)
    return arm(random.binomial(n, np.clip(rate, 0, 1)).tolist(), n.tolist())


def counts(canary: ArmWindows, stable: ArmWindows) -> CountWindows:
    return CountWindows(canary, stable, 30.0)


PRIORS = prior_noise(30.0)


def test_log_gamma_is_that_of_the_standard_library() -> None:
    x = np.concatenate([np.logspace(-6, 9, 400), np.arange(1.0, 40.0), [9.999999, 10.0, 10.000001]])
    expected = np.asarray([math.lgamma(value) for value in x])
    assert np.allclose(log_gamma(x), expected, rtol=1e-12, atol=1e-12)
    a, b = np.asarray([0.5, 3.0, 1e5]), np.asarray([2.0, 0.1, 1e6])
    beta = [math.lgamma(p) + math.lgamma(q) - math.lgamma(p + q) for p, q in zip(a, b, strict=True)]
    assert np.allclose(log_beta(a, b), beta, rtol=1e-10)


def test_priors_are_those_of_the_architecture_scaled_to_the_window() -> None:
    assert prior_noise(30.0) == Noise(0.55, 0.04)
    assert prior_noise(1.0).omega2 == pytest.approx(16.5)
    assert not PRIORS.certified


def test_without_noise_the_likelihood_is_binomial() -> None:
    windows = counts(steady(1, 1, 30, 1000), steady(1, 1, 20, 3000))
    likelihood = log_likelihood(windows, Noise(0.0, 0.0))
    theta = 1000 * np.exp(GRID) / (1000 * np.exp(GRID) + 3000)
    assert np.allclose(likelihood, 30 * np.log(theta) + 20 * np.log(1 - theta))
    assert GRID[likelihood.argmax()] == pytest.approx(math.log(4.5), abs=0.04)


def test_windows_without_traffic_or_events_say_nothing() -> None:
    nothing = counts(steady(2, 3, 0, 100), steady(2, 3, 0, 100))
    assert not log_likelihood(nothing, PRIORS).any()
    alone = counts(steady(2, 3, 0, 0), steady(2, 3, 5, 100))
    assert not log_likelihood(alone, PRIORS).any()
    assert interval(log_likelihood(alone, PRIORS)) is None
    no_pods = ArmWindows(*[np.zeros((0, 2))] * 3)
    assert harm_log_evidence(counts(no_pods, steady(1, 2, 1, 10)), PRIORS, HarmRule(0.1)) == 0
    assert blocks_of(no_pods, 4, 30.0).effective_pods == 0


def test_noise_of_a_block_falls_with_pods_and_windows() -> None:
    blocks = blocks_of(steady(4, 8, 1, 10), 4, 30.0)
    assert blocks.noise_weight.tolist() == pytest.approx([1 / 16, 1 / 16])
    assert blocks.effective_pods == pytest.approx(4)
    uneven = blocks_of(arm([[0], [0]], [[90], [10]]), 4, 30.0)
    assert uneven.effective_pods == pytest.approx(1 / (0.81 + 0.01))


def test_evidence_saturates_where_pods_differ_and_grows_where_they_do_not() -> None:
    def evidence(windows: int, tau2: float) -> float:
        pair = counts(steady(1, windows, 15, 1000), steady(10, windows, 10, 1000))
        return harm_log_evidence(pair, Noise(0.0, tau2), HarmRule(0.1))

    assert evidence(100, 0.04) < math.log(20)
    assert evidence(100, 0.0) > math.log(1e6)


def test_smoothing_keeps_the_mass_of_the_likelihood() -> None:
    likelihood = -0.5 * ((GRID - 1.0) / 0.1) ** 2
    wide = smooth(likelihood, 0.09)
    assert log_sum_exp(wide) == pytest.approx(log_sum_exp(likelihood), abs=1e-6)
    kept = np.exp(wide - log_sum_exp(wide))
    assert float((kept * (GRID - 1.0) ** 2).sum()) == pytest.approx(0.01 + 0.09, rel=0.02)


def test_blocks_pool_and_the_running_block_is_judged_anew() -> None:
    windows = counts(steady(2, 6, 3, 100), steady(2, 6, 2, 100))
    canary, stable = (blocks_of(side, 4, 30.0) for side in (windows.canary, windows.stable))
    assert canary.events.tolist() == [24.0, 12.0]
    rows = block_log_likelihoods(canary, stable, 0.55)
    first = windows.until(4)
    alone = block_log_likelihoods(blocks_of(first.canary, 4, 30.0), blocks_of(first.stable, 4, 30.0), 0.55)
    assert np.array_equal(rows[0], alone[0])


def test_under_the_null_with_modelled_noise_evidence_passes_twenty_in_less_than_five_percent() -> None:
    noise = Noise(0.2, 0.02)
    fired = 0
    for seed in range(300):
        random = np.random.default_rng(seed)

        def side(pods: int, random: np.random.Generator = random) -> ArmWindows:
            lasting = np.exp(random.normal(0, math.sqrt(noise.tau2), (pods, 1)))
            shape = 1 / noise.omega2
            return drawn(random, 0.02 * lasting * random.gamma(shape, 1 / shape, (pods, 40)), 200.0)

        windows = counts(side(3), side(6))
        looks = (harm_log_evidence(windows.until(w), noise, HarmRule(0.1)) for w in range(1, 41, 2))
        fired += max(looks) >= math.log(20)
    assert fired <= 15


def test_direction_and_gate_decide_what_is_harm() -> None:
    better = counts(steady(4, 20, 1, 100), steady(4, 20, 5, 100))
    assert harm_log_evidence(better, PRIORS, HarmRule(0.1)) <= 0
    assert harm_log_evidence(better, PRIORS, HarmRule(0.1, "Decrease")) > math.log(50)
    assert harm_log_evidence(better, PRIORS, HarmRule(0.1, "Either")) > math.log(25)
    worse = counts(steady(4, 20, 5, 100), steady(4, 20, 1, 100))
    assert harm_log_evidence(worse, PRIORS, HarmRule(0.1)) > math.log(50)
    assert harm_log_evidence(worse, PRIORS, HarmRule(9.0)) <= 0


def test_differences_below_the_minimum_never_count() -> None:
    tiny = counts(steady(4, 40, 12, 100_000), steady(4, 40, 2, 100_000))
    assert harm_log_evidence(tiny, PRIORS, HarmRule(0.1)) > math.log(50)
    assert harm_log_evidence(tiny, PRIORS, HarmRule(0.1, min_difference=0.0005)) <= 0
    assert null_bound(tiny, 0.0005) > math.log(10)


def test_no_errors_at_all_are_proven_by_the_minimum_difference() -> None:
    clean = counts(steady(4, 40, 0, 2000), steady(4, 40, 0, 2000))
    assert is_proven(clean, PRIORS, 1.0, "Increase", 0.0005)
    assert not is_proven(clean, PRIORS, 1.0, "Increase", 0.0)
    few = counts(steady(1, 1, 0, 50), steady(1, 1, 0, 50))
    assert not is_proven(few, PRIORS, 1.0, "Increase", 0.0005)


def test_a_tolerance_below_what_pods_differ_is_never_proven() -> None:
    many = counts(steady(1, 400, 10, 1000), steady(10, 400, 10, 1000))
    assert not is_proven(many, PRIORS, 0.5, "Increase", 0.0)
    assert is_proven(many, PRIORS, 3.0, "Increase", 0.0)
    assert is_proven(many, PRIORS, 3.0, "Either", 0.0) or not is_proven(many, PRIORS, 0.9, "Decrease", 0.0)


def test_harm_at_the_margin_is_rarely_proven_harmless() -> None:
    wrong = 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        windows = counts(drawn(random, np.full((4, 40), 0.04), 300.0), drawn(random, np.full((4, 40), 0.02), 300.0))
        wrong += any(is_proven(windows.until(w), PRIORS, 1.0, "Increase", 0.0) for w in range(4, 41, 4))
    assert wrong <= 10


def test_the_interval_covers_at_every_look() -> None:
    missed = 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        windows = counts(drawn(random, np.full((4, 40), 0.03), 300.0), drawn(random, np.full((4, 40), 0.02), 300.0))
        ends = [interval(log_likelihood(windows.until(w), PRIORS)) for w in range(1, 41, 6)]
        missed += any(e is not None and not e[1] - 0.04 <= math.log(1.5) <= e[2] + 0.04 for e in ends)
    assert missed <= 10


def test_shares_sum_to_one_and_the_combined_one_is_reserved() -> None:
    shares = combined.metric_shares({"a": 25, "b": 35})
    assert shares == {"a": 25 / 70, "b": 35 / 70}
    assert combined.start_shares(1) == (1.0,)
    assert combined.start_shares(4) == pytest.approx((0.4, 0.2, 0.2, 0.2))
    assert combined.over_metrics({"a": 0.0, "b": 0.0}, shares) == pytest.approx(0.0)
    assert combined.over_starts([0.0], (0.4, 0.6)) == pytest.approx(0.0)
    assert combined.over_starts([math.log(10), 0.0, 50.0], (0.4, 0.6)) == pytest.approx(math.log(4.6))
    assert combined.over_metrics({"a": math.log(280), "b": 0.0}, shares) == pytest.approx(math.log(100 + 45 / 70))


def test_a_limit_fires_above_it_and_not_at_it() -> None:
    bad = counts(steady(2, 20, 60, 100), steady(2, 20, 1, 100))
    assert single.is_above_limit(bad, PRIORS, 0.2)
    kept = counts(steady(2, 20, 19, 100), steady(2, 20, 1, 100))
    assert not single.is_above_limit(kept, PRIORS, 0.2)
    fired = 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        windows = counts(drawn(random, np.full((2, 40), 0.2), 30.0), steady(2, 40, 1, 30))
        fired += any(single.is_above_limit(windows.until(w), PRIORS, 0.2) for w in range(1, 41, 6))
    assert fired == 0


def pods(count: int, restarts: int, *, ready: bool = True) -> list[PodSeen]:
    return [PodSeen(f"p{i}", 0.0, restarts, ready) for i in range(count)]


def test_hard_guards_are_plain_rules() -> None:
    assert "restarted 4 times" in guards.crash_loop(pods(2, 2), pods(4, 0), 100.0)
    assert guards.crash_loop(pods(2, 1), pods(4, 0), 100.0) == ""
    assert guards.crash_loop(pods(2, 2), pods(4, 1), 100.0) == ""
    dead = counts(steady(2, 3, 10, 10), steady(2, 3, 0, 10))
    assert "all 60 canary requests failed" in guards.all_fail(dead)
    assert guards.all_fail(counts(steady(2, 3, 10, 10), steady(2, 3, 9, 10))) == ""
    assert guards.all_fail(counts(steady(2, 2, 10, 10), steady(2, 2, 0, 10))) == ""
    assert guards.all_fail(counts(steady(2, 3, 9, 10), steady(2, 3, 0, 10))) == ""
    assert "no canary pod" in guards.never_ready(pods(2, 0, ready=False), 700.0, 600.0)
    assert guards.never_ready(pods(2, 0), 700.0, 600.0) == ""
    assert guards.never_ready([], 700.0, 600.0) == ""
