"""Data hygiene: from raw samples to counts a pod and window."""

import math

import numpy as np
import pytest

from analysis.errors import MeasurementError
from analysis.series import raw
from analysis.series.arms import ArmData, ArmSeries, PodAges, WindowClock, arm_data
from analysis.series.raw import RawSeries, SeriesStore, labels_of

CLOCK = WindowClock(start=100.0, interval=10.0, count=5)


def one(samples: dict[float, float], **labels: str) -> RawSeries:
    times = np.asarray(list(samples), dtype=np.float64)
    return RawSeries(labels_of({"pod": "a", **labels}), times, np.asarray(list(samples.values()), dtype=np.float64))


def judged(
    *,
    events: tuple[RawSeries, ...] = (),
    totals: tuple[RawSeries, ...] | None = (),
    started: dict[str, float] | None = None,
    warm_up: float = 0.0,
    new: bool = False,
) -> ArmData:
    ages = PodAges(started if started is not None else {"a": 0.0}, warm_up, new_by_default=new)
    return arm_data(ArmSeries(events, totals), "pod", CLOCK, ages)


STEADY = {90.0 + 10 * i: 10.0 * i for i in range(7)}


def test_each_window_holds_what_was_counted_between_its_two_scrapes() -> None:
    data = judged(totals=(one(STEADY),))
    assert data.windows.totals.tolist() == [[10.0] * 5]
    assert data.windows.seconds.tolist() == [[10.0] * 5]


def test_what_was_counted_before_the_watch_began_is_left_out() -> None:
    data = judged(totals=(one({80.0: 0, 110.0: 300, 120.0: 310}),))
    assert data.windows.totals.tolist() == [[0, 10.0, 0, 0, 0]]


def test_a_reset_counts_from_zero() -> None:
    data = judged(totals=(one({100.0: 50, 110.0: 60, 120.0: 7, 130.0: 9}),))
    assert data.windows.totals.tolist() == [[10.0, 7.0, 2.0, 0, 0]]


def test_a_missed_scrape_merges_two_windows_and_their_seconds() -> None:
    data = judged(totals=(one({100.0: 0, 110.0: 10, 130.0: 30}),))
    assert data.windows.totals.tolist() == [[10.0, 0, 20.0, 0, 0]]
    assert data.windows.seconds.tolist() == [[10.0, 0, 20.0, 0, 0]]


def test_an_error_counter_that_appears_late_began_at_zero() -> None:
    data = judged(totals=(one(STEADY),), events=(one({130.0: 3, 140.0: 5}, code="500"),))
    assert data.windows.events.tolist() == [[0, 0, 3.0, 2.0, 0]]


def test_a_pod_with_requests_and_no_error_series_has_no_errors() -> None:
    data = judged(totals=(one(STEADY),))
    assert data.windows.events.tolist() == [[0.0] * 5]


def test_the_first_sample_of_an_old_pod_says_nothing() -> None:
    data = judged(totals=(one({110.0: 1_000_000, 120.0: 1_000_010}),))
    assert data.windows.totals.tolist() == [[0, 10.0, 0, 0, 0]]


def test_the_first_sample_of_a_pod_born_under_watch_counts_from_zero() -> None:
    data = judged(totals=(one({120.0: 8, 130.0: 18}),), started={"a": 112.0})
    assert data.windows.totals.tolist() == [[0, 8.0, 10.0, 0, 0]]


def test_a_pod_relabelled_by_its_scraper_counts_once() -> None:
    before = one({100.0: 50, 110.0: 60}, instance="10.0.0.1:80")
    after = one({120.0: 70, 130.0: 80}, instance="10.0.0.2:80")
    assert judged(totals=(before, after)).windows.totals.tolist() == [[10.0, 10.0, 10.0, 0, 0]]


def test_a_pod_scraped_by_two_jobs_counts_once() -> None:
    twice = tuple(one(STEADY, job=job) for job in ("a", "b"))
    assert judged(totals=twice).windows.totals.tolist() == [[10.0] * 5]
    shifted = one({t + 3: v + 3 for t, v in STEADY.items()}, job="b")
    both = judged(totals=(one(STEADY, job="a"), shifted)).windows.totals
    assert both.sum() == pytest.approx(50, abs=4)


def test_two_counters_of_one_pod_are_summed() -> None:
    slow = one({t: v / 10 for t, v in STEADY.items()}, path="/b")
    assert judged(totals=(one(STEADY, path="/a"), slow)).windows.totals.tolist() == [[11.0] * 5]
    ports = (one(STEADY, instance=":80"), one({t: v * 7 for t, v in STEADY.items()}, instance=":81"))
    assert judged(totals=ports).windows.totals.tolist() == [[80.0] * 5]


def test_nan_inf_and_doubled_samples_are_dropped() -> None:
    times = np.asarray([100.0, 110.0, 110.0, 120.0, 115.0, 130.0, math.nan])
    values = np.asarray([0.0, 9.0, 10.0, math.nan, math.inf, 30.0, 5.0])
    data = judged(totals=(RawSeries(labels_of({"pod": "a"}), times, values),))
    assert data.windows.totals.tolist() == [[10.0, 0, 20.0, 0, 0]]


def test_a_dead_pod_keeps_what_it_contributed() -> None:
    dead = one({100.0: 0, 110.0: 40}, pod="dead")
    data = judged(totals=(one(STEADY), dead), started={"a": 0.0, "dead": 0.0})
    assert data.windows.totals.sum(axis=0).tolist() == [50.0, 10.0, 10.0, 10.0, 10.0]
    assert data.windows.pods == 2


def test_young_pods_do_not_count_but_guards_see_them() -> None:
    data = judged(totals=(one(STEADY),), started={"a": 95.0}, warm_up=20.0)
    assert data.windows.totals.tolist() == [[0, 0, 10.0, 10.0, 10.0]]
    assert data.raw.totals.tolist() == [[10.0] * 5]


def test_a_pod_of_unknown_start_is_young_from_its_first_sample_on() -> None:
    canary = judged(totals=(one(STEADY),), started={}, warm_up=20.0, new=True)
    assert canary.windows.totals.tolist() == [[0, 10.0, 10.0, 10.0, 10.0]]
    stable = judged(totals=(one(STEADY),), started={}, warm_up=20.0)
    assert stable.windows.totals.tolist() == [[10.0] * 5]
    late = judged(totals=(one({130.0: 5, 140.0: 15}),), started={}, warm_up=0.0)
    assert late.windows.totals.tolist() == [[0, 0, 0, 10.0, 0]]


def test_pod_seconds_are_the_total_where_there_is_no_other() -> None:
    data = judged(events=(one({90.0: 0, 100.0: 0, 110.0: 1, 120.0: 1}),), totals=None)
    assert data.windows.totals.tolist() == [[10.0, 10.0, 0, 0, 0]]
    assert data.windows.events.tolist() == [[1.0, 0, 0, 0, 0]]


def test_fetches_may_overlap_and_the_store_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    store = SeriesStore()
    store.add([one({100.0: 0, 110.0: 10})])
    store.add([one({110.0: 10, 120.0: 20})])
    assert store.samples == 3
    assert store.latest == 120.0
    monkeypatch.setattr(raw, "MAX_SAMPLES", 4)
    with pytest.raises(MeasurementError, match="more than a run may hold"):
        store.add([one({1.0: 0, 2.0: 0})])
