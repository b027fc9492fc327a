"""Data hygiene: from raw samples to what pods did by window."""

import math
from typing import Any

import numpy as np
import pytest

from analysis.errors import MeasurementError
from analysis.evidence.table import ArmTable
from analysis.judge import MetricData
from analysis.judgement import DataState
from analysis.rules import CountsRule, GaugeRule, HistogramRule
from analysis.series import places, samples
from analysis.series.ages import PodStarts
from analysis.series.raw import RawSeries, labels_of
from analysis.series.watched import Watch, WatchedMetric
from tests.support.watching import Reader, arm_of, cut, rule, whole

BEGAN = 100.0
OLD = {"s": (0.0,)}
NOW = 170.0
"""Five windows of 10 s are older than two scrapes."""


def one(samples: dict[float, float], pod: str = "s", **labels: str) -> RawSeries:
    times = np.asarray(list(samples), dtype=np.float64)
    return RawSeries(labels_of({"pod": pod, **labels}), times, np.asarray(list(samples.values()), dtype=np.float64))


STEADY = {90.0 + 10 * i: 10.0 * i for i in range(9)}
ALIVE = one(STEADY, pod="c-alive")
"""Shows that the store goes on to show samples when those of a test are over."""


def counted(*totals: RawSeries, events: tuple[RawSeries, ...] = (), **more: Any) -> MetricData:
    starts = more.pop("starts", OLD)
    warm_up = more.pop("warm_up", 0.0)
    roles = {"events": events, "total": (*totals, ALIVE)}
    return whole(rule(CountsRule(), 10.0, **more), roles, NOW, BEGAN, warm_up, starts)


def row(arm: ArmTable, pod: str = "s", column: int = 1) -> list[float]:
    found: list[float] = arm.amounts[arm.pods.index(pod), :, column].tolist()
    return found


def stable(*totals: RawSeries, **more: Any) -> list[float]:
    return row(counted(*totals, **more).table.stable)


def test_each_window_holds_what_was_counted_between_its_two_scrapes() -> None:
    table = counted(one(STEADY)).table
    assert row(table.stable) == [10.0] * 5
    assert table.stable.seconds.tolist() == [[10.0] * 5]
    assert (table.first, table.interval_seconds, table.bounds) == (0, 10.0, ())


def test_what_was_counted_before_the_watch_began_is_left_out() -> None:
    assert stable(one({80.0: 0, 110.0: 300, 120.0: 310})) == [0, 10.0, 0, 0, 0]


def test_a_reset_counts_from_zero() -> None:
    assert stable(one({100.0: 50, 110.0: 60, 120.0: 7, 130.0: 9})) == [10.0, 7.0, 2.0, 0, 0]


def test_a_missed_scrape_merges_two_windows_and_their_seconds() -> None:
    table = counted(one({100.0: 0, 110.0: 10, 130.0: 30, 140.0: 40, 150.0: 50})).table
    assert row(table.stable) == [10.0, 0, 20.0, 10.0, 10.0]
    assert table.stable.seconds.tolist() == [[10.0, 0, 20.0, 10.0, 10.0]]


def test_an_error_counter_that_appears_late_began_at_zero() -> None:
    table = counted(one(STEADY), events=(one({130.0: 3, 140.0: 5}, code="500"),)).table
    assert row(table.stable, column=0) == [0, 0, 3.0, 2.0, 0]


def test_a_pod_with_requests_and_no_error_series_has_no_errors() -> None:
    assert row(counted(one(STEADY)).table.stable, column=0) == [0.0] * 5


def test_an_error_counter_scraped_elsewhere_does_not_begin_at_zero_when_its_old_pod_is_first_seen() -> None:
    found_late = {123.0: 1000.0, 133.0: 1010.0, 143.0: 1020.0}
    events = {126.0: 500.0, 136.0: 501.0, 146.0: 502.0}
    table = counted(one(found_late), events=(one(events, job="b"),)).table
    assert row(table.stable, column=0) == [0, 0, 0, 1.0, 1.0]


def test_the_first_sample_of_an_old_pod_says_nothing() -> None:
    assert stable(one({110.0: 1_000_000, 120.0: 1_000_010})) == [0, 10.0, 0, 0, 0]


