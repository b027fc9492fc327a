"""One arm's series to counts a pod and window."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from analysis.evidence.special import FloatArray
from analysis.evidence.windows import ArmWindows
from analysis.series.increments import Increments, increments_of
from analysis.series.raw import RawSeries
from analysis.series.sequences import sequences_of


@dataclass(frozen=True)
class ArmSeries:
    """What was fetched for one arm; `totals` is None where seconds of pod life are the total."""

    events: tuple[RawSeries, ...]
    totals: tuple[RawSeries, ...] | None


@dataclass(frozen=True)
class WindowClock:
    """The windows: from `start` (epoch seconds), each `interval` seconds, `count` of them."""

    start: float
    interval: float
    count: int

    def index(self, times: FloatArray) -> FloatArray:
        """Return the window each time belongs to; a time on a border belongs to the window it ends."""
        return np.asarray(np.ceil((times - self.start) / self.interval - 1e-9) - 1, dtype=np.float64)


@dataclass(frozen=True)
class PodAges:
    """When pods started, and how long they are young.

    Attributes:
        started_at: epoch seconds by pod name; pods may be missing.
        warm_up_seconds: pods younger than this do not count.
        new_by_default: whether a pod of unknown start counts as born at its first sample (the canary's), or only
            if that came clearly after the watch began (stable's).
    """

    started_at: Mapping[str, float]
    warm_up_seconds: float
    new_by_default: bool


@dataclass(frozen=True)
class ArmData:
    """One arm, ready to be judged.

    Attributes:
        windows: what counts, young pods left out.
        raw: the same with young pods, for the hard guards.
        pods_seen: names of pods with samples.
        last_sample: epoch seconds of the newest sample that says how much there was; None without any.
    """

    windows: ArmWindows
    raw: ArmWindows
    pods_seen: tuple[str, ...]
    last_sample: float | None


def arm_data(series: ArmSeries, pod_label: str, clock: WindowClock, ages: PodAges) -> ArmData:
    """Return the counts of one arm.

    Args:
        series: raw samples, from before the watch began if possible.
        pod_label: label with the pod's name; empty where all series are one (no noise between pods is known).
        clock: the windows.
        ages: of the pods.
    """
    events, totals = _by_pod(series.events, pod_label), _by_pod(series.totals or (), pod_label)
    pods = sorted(events.keys() | totals.keys())
    rows = [_pod(pod, events.get(pod, ()), _totals(series, totals, pod), clock, ages) for pod in pods]
    watched = series.events if series.totals is None else series.totals
    last = max((float(np.nanmax(s.times)) for s in watched if s.times.size), default=None)
    return ArmData(
        windows=_stacked([row[0] for row in rows], clock.count),
        raw=_stacked([row[1] for row in rows], clock.count),
        pods_seen=tuple(pods),
        last_sample=last,
    )


def _totals(series: ArmSeries, totals: Mapping[str, tuple[RawSeries, ...]], pod: str) -> tuple[RawSeries, ...] | None:
    return None if series.totals is None else totals.get(pod, ())


def _by_pod(series: Iterable[RawSeries], pod_label: str) -> dict[str, tuple[RawSeries, ...]]:
    pods: dict[str, tuple[RawSeries, ...]] = {}
    for one in series:
        name = one.label(pod_label) if pod_label else ""
        pods[name] = (*pods.get(name, ()), one)
    return pods


_Row = tuple[FloatArray, FloatArray, FloatArray]


def _pod(
    pod: str,
    events: tuple[RawSeries, ...],
    totals: tuple[RawSeries, ...] | None,
    clock: WindowClock,
    ages: PodAges,
) -> tuple[_Row, _Row]:
    event_counters = sequences_of(events)
    total_counters = sequences_of(totals or ())
    scrapes = _times([c.times for c in (*event_counters, *total_counters)])
    if scrapes.size == 0:
        empty = np.zeros(clock.count)
        return (empty, empty, empty), (empty, empty, empty)
    started = _started(pod, scrapes, clock, ages)
    born = started if started is not None and started > clock.start else None
    if born is not None:
        # A pod cannot have been scraped before it started; clocks of nodes may differ a little.
        born = min(born, float(scrapes[0]) - 1e-3)
    counted = [increments_of(c, scrapes, born) for c in event_counters]
    whole = [increments_of(c, scrapes, born) for c in total_counters]
    passed = scrapes if totals is None else _times([c.times for c in total_counters])
    lifetime = Increments(passed[:-1], passed[1:], np.diff(passed))
    warm_from = -np.inf if started is None else started + ages.warm_up_seconds
    return (
        _row(counted, whole, lifetime, clock, warm_from, pod_seconds=totals is None),
        _row(counted, whole, lifetime, clock, -np.inf, pod_seconds=totals is None),
    )


def _started(pod: str, scrapes: FloatArray, clock: WindowClock, ages: PodAges) -> float | None:
    if pod in ages.started_at:
        return ages.started_at[pod]
    first = float(scrapes[0])
    if not pod:
        return None
    late = first > clock.start + 2 * max(clock.interval, scrape_seconds([scrapes]) or 0.0)
    return first if ages.new_by_default or late else None


def _times(arrays: list[FloatArray]) -> FloatArray:
    return np.unique(np.concatenate(arrays)) if arrays else np.zeros(0)


def scrape_seconds(times: Iterable[FloatArray]) -> float | None:
    """Return the usual time between two scrapes, the median over all series; None where it cannot be known."""
    gaps = [np.diff(one) for one in times if one.size > 1]
    return float(np.median(np.concatenate(gaps))) if gaps else None


def _row(
    events: list[Increments],
    totals: list[Increments],
    lifetime: Increments,
    clock: WindowClock,
    warm_from: float,
    *,
    pod_seconds: bool,
) -> _Row:
    seconds = _binned([lifetime], clock, warm_from)
    return (
        _binned(events, clock, warm_from),
        seconds if pod_seconds else _binned(totals, clock, warm_from),
        seconds,
    )


def _binned(increments: list[Increments], clock: WindowClock, warm_from: float) -> FloatArray:
    row = np.zeros(clock.count)
    for one in increments:
        index = clock.index(one.ends)
        # Half a millisecond of slack: scrape times are kept in milliseconds.
        used = (one.starts >= max(warm_from, clock.start) - 5e-4) & (index >= 0) & (index < clock.count)
        np.add.at(row, index[used].astype(np.int64), one.amounts[used])
    return row


def _stacked(rows: list[_Row], count: int) -> ArmWindows:
    if not rows:
        empty = np.zeros((0, count))
        return ArmWindows(empty, empty, empty)
    events, totals, seconds = (np.stack([row[part] for row in rows]) for part in range(3))
    return ArmWindows(events, totals, seconds)
