"""Simulated rollouts are what they say: the truth is known, so every table can be checked against it."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from analysis.errors import InvalidSpec
from analysis.evidence.table import ArmTable
from analysis.simulation.catalogue import ENVIRONMENTS, FAULTS, scenario
from analysis.simulation.fleet import ArmName, rows_of
from analysis.simulation.generate import history, simulate
from analysis.simulation.normal import normal_cdf
from analysis.simulation.placebo import placebo
from analysis.simulation.rollout import SimulatedRollout
from analysis.simulation.schedule import Schedule, Step
from analysis.simulation.world import Fault, HotPod, Outage, Retries, World

BASE = ENVIRONMENTS["base"]
STEADY = replace(BASE, restarts_per_pod_hour=0.0, missed_scrapes=0.0, incidents_per_hour=0.0)

schedules = st.lists(
    st.builds(
        Step,
        weight=st.floats(0.01, 1.0),
        canary_pods=st.integers(1, 6),
        seconds=st.sampled_from([60.0, 120.0, 300.0]),
    ),
    min_size=1,
    max_size=4,
).flatmap(lambda steps: st.builds(Schedule, st.just(tuple(steps)), st.booleans()))


def ratio(rollouts: list[SimulatedRollout], metric: str, since: int = 0) -> float:
    """Canary / stable of a ratio of two columns, within windows, so that no incident weighs more in one arm
    (Mantel and Haenszel 1959)."""
    above = below = 0.0
    for rollout in rollouts:
        table = rollout.tables[metric].cut(since, rollout.windows)
        (hit, whole), (hit_stable, whole_stable) = (arm.amounts.sum(axis=0).T for arm in (table.canary, table.stable))
        both = np.maximum(whole + whole_stable, 1e-9)
        above += float((hit * whole_stable / both).sum())
        below += float((hit_stable * whole / both).sum())
    return above / below


def usage_ratio(rollouts: list[SimulatedRollout]) -> float:
    """Canary / stable of CPU, each relative to what its load explains."""

    def used(arm: ArmTable) -> float:
        expected = BASE.cpu_idle_cores * arm.seconds.sum() + BASE.cpu_per_request * arm.amounts[:, :, 1].sum()
        return float(arm.amounts[:, :, 0].sum() / expected)

    tables = [rollout.tables["cpu"] for rollout in rollouts]
    return float(np.median([used(table.canary) / used(table.stable) for table in tables]))


def log_latency(arm: ArmTable, bounds: tuple[float, ...]) -> float:
    mids = np.log([bounds[0] / 2, *np.sqrt(np.multiply(bounds[:-1], bounds[1:])), bounds[-1] * 2])
    buckets = arm.amounts.sum(axis=(0, 1))
    return float((buckets * mids).sum() / buckets.sum())


def latency_shift(rollouts: list[SimulatedRollout]) -> float:
    tables = [rollout.tables["latency"] for rollout in rollouts]
    return float(
        np.median([log_latency(one.canary, one.bounds) - log_latency(one.stable, one.bounds) for one in tables])
    )


def many(world: World, fault: Fault | None = None, count: int = 40) -> list[SimulatedRollout]:
    return [simulate(seed, world, fault or Fault()) for seed in range(count)]


def test_a_seed_repeats_a_rollout_and_another_seed_is_another_rollout() -> None:
    one, again, other = (simulate(seed, BASE) for seed in (7, 7, 8))
    for metric, table in one.raw.items():
        assert np.array_equal(table.canary.amounts, again.raw[metric].canary.amounts, equal_nan=True)
    assert not np.array_equal(one.raw["errors"].stable.amounts, other.raw["errors"].stable.amounts)


@settings(max_examples=40)
@given(schedule=schedules, window=st.sampled_from([15.0, 30.0, 60.0]), pods=st.integers(1, 20), seed=st.integers(0, 99))
def test_any_schedule_gives_tables_that_fit(schedule: Schedule, window: float, pods: int, seed: int) -> None:
    bounds = (0.01, 0.1, 1.0)
    rollout = simulate(seed, replace(BASE, stable_pods=pods, bounds=bounds), Fault(), schedule, window)
    windows = round(sum(step.seconds for step in schedule.steps) / window)
    columns = {"errors": 2, "latency": 4, "cpu": 2, "memory": 1, "restarts": 2}
    assert rollout.windows == windows
    for metric, table in rollout.raw.items():
        assert table.stable.amounts.shape == (pods, windows, columns[metric])
        assert table.canary.seconds.shape == table.canary.amounts.shape[:2]
        assert list(table.canary.pods) == sorted(table.canary.pods)
    errors, latency = rollout.raw["errors"], rollout.raw["latency"]
    for arm, buckets in ((errors.canary, latency.canary), (errors.stable, latency.stable)):
        assert np.array_equal(arm.amounts[:, :, 1], buckets.amounts.sum(axis=2))
        assert (arm.amounts[:, :, 0] <= arm.amounts[:, :, 1]).all()
        assert (arm.amounts[arm.seconds == 0] == 0).all()


@settings(max_examples=25, derandomize=True)
@example(schedule=Schedule((Step(1.0, 1, 60.0),), fresh_baseline=True), seed=0)
@given(schedule=schedules, seed=st.integers(0, 99))
def test_the_canary_gets_its_weight_once_its_pods_are_there(schedule: Schedule, seed: int) -> None:
    rollout = simulate(seed, replace(STEADY, requests_per_second=2000.0), Fault(), schedule)
    by_arm = {arm: rollout.scraped.requests[rows_of(rollout.pods, arm)].sum(axis=0) for arm in ArmName}
    whole = sum(by_arm.values())
    assert np.abs(by_arm[ArmName.CANARY] / whole - rollout.weights).max() < 0.04
    assert np.array_equal(by_arm[ArmName.CANARY], rollout.canary_requests)
    left_over = any(step.weight < 1 for step in schedule.steps)
    assert rollout.has(ArmName.BASELINE) == (schedule.fresh_baseline and left_over)


def test_missed_scrapes_move_requests_but_lose_none() -> None:
    gaps = replace(STEADY, missed_scrapes=0.3)
    rollout = simulate(3, gaps)
    table = rollout.raw["errors"].canary
    assert table.amounts[:, :, 1].sum() == rollout.canary_requests.sum()
    lived = sum(rollout.windows - pod.started_window for pod in rollout.pods if pod.arm is ArmName.CANARY)
    assert table.seconds.sum() == lived * 30
    assert {0.0, 30.0, 60.0, 90.0} <= set(np.unique(table.seconds))


def test_a_restart_loses_what_its_process_had_counted_since_the_last_scrape() -> None:
    rollout = simulate(3, replace(STEADY, restarts_per_pod_hour=6.0))
    row, window = np.argwhere(rollout.life.restarted)[0]
    assert rollout.scraped.requests[row, window] == 0
    assert rollout.scraped.seconds[row, window] == 0
    assert rollout.scraped.requests[row, window - 1] > 0
    assert rollout.life.age_seconds[row, window + 1] == 30


def test_young_pods_count_only_in_the_raw_tables() -> None:
    rollout = simulate(5, STEADY)
    warm, raw = rollout.tables["errors"].canary, rollout.raw["errors"].canary
    assert (warm.seconds[0, :6] == 0).all()
    assert (warm.amounts[0, :6] == 0).all()
    assert (raw.seconds[0, :6] == 30).all()
    assert np.array_equal(warm.amounts[0, 6:], raw.amounts[0, 6:])
    memory = rollout.tables_after(900.0)["memory"].canary
    assert np.isnan(memory.amounts[0, :29, 0]).all()
    assert not np.isnan(memory.amounts[0, 29:, 0]).any()


def test_an_increase_that_began_while_the_pod_was_young_is_young() -> None:
    rollout = simulate(1, replace(STEADY, missed_scrapes=0.5))
    table = rollout.tables["errors"].canary
    ends = (np.arange(rollout.windows) + 1) * 30.0
    begins = np.where(table.seconds > 0, ends - table.seconds, np.inf)
    started = np.array([[pod.started_window * 30.0] for pod in rollout.pods if pod.arm is ArmName.CANARY])
    assert (begins - started).min() >= 180


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_an_environment_is_healthy_and_its_warm_arms_are_alike(name: str) -> None:
    found = scenario(name)
    assert found.healthy
    rollouts = many(found.world)
    # A slow start lasts longer than the mask, and a hot pod is stable's.
    low, high = {"slow_start": (1.1, 1.5), "hot_shard": (0.8, 1.0)}.get(name, (0.88, 1.12))
    assert low < ratio(rollouts, "errors") < high
    assert usage_ratio(rollouts) == pytest.approx(1.0, abs=0.06 if name != "slow_start" else 0.12)


@pytest.mark.parametrize(
    ("fault", "metric", "expected"),
    [("err_x2", "errors", 2.0), ("err_x5", "errors", 5.0), ("cpu_+10%", "cpu", 1.1), ("cpu_+30%", "cpu", 1.3)],
)
def test_a_fault_changes_its_metric_by_what_it_says(fault: str, metric: str, expected: float) -> None:
    assert not scenario(f"base:{fault}").healthy
    changed = ratio(many(STEADY, FAULTS[fault]), metric) / ratio(many(STEADY), metric)
    assert changed == pytest.approx(expected, rel=0.04)


def test_slower_requests_move_typical_latency_and_a_tail_moves_the_tail() -> None:
    usual = latency_shift(many(STEADY))
    assert latency_shift(many(STEADY, FAULTS["lat_+25%"])) - usual == pytest.approx(math.log(1.25), abs=0.02)

    def slow_share(rollout: SimulatedRollout) -> float:
        buckets = rollout.tables["latency"].canary.amounts.sum(axis=(0, 1))
        return float(buckets[-4:].sum() / buckets.sum())

    tails = [np.median([slow_share(one) for one in many(STEADY, FAULTS[name])]) for name in ("healthy", "tail_3%x4")]
    assert tails[1] > 2 * tails[0]


def test_a_leak_grows_by_three_megabytes_a_minute() -> None:
    def memory(fault: Fault) -> np.ndarray:
        return np.mean([one.raw["memory"].canary.amounts[0, :, 0] for one in many(STEADY, fault)], axis=0)

    grown = memory(FAULTS["leak_3MB/min"]) - memory(Fault())
    assert grown[60] == pytest.approx(30 * 3e6, rel=0.02)


def test_a_late_fault_is_not_there_before() -> None:
    early = {"healthy": 0.0, "late_err_x3": 0.0}
    late = dict(early)
    for name in early:
        for one in many(STEADY, FAULTS[name]):
            errors = one.raw["errors"].canary.amounts[:, :, 0].sum(axis=0)
            early[name] += errors[:40].sum()
            late[name] += errors[40:].sum()
    assert early["late_err_x3"] == pytest.approx(early["healthy"], rel=0.1)
    assert late["late_err_x3"] == pytest.approx(3 * late["healthy"], rel=0.1)


def test_an_outage_and_a_poisoned_dependency_hurt_both_arms() -> None:
    outage = replace(STEADY, outage=Outage(600.0, 600.0, errors=8.0, latency=1.4))
    for world, fault in ((outage, Fault()), (STEADY, FAULTS["poison"])):
        rollouts = many(world, fault)
        stable = sum(one.raw["errors"].stable.amounts[:, 20:40, 0].sum() for one in rollouts)
        usual = sum(one.raw["errors"].stable.amounts[:, 20:40, 0].sum() for one in many(STEADY))
        assert stable > 2.5 * usual
        assert ratio(rollouts, "errors") == pytest.approx(1.0, abs=0.1)


def test_retries_inflate_the_exposure_of_the_arm_that_fails() -> None:
    world = replace(STEADY, error_rate=0.05, retries=Retries(attempts=3))
    calm, failing = many(world), many(world, Fault(errors=5.0))
    assert sum(one.canary_requests.sum() for one in failing) > 1.2 * sum(one.canary_requests.sum() for one in calm)
    # Half of all retries fail again, so failures come in clusters of 1 + 1/2 + 1/4 + 1/8 on average.
    rate = np.mean([one.raw["errors"].stable.amounts[:, :, 0].sum() for one in calm])
    alone = np.mean(
        [one.raw["errors"].stable.amounts[:, :, 0].sum() for one in many(replace(world, retries=Retries()))]
    )
    assert rate / alone == pytest.approx(1.875, rel=0.03)


def test_a_hot_pod_is_one_slow_busy_stable_pod() -> None:
    rollout = simulate(1, replace(STEADY, hot_pod=HotPod(load=3.0, latency=2.0)))
    stable = rollout.raw["latency"].stable
    by_pod = stable.amounts.sum(axis=(1, 2))
    slow = stable.amounts[:, :, 6:].sum(axis=(1, 2)) / by_pod
    assert by_pod[0] == pytest.approx(3 * by_pod[1:].mean(), rel=0.05)
    assert slow[0] > 2 * slow[1:].max()


def test_a_peak_is_in_the_middle_of_the_rollout_and_not_in_its_history() -> None:
    def load(rollout: SimulatedRollout) -> np.ndarray:
        return np.asarray(rollout.scraped.requests.sum(axis=0))

    peak = replace(STEADY, peak=3.0)
    during, before = (np.mean([load(one) for one in some], axis=0) for some in (many(peak), many(STEADY)))
    assert during[40] / before[40] == pytest.approx(3.0, rel=0.1)
    assert during[0] / before[0] == pytest.approx(1.0, abs=0.1)
    assert np.array_equal(load(history(4, peak)), load(history(4, STEADY)))


def test_the_mix_of_endpoints_moves_every_metric_a_little() -> None:
    mixed = many(replace(STEADY, endpoint=ENVIRONMENTS["mix"].endpoint), count=120)
    plain = many(STEADY, count=120)
    assert 1.005 < ratio(mixed, "cpu") / ratio(plain, "cpu") < 1.03
    assert 0.01 < latency_shift(mixed) - latency_shift(plain) < 0.04


def test_the_noise_lasts_as_long_with_shorter_windows() -> None:
    def spread(window: float) -> float:
        loads = [history(seed, STEADY, 2400.0, window) for seed in range(60)]
        logs = [np.log(one.scraped.cpu_seconds / (one.scraped.requests * 0.004 + 0.02 * window)) for one in loads]
        return float(np.mean([one.mean(axis=1).var() for one in logs]))

    assert spread(15.0) == pytest.approx(spread(30.0), rel=0.15)


def test_the_api_server_counts_restarts_that_scrapes_cannot_lose() -> None:
    rollout = simulate(2, BASE, FAULTS["crashloop"])
    canary, stable = rollout.pods_seen(rollout.windows * 30.0)
    table = rollout.raw["restarts"].canary
    assert sum(pod.restarts for pod in canary) == table.amounts[:, :, 0].sum() >= 3
    assert table.amounts[:, :, 1].sum() == table.seconds.sum()
    assert len(stable) == 10
    before, _ = rollout.pods_seen(600.0)
    assert len(before) == 1
    row, window = next(
        (row, window) for row, window in np.argwhere(rollout.life.restarted) if rollout.pods[row].name == "canary-000"
    )
    seen = {at: rollout.pods_seen(at)[0][row] for at in (window * 30.0, window * 30.0 + 1)}
    assert [pod.restarts for pod in seen.values()] == [0, 1]
    assert [pod.ready for pod in seen.values()] == [True, True], "it was ready once"
    assert [rollout.pods_seen(at)[0][0].ready for at in (1.0, 60.0)] == [False, True]


def test_weights_are_told_when_they_change() -> None:
    assert simulate(1, BASE).weight_changes() == tuple(
        (1_800_000_000.0 + at, weight) for at, weight in ((0, 0.05), (600, 0.1), (1200, 0.25), (1800, 0.5))
    )


def test_users_exposed_are_the_requests_that_the_canary_got_until_then() -> None:
    rollout = simulate(1, STEADY)
    assert rollout.users_exposed(0) == 0
    assert rollout.users_exposed(20) == rollout.raw["errors"].canary.amounts[:, :20, 1].sum()
    assert rollout.users_exposed(80) == pytest.approx(0.225 * rollout.scraped.requests.sum(), rel=0.05)


def test_a_placebo_takes_stable_pods_when_the_schedule_starts_canary_pods() -> None:
    segment = history(9, STEADY)
    assert segment.raw["errors"].canary.pods == ()
    cut = placebo(segment, Schedule(), seed=1)
    canary, stable = cut.raw["errors"].canary, cut.raw["errors"].stable
    assert len(canary.pods) == 5
    assert len(stable.pods) == 5
    assert sorted((canary.seconds > 0).argmax(axis=1)) == [0, 40, 40, 60, 60]
    kept = canary.amounts.sum() + stable.amounts.sum()
    assert kept == segment.raw["errors"].stable.amounts.sum() - _dropped(segment, cut)
    assert placebo(segment, Schedule(), seed=2).raw["errors"].canary.pods != canary.pods


def _dropped(segment: SimulatedRollout, cut: SimulatedRollout) -> float:
    whole = segment.raw["errors"].stable
    rows = [whole.pods.index(pod) for pod in cut.raw["errors"].canary.pods]
    begins = (cut.raw["errors"].canary.seconds > 0).argmax(axis=1)
    return float(sum(whole.amounts[row, :begin].sum() for row, begin in zip(rows, begins, strict=True)))


def test_a_placebo_refuses_history_that_is_too_short_or_too_small() -> None:
    with pytest.raises(InvalidSpec, match="windows are fewer"):
        placebo(history(1, BASE, seconds=600.0), Schedule(), 1)
    with pytest.raises(InvalidSpec, match="fewer canary pods"):
        placebo(history(1, replace(BASE, stable_pods=5)), Schedule(), 1)


@pytest.mark.parametrize("name", ["bass:err_x2", "base:err_x3"])
def test_a_scenario_that_does_not_exist_is_named(name: str) -> None:
    with pytest.raises(InvalidSpec, match="one of"):
        scenario(name)


def test_the_normal_distribution_is_exact_enough_for_rare_latencies() -> None:
    values = np.linspace(-7, 7, 1001)
    exact = np.array([0.5 * math.erfc(-value / math.sqrt(2)) for value in values])
    assert np.abs(normal_cdf(values) / exact - 1).max() < 1e-5