def test_the_first_sample_of_a_pod_born_under_watch_counts_from_zero() -> None:
    table = counted(one({120.0: 8, 130.0: 18}), starts={"s": (112.0,)}).table
    assert row(table.stable) == [0, 8.0, 10.0, 0, 0]
    assert table.stable.seconds.tolist() == [[0, 8.0, 10.0, 0, 0]]


def test_so_does_that_of_a_pod_that_was_born_when_the_watch_began() -> None:
    assert stable(one({120.0: 8, 130.0: 18}), starts={"s": (BEGAN,)}) == [0, 8.0, 10.0, 0, 0]
    assert stable(one({120.0: 8, 130.0: 18}), starts={"s": (BEGAN - 1,)}) == [0, 0, 10.0, 0, 0]


def test_a_pod_that_starts_after_its_first_sample_by_another_clock_was_born_before_it() -> None:
    assert stable(one({120.0: 8, 130.0: 18}), starts={"s": (121.5,)}) == [0, 8.0, 10.0, 0, 0]


def test_a_pod_relabelled_by_its_scraper_counts_once() -> None:
    before = one({100.0: 50, 110.0: 60}, instance="10.0.0.1:80")
    after = one({120.0: 70, 130.0: 80}, instance="10.0.0.2:80")
    assert stable(before, after) == [10.0, 10.0, 10.0, 0, 0]


def test_a_pod_scraped_by_two_jobs_counts_once() -> None:
    twice = tuple(one(STEADY, job=job) for job in ("a", "b"))
    assert stable(*twice) == [10.0] * 5
    shifted = one({t + 3: v + 3 for t, v in STEADY.items()}, job="b")
    assert sum(stable(one(STEADY, job="a"), shifted)) == pytest.approx(50, abs=4)


def test_a_pod_scraped_by_two_jobs_goes_on_when_one_of_them_ends() -> None:
    ends = one({t: v for t, v in STEADY.items() if t <= 120}, job="a")
    assert sum(stable(ends, one(STEADY, job="b"))) == 50.0


def test_two_counters_of_one_pod_are_summed() -> None:
    slow = one({t: v / 10 for t, v in STEADY.items()}, path="/b")
    assert stable(one(STEADY, path="/a"), slow) == [11.0] * 5
    ports = (one(STEADY, instance=":80"), one({t: v * 7 + 5 for t, v in STEADY.items()}, instance=":81"))
    assert stable(*ports) == [80.0] * 5


def test_two_ports_that_were_idle_alike_part_when_one_gets_busy() -> None:
    idle = {t: 0.0 if t <= 110 else 5.0 for t in STEADY}
    busy = {t: max(t - 110.0, 0.0) for t in STEADY}
    assert sum(stable(one(idle, instance=":80"), one(busy, instance=":81"))) == 45.0


def test_a_hundred_instances_of_one_counter_are_each_a_counter() -> None:
    many = [one({t: v * (i + 1) for t, v in STEADY.items()}, instance=f":{i}") for i in range(100)]
    assert stable(*many) == [10.0 * 5050] * 5


def test_nan_inf_and_doubled_samples_are_dropped() -> None:
    times = np.asarray([100.0, 110.0, 110.0, 120.0, 115.0, 130.0, math.nan, math.inf, 1e300])
    values = np.asarray([0.0, 9.0, 10.0, math.nan, math.inf, 30.0, 5.0, 1.0, 1.0])
    table = counted(RawSeries(labels_of({"pod": "s"}), times, values)).table
    assert row(table.stable) == [10.0, 0, 20.0, 0, 0]


def test_a_dead_pod_keeps_what_it_contributed() -> None:
    table = counted(one(STEADY), one({100.0: 0, 110.0: 40}, pod="s-dead"), starts={"s": (0.0,)}).table
    assert table.stable.amounts[:, :, 1].sum(axis=0).tolist() == [50.0, 10.0, 10.0, 10.0, 10.0]
    assert table.stable.pods == ("s", "s-dead")


def test_young_pods_do_not_count_but_guards_see_them() -> None:
    data = counted(one({t: v for t, v in STEADY.items() if t >= 100}), starts={"s": (95.0,)}, warm_up=20.0)
    assert row(data.table.stable) == [0, 0, 10.0, 10.0, 10.0]
    assert row(data.raw.stable) == [10.0] * 5


def test_a_restarted_process_is_young_again_and_what_came_before_stays() -> None:
    data = counted(one(STEADY), starts={"s": (0.0, 121.0)}, warm_up=15.0)
    assert row(data.table.stable) == [10.0, 10.0, 0, 0, 10.0]


