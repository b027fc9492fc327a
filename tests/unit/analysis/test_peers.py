"""The judges of other products decide as their descriptions say, and can be tuned to one rate of false rollbacks."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu, norm

from analysis.errors import InvalidSpec
from analysis.peers.argo import ARGO_RATIO
from analysis.peers.base import Peer, rollback_windows, tuned_scale
from analysis.peers.flagger import FLAGGER, FLAGGER_LOOSE
from analysis.peers.mann_whitney import K1, K2, K3, K4, K5, QUANTILE, Difference, compare
from analysis.peers.minutes import ArmMinutes, minutes_of
from analysis.peers.panel import PANEL
from analysis.peers.rank_sum import rank_sum_z
from analysis.peers.ranked import largest_so_far
from analysis.simulation.catalogue import ENVIRONMENTS, FAULTS
from analysis.simulation.fleet import ArmName
from analysis.simulation.generate import simulate
from analysis.simulation.noise import correlated
from analysis.simulation.rollout import SimulatedRollout
from analysis.simulation.schedule import Schedule, Step
from analysis.simulation.world import Fault, World

BASE = ENVIRONMENTS["base"]
WITH_BASELINE = Schedule(fresh_baseline=True)

points = st.lists(st.integers(-20, 20).map(lambda value: value / 4), min_size=2, max_size=15).map(np.array)


@cache
def many(count: int, world: World = BASE, fault: Fault | None = None, first: int = 0) -> list[SimulatedRollout]:
    return [simulate(first + seed, world, fault or Fault(), WITH_BASELINE) for seed in range(count)]


def minutes(values: list[float]) -> np.ndarray:
    return np.array(values, dtype=np.float64)


def test_seven_bad_minutes_of_ten_pass_the_rank_sum_test() -> None:
    control = np.linspace(1.0, 1.1, 10)
    found = compare(np.where(np.arange(10) < 7, 100 * control, control), control)
    assert found is not None
    assert found.effect > 50
    assert not found.high()


def test_sparse_errors_against_none_pass_the_rank_sum_test() -> None:
    found = compare(minutes([0, 1, 2, 1, 0, 0]), np.zeros(6))
    assert found is not None
    assert np.isnan(found.effect)
    assert not found.high()


def test_equal_points_pass_and_separate_points_fail() -> None:
    same = compare(np.arange(10.0), np.arange(10.0)[::-1])
    apart = compare(np.arange(10.0) + 100, np.arange(10.0))
    constant = compare(np.full(10, 2.0), np.full(10, 1.0))
    assert same is not None
    assert apart is not None
    assert constant is not None
    assert [one.high() for one in (same, apart, constant)] == [False, True, True]
    assert not constant.high(allowed_increase=2.1)


def test_a_metric_without_numbers_has_no_difference() -> None:
    assert compare(np.full(5, np.nan), np.arange(5.0)) is None


@given(canary=points, control=points, seed=st.integers(0, 9))
def test_the_rank_sum_statistic_is_that_of_scipy(canary: np.ndarray, control: np.ndarray, seed: int) -> None:
    # Values that no two arms share: there scipy's correction for ties and ours mean the same.
    control = control + 0.1
    assume(np.unique(np.concatenate([canary, control])).size > 1)
    z = rank_sum_z(canary, control, 0.01 * seed)
    if z == 0:
        return
    side = "greater" if z > 0 else "less"
    p = mannwhitneyu(canary - 0.01 * seed, control, alternative=side, method="asymptotic").pvalue
    assert abs(z) == pytest.approx(abs(norm.isf(p)), abs=1e-6)


@given(canary=points, control=points, shift=st.floats(-3, 3))
def test_a_larger_shift_is_never_more_significant(canary: np.ndarray, control: np.ndarray, shift: float) -> None:
    assert rank_sum_z(canary, control, shift) >= rank_sum_z(canary, control, shift + 0.5)


def test_minutes_that_depend_on_each_other_alarm_as_published() -> None:
    random = np.random.Generator(np.random.PCG64(11))

    def alarms(correlation: float, count: int) -> float:
        high = 0
        for _ in range(count):
            canary, control = 10 + correlated(np.ones(2), np.full(2, correlation), 60, random).T
            found = compare(canary, control)
            assert found is not None
            high += found.high()
        return high / count

    # Published: 0.07 % and 3.5 %. Bounds are four standard errors wide.
    assert alarms(0.0, 2000) < 0.004
    assert 0.013 < alarms(0.5, 1000) < 0.06


@given(values=st.lists(st.floats(-5, 5), max_size=20), rank=st.integers(1, 4))
def test_the_nth_largest_so_far_is_found(values: list[float], rank: int) -> None:
    found = largest_so_far(minutes(values), rank)
    for place in range(len(values)):
        best = sorted(values[: place + 1], reverse=True)
        assert found[place] == (best[rank - 1] if len(best) >= rank else -np.inf)


def arm(buckets: list[float]) -> ArmMinutes:
    one = np.ones(1)
    return ArmMinutes(one * sum(buckets), one, minutes(buckets)[None, :], one, one, one, (0.1, 0.2, 0.4))


def test_quantiles_are_those_of_prometheus() -> None:
    assert arm([10, 10, 0, 0]).quantile(0.75)[0] == pytest.approx(0.15)
    assert arm([10, 0, 0, 0]).quantile(0.5)[0] == pytest.approx(0.05)
    assert arm([1, 0, 0, 9]).quantile(0.5)[0] == 0.4
    assert np.isnan(arm([0, 0, 0, 0]).quantile(0.5)[0])


def test_minutes_hold_every_request_that_was_scraped() -> None:
    rollout = simulate(1, BASE)
    canary, stable = minutes_of(rollout)
    for points_of_arm, table in ((canary, rollout.raw["errors"].canary), (stable, rollout.raw["errors"].stable)):
        assert points_of_arm.requests.size == 40
        assert points_of_arm.requests.sum() == table.amounts[:, :, 1].sum()
        assert points_of_arm.buckets.sum() == points_of_arm.requests.sum()
    rolled = canary.over(5).requests
    assert rolled[9] == canary.requests[5:10].sum()
    assert rolled[2] == canary.requests[:3].sum()


def test_flagger_rolls_back_at_its_fifth_failed_check() -> None:
    assert rollback_windows(FLAGGER, simulate(1, BASE, Fault(errors=40.0))) == 10
    assert rollback_windows(FLAGGER_LOOSE, simulate(1, replace(BASE, incidents_per_hour=0.0))) is None


def test_flagger_takes_missing_values_for_failures() -> None:
    idle = Schedule((Step(0.0, 1, 600.0),))
    assert rollback_windows(FLAGGER_LOOSE, simulate(1, BASE, schedule=idle)) == 10
    assert rollback_windows(FLAGGER_LOOSE, simulate(1, BASE, schedule=idle), scale=100.0) == 10


def test_a_ratio_rule_takes_four_failed_measurements_and_mistakes_warm_up_for_harm() -> None:
    assert [rollback_windows(ARGO_RATIO, one) for one in many(10)] == [8] * 10
    # A rule three times as loose sees errors times ten, and has nothing against a healthy release.
    assert rollback_windows(ARGO_RATIO, simulate(1, BASE, Fault(errors=10.0)), scale=3.0) is not None
    assert rollback_windows(ARGO_RATIO, simulate(1, BASE), scale=3.0) is None


def test_a_ratio_rule_passes_nothing_against_nothing() -> None:
    silent = replace(BASE, error_rate=0.0)
    scales = ARGO_RATIO.scales(simulate(1, silent))
    assert np.isfinite(scales[-1])
    assert scales[0] == -np.inf


def test_one_failing_metric_of_five_costs_the_last_mark_only() -> None:
    rollouts = many(12, replace(BASE, incidents_per_hour=0.0), FAULTS["err_x5"])
    score = [rollback_windows(K2, one) for one in rollouts]
    critical = [rollback_windows(K3, one) for one in rollouts]
    assert np.median([windows for windows in score if windows]) == 80
    assert np.median([windows for windows in critical if windows]) == 20
    at = [windows for windows in critical if windows]
    assert set(at) <= {20, 40, 60, 80}


def test_an_allowed_increase_forgives_small_effects() -> None:
    slower = many(25, BASE, FAULTS["lat_+10%"])
    strict, forgiving = (sum(rollback_windows(peer, one) is not None for one in slower) for peer in (K3, K4))
    assert strict > forgiving


def test_looking_every_minute_is_sooner_and_falser() -> None:
    faulty, healthy = many(20, BASE, FAULTS["lat_+25%"]), many(40, first=500)
    found = [(rollback_windows(K3, one) or 99, rollback_windows(K5, one) or 99) for one in faulty]
    assert np.mean([often < seldom for seldom, often in found]) > 0.5
    false = [sum(rollback_windows(peer, one) is not None for one in healthy) for peer in (K2, K3, K5)]
    assert false[0] < false[1] <= false[2]


def test_a_baseline_judge_refuses_a_rollout_without_a_baseline() -> None:
    with pytest.raises(InvalidSpec, match="no baseline pods"):
        K2.scales(simulate(1, BASE))
    assert K1.control is ArmName.STABLE
    assert np.isfinite(K1.scales(simulate(1, BASE))[-1])


def test_no_data_at_all_fails() -> None:
    idle = simulate(1, BASE, schedule=Schedule((Step(0.0, 1, 2400.0),)))
    assert rollback_windows(K1, idle, scale=50.0) == 20


@pytest.mark.parametrize("peer", PANEL, ids=lambda peer: peer.name)
def test_a_tuned_peer_keeps_its_rate_and_looser_thresholds_are_never_sooner(peer: Peer) -> None:
    rollouts = many(20)
    scale = tuned_scale(peer, rollouts, 0.1)
    alarms = [rollback_windows(peer, one, scale) for one in rollouts]
    assert sum(windows is not None for windows in alarms) <= 2
    by_minute = [peer.scales(one) for one in rollouts]
    assert all((scales[1:] >= scales[:-1]).all() for scales in by_minute)
    if np.isfinite(scale):
        assert sum(scales[-1] >= np.nextafter(scale, -np.inf) for scales in by_minute) > 2


def test_a_peer_is_not_tuned_on_nothing() -> None:
    for rollouts, rate in (([], 0.1), (many(20), 1.0)):
        with pytest.raises(InvalidSpec, match="healthy rollouts"):
            tuned_scale(FLAGGER, rollouts, rate)


def test_metrics_without_data_count_as_passed() -> None:
    patient = replace(K2, name="patient", marginal=30.0, passing=30.0)
    assert patient._look([None, None, *[Difference(9.0, 2.0)] * 3], 30.0) == -np.inf
    assert K2._look([None, None, *[Difference(9.0, 2.0)] * 3], 75.0) > 3
    assert K2._look([None, None, None, *[Difference(0.0, 1.0)] * 2], 75.0) == np.inf


def test_the_tolerance_asks_for_three_standard_errors_instead_of_two() -> None:
    # Difference d with standard error s: d - z s > d / 4 where d / s > 4/3 z, which is 3.10 at 98 %.
    assert pytest.approx(3.10, abs=0.005) == QUANTILE * 4 / 3