def test_restarts_themselves_are_counted_though_they_make_a_process_young() -> None:
    restarts = one({90.0: 0, 100.0: 0, 110.0: 1, 120.0: 2, 130.0: 2, 140.0: 3, 150.0: 3})
    family = rule(CountsRule(pod_seconds=True), 10.0)
    starts = {"s": (0.0, 105.0, 115.0, 135.0)}
    table = whole(family, {"events": (restarts, ALIVE)}, NOW, BEGAN, 30.0, starts).table
    assert row(table.stable, column=0) == [1.0, 1.0, 0, 1.0, 0]
    assert row(table.stable, column=1) == [10.0] * 5


def test_a_pod_of_unknown_start_is_young_from_its_first_sample_on() -> None:
    canary = counted(one(STEADY, pod="c"), starts={}, warm_up=20.0).table.canary
    assert row(canary, "c") == [0, 10.0, 10.0, 10.0, 10.0]
    assert stable(one(STEADY), starts={}, warm_up=20.0) == [10.0] * 5
    assert stable(one({130.0: 5, 140.0: 15}), starts={}) == [0, 0, 0, 10.0, 0]


def test_pod_seconds_are_the_total_where_there_is_no_other() -> None:
    events = one({90.0: 0, 100.0: 0, 110.0: 1, 120.0: 1})
    table = whole(rule(CountsRule(pod_seconds=True), 10.0), {"events": (events, ALIVE)}, NOW, BEGAN, 0.0, OLD).table
    assert row(table.stable) == [10.0, 10.0, 0, 0, 0]
    assert row(table.stable, column=0) == [1.0, 0, 0, 0, 0]


def test_a_metric_may_wait_and_what_comes_before_is_empty() -> None:
    assert stable(one(STEADY), delay=20.0) == [0, 0, 10.0, 10.0, 10.0]


def test_an_increase_over_a_long_gap_says_nothing() -> None:
    gap = {
        100.0: 0.0,
        110.0: 10.0,
        120.0: 20.0,
        130.0: 30.0,
        400.0: 9000.0,
        410.0: 9010.0,
        420.0: 9020.0,
        430.0: 9030.0,
    }
    table = whole(rule(CountsRule(), 10.0), {"events": (), "total": (one(gap),)}, 450.0, BEGAN, 0.0, OLD).table
    assert sum(row(table.stable)) == 50.0


def test_series_without_pods_are_one_row_and_a_new_instance_does_not_begin_at_zero() -> None:
    metric = WatchedMetric(rule(CountsRule(), 10.0, pod_label=""), BEGAN, arm_of, ("canary", "stable"))
    late = {130.0: 1e6, 140.0: 1e6 + 5, 150.0: 1e6 + 10}
    series = [one(STEADY, instance="a"), one(late, instance="b")]
    for side in ("canary", "stable"):
        metric.add("total", side, series, NOW)
        metric.add("events", side, [one({130.0: 2.0, 140.0: 3.0}, instance="a", code="500")], NOW)
    table = metric.data(0, Watch(NOW, None, 0.0, {})).table
    assert table.canary.pods == table.stable.pods == ("",)
    assert row(table.canary, "") == [10.0, 10.0, 10.0, 15.0, 15.0]
    assert row(table.canary, "", 0) == [0, 0, 2.0, 1.0, 0]
    assert table.canary.seconds.tolist() == [[10.0] * 5]


def buckets(times: list[float], *within: list[float], pod: str = "s", bounds: tuple[str, ...]) -> list[RawSeries]:
    return [
        one(dict(zip(times, values, strict=True)), pod, le=bound) for bound, values in zip(bounds, within, strict=True)
    ]


TIMES = [100.0, 110.0, 120.0, 130.0, 140.0, 150.0]
LATER = buckets([160.0, 170.0], [0, 0], [0, 0], pod="s-later", bounds=("0.1", "+Inf"))


def of_buckets(*series: RawSeries, unit_seconds: float = 1.0) -> MetricData:
    family = HistogramRule(unit_seconds=unit_seconds)
    return whole(rule(family, 10.0), {"buckets": (*series, *LATER)}, NOW, BEGAN, 0.0, {"s": (0.0,), "c": (0.0,)})


def rising(*steps: float) -> list[list[float]]:
    return [[step * i for i in range(len(TIMES))] for step in steps]


def test_cumulative_buckets_become_increases_of_each_and_bounds_are_seconds() -> None:
    both = [
        one_series
        for pod in ("s", "c")
        for one_series in buckets(TIMES, *rising(9, 2, 5), pod=pod, bounds=("+Inf", "100", "250"))
    ]
    table = of_buckets(*both, unit_seconds=1e-3).table
    assert table.bounds == (0.1, 0.25)
    assert table.canary.amounts[0, 2].tolist() == [2.0, 3.0, 4.0]
    assert table.stable.seconds[0].tolist() == [10.0] * 5


def test_bounds_that_only_one_arm_has_are_left_out() -> None:
    s = buckets(TIMES, *rising(1, 2, 4), bounds=("0.1", "0.2", "+Inf"))
    c = buckets(TIMES, *rising(1, 3, 4), pod="c", bounds=("0.1", "0.5", "+Inf"))
    table = of_buckets(*s, *c).table
    assert table.bounds == (0.1,)
    assert table.canary.amounts[0, 1].tolist() == table.stable.amounts[0, 1].tolist() == [1.0, 3.0]


def test_arms_without_a_bound_in_common_are_a_problem_and_no_data() -> None:
    s = buckets(TIMES, *rising(1, 4), bounds=("0.1", "+Inf"))
    c = buckets(TIMES, *rising(1, 4), pod="c", bounds=("0.2", "+Inf"))
    data = of_buckets(*s, *c)
    assert data.table.bounds == ()
    assert data.table.canary.seconds.sum() == 0
    assert "no bucket in common" in " ".join(data.problems)


def test_several_label_sets_are_summed_and_a_restart_counts_from_zero() -> None:
    restarted = [[0.0, 1, 2, 0, 1, 2], [0.0, 3, 6, 1, 4, 7]]
    both = [
        RawSeries(labels_of({**dict(s.labels), "method": method}), s.times, s.values)
        for pod in ("s", "c")
        for method in ("GET", "PUT")
        for s in buckets(TIMES, *restarted, pod=pod, bounds=("0.1", "+Inf"))
    ]
    assert of_buckets(*both).table.canary.amounts[0].tolist() == [[2, 4], [2, 4], [0, 2], [2, 4], [2, 4]]


def test_buckets_torn_by_a_race_count_nothing_below_zero_and_are_told_when_frequent() -> None:
    torn = [[0.0, 5, 6, 11, 12, 17], [0.0, 3, 6, 9, 12, 15]]
    both = [s for pod in ("s", "c") for s in buckets(TIMES, *torn, pod=pod, bounds=("0.1", "+Inf"))]
    data = of_buckets(*both)
    assert data.table.canary.amounts.min() == 0.0
    assert "not cumulative" in " ".join(data.problems)


def test_series_without_a_bound_are_told() -> None:
    data = of_buckets(one(STEADY), one(STEADY, pod="c"), one(STEADY, pod="c", le="many"))
    assert "_bucket" in " ".join(data.problems)


def measured(
    *series: RawSeries, family: GaugeRule | None = None, starts: dict[str, tuple[float, ...]] | None = None
) -> MetricData:
    return whole(rule(family or GaugeRule(), 10.0), {"value": series}, NOW, BEGAN, 0.0, starts or {"s": (0.0,)})


def test_a_level_is_the_mean_of_a_windows_samples_and_nothing_where_there_are_none() -> None:
    level = {101.0: 4.0, 106.0: 6.0, 111.0: 8.0, 116.0: 8.0, 131.0: 2.0, 136.0: 3.0, 141.0: 1.0, 146.0: 1.0}
    table = measured(one(level)).table
    assert np.array_equal(row(table.stable, column=0)[:4], [5.0, 8.0, math.nan, 2.5], equal_nan=True)
    assert table.stable.seconds[0, :4].tolist() == [10.0, 10.0, 0.0, 10.0]


def test_containers_of_a_pod_are_added_and_a_replaced_one_counts_by_its_share() -> None:
    app = one(dict.fromkeys(STEADY, 10.0), container="app")
    side = one(dict.fromkeys(STEADY, 1.0), container="side")
    assert row(measured(app, side).table.stable, column=0) == [11.0] * 5
    halves = dict.fromkeys(np.arange(100.0, 152.0, 2.0), 10.0)
    first = one({t: v for t, v in halves.items() if t <= 124}, id="one")
    second = one({t: v for t, v in halves.items() if t > 124}, id="two")
    assert row(measured(first, second).table.stable, column=0)[:4] == pytest.approx([10.0] * 4)


def test_a_gauge_scraped_twice_counts_once() -> None:
    twice = [one(dict.fromkeys(STEADY, 10.0), job=job) for job in ("a", "b")]
    assert row(measured(*twice).table.stable, column=0) == [10.0] * 5


@pytest.mark.parametrize(("scale", "good", "bad"), [("Log", 3.0, 0.0), ("Logit", 0.5, 1.0), ("Logit", 0.5, -0.1)])
def test_values_outside_of_the_scale_do_not_count_and_are_told(scale: Any, good: float, bad: float) -> None:
    values = {t: bad if 121 <= t <= 140 else good for t in STEADY}
    data = measured(one(values), family=GaugeRule(scale=scale))
    assert row(data.table.stable, column=0)[:2] == [good, good]
    assert data.table.stable.seconds[0].tolist() == [10.0, 10.0, 0.0, 0.0, 10.0]
    (problem,) = data.problems
    assert problem.startswith("2 values of pods in a window are not ")
    lack = "logit" if scale == "Logit" else "logarithm"
    assert problem.endswith(f"so they have no {lack} and do not count; where that is usual, compare Counts")


def test_growth_begins_after_a_warm_up_of_its_own_and_each_life_of_a_pod_is_a_line() -> None:
    times = np.arange(0.0, 3600.0, 30.0)
    series = RawSeries((("pod", "s"),), times, times + 1)
    starts = {"s": (-5000.0, 1800.0)}
    growth = rule(GaugeRule(type="Growth"))
    table = whole(growth, {"value": (series,)}, 3600.0, 0.0, 0.0, starts).table
    assert table.stable.pods == ("s", "s#2")
    known = [np.flatnonzero(line > 0) for line in table.stable.seconds]
    assert known[0].max() < 1800 / 30 < known[1].min()
    assert known[1].min() == (1800 + 900) / 30 - 1


def used(use: dict[float, float], load: dict[float, float]) -> ArmTable:
    roles = {"used": (one(use, container="app"),), "load": (one(load),)}
    return whole(rule(GaugeRule(type="Usage", load=True), 10.0), roles, NOW, BEGAN, 0.0, OLD).table.stable


def test_use_and_load_are_paired_over_the_same_time_although_a_scrape_of_one_is_missed() -> None:
    use = {t: v / 10 for t, v in STEADY.items() if t != 120}
    table = used(use, STEADY)
    assert table.amounts[0].tolist() == [[1.0, 10.0], [0.0, 0.0], [2.0, 20.0], [1.0, 10.0], [1.0, 10.0]]
    assert table.seconds.tolist() == [[10.0, 0.0, 20.0, 10.0, 10.0]]


def test_use_of_a_process_that_starts_again_is_left_out_with_its_load() -> None:
    table = used({90.0: 5, 100.0: 6, 110.0: 7, 120.0: 0.5, 130.0: 1.5, 140.0: 2.5, 150.0: 3.5, 160.0: 4.5}, STEADY)
    assert table.amounts[0].tolist() == [[1.0, 10.0], [0.0, 0.0], [1.0, 10.0], [1.0, 10.0], [1.0, 10.0]]


def test_load_without_use_is_no_data_and_never_waits_for_long() -> None:
    times = np.arange(100.0, 700.0, 10.0)
    late = {t: t for t in times if t >= 600}
    roles = {"used": (one(late),), "load": (one({t: t * 10 for t in times}),)}
    table = whole(rule(GaugeRule(type="Usage", load=True), 10.0), roles, 700.0, BEGAN, 0.0, OLD).table.stable
    assert table.amounts[0, :50].sum() == 0.0
    assert table.amounts[0, 50].tolist() == [10.0, 100.0]


def test_windows_wait_until_all_their_selectors_were_fetched() -> None:
    metric = WatchedMetric(rule(CountsRule(), 10.0), BEGAN, arm_of)
    metric.add("events", "both", [], NOW)
    assert metric.data(0, Watch(NOW, None, 0.0, OLD)).table.windows == 0
    metric.add("total", "both", [one(STEADY)], NOW - 20)
    assert metric.data(0, Watch(NOW, None, 0.0, OLD)).table.windows == 3


def test_no_data_is_told_by_when_it_ended_and_by_which_arm_has_none() -> None:
    metric = WatchedMetric(rule(CountsRule(), 10.0), BEGAN, arm_of)
    for role in ("events", "total"):
        metric.add(role, "both", [one(STEADY)], 400.0)
    assert metric.data(0, Watch(150.0, 100.0, 0.0, OLD)).state is DataState.WARMING_UP
    data = metric.data(0, Watch(400.0, 100.0, 0.0, OLD))
    assert (data.state, data.no_data_since) == (DataState.NO_DATA, 100.0)
    assert data.problems == (
        "no samples of the canary that are numbers: check the selector, and that pods are scraped",
    )


def test_samples_in_the_future_and_of_neither_arm_change_nothing() -> None:
    strange = [one({9999.0: 5.0, 99999.0: 50.0}), one(STEADY, pod="x-other")]
    assert stable(one(STEADY), *strange) == [10.0] * 5


def test_a_run_keeps_so_many_pods_in_mind_and_goes_on_with_those(monkeypatch: pytest.MonkeyPatch) -> None:
    metric = WatchedMetric(rule(CountsRule(), 10.0), BEGAN, arm_of)
    monkeypatch.setattr(places, "MAX_PLACES", 2)
    known = [one(STEADY, pod=pod) for pod in ("s-1", "c-1")]
    metric.add("total", "both", known, NOW)
    held = metric.held
    for _ in range(2):
        with pytest.raises(MeasurementError, match="more than 2 pods"):
            metric.add("total", "both", [one(STEADY, pod="s-2"), *known], NOW)
    metric.add("total", "both", known, NOW)
    assert metric.held == held > 0


def test_a_run_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    metric = WatchedMetric(rule(CountsRule(), 10.0), BEGAN, arm_of)
    monkeypatch.setattr(samples, "MAX_SAMPLES", 4)
    with pytest.raises(MeasurementError, match="more than a run may hold"):
        metric.add("total", "both", [one(STEADY)], NOW)
    assert metric.held == 0
    histogram = WatchedMetric(rule(HistogramRule(), 10.0), BEGAN, arm_of)
    with pytest.raises(MeasurementError, match="bounds"):
        histogram.add("buckets", "both", [one({100.0: 1}, le=str(i)) for i in range(300)], NOW)


def test_starts_of_a_pod_are_remembered_in_order_and_bounded() -> None:
    starts = PodStarts()
    for second in [5.0, 5.4, 3.0, *(float(10 * i) for i in range(1, 50))]:
        starts.see("a", second)
    assert starts.by_pod["a"] == tuple(float(10 * i) for i in range(18, 50))


def test_what_is_held_does_not_grow_with_the_run() -> None:
    times = np.arange(40.0, 6000.0, 10.0)
    series = [RawSeries((("pod", pod),), times, times * 3) for pod in ("s", "c")]
    reader = Reader(rule(CountsRule(), 10.0), {"events": series, "total": series}, BEGAN)
    held = []
    for now in np.arange(BEGAN + 10, 6000.0, 10.0):
        reader.look(float(now))
        held.append(sum(one.rows.size for one in reader.metric._samples.values()))
    assert max(held[30:]) <= max(held[:30])
    spans = [end - start for start, end in reader.asked]
    assert max(spans[2:]) <= 30.0


@pytest.mark.parametrize("lag", [0.0, 25.0, 45.0])
def test_a_store_that_shows_samples_late_loses_none(lag: float) -> None:
    times = np.arange(40.0, 700.0, 10.0)
    series = [RawSeries((("pod", pod),), times, times * 3) for pod in ("s", "c")]
    metric = WatchedMetric(rule(CountsRule(), 10.0), BEGAN, arm_of)
    total, running = 0.0, 0
    for now in np.arange(BEGAN, 700.0, 10.0).tolist():
        for role in ("events", "total"):
            since = metric.asks_from(role, "both", 60.0)
            metric.add(role, "both", cut(series, since, now - lag), now)
        table = metric.data(running, Watch(now, BEGAN, 0.0, {"s": (0.0,), "c": (0.0,)})).table
        total += float(table.canary.amounts[:, :, 1].sum())
        running = table.end
        metric.forget(running)
    assert running >= (700 - BEGAN - lag) / 10 - 4
    assert total == running * 30.0
