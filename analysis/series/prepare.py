"""From a metric's series to what the judge looks at: windows, and whether there are data at all."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from analysis.evidence.windows import CountWindows
from analysis.judgement import DataState
from analysis.rules import CountsRule
from analysis.series.arms import ArmData, ArmSeries, PodAges, WindowClock, arm_data, scrape_seconds

EMPTY_WINDOWS_MAX = 5
MAX_WINDOWS = 100_000


@dataclass(frozen=True)
class Watch:
    """The time that is looked at, in epoch seconds.

    Attributes:
        started_at: of the run.
        traffic_from: when the canary first got traffic; None while it has none.
        warm_up_seconds: pods younger than this do not count.
        pods_started_at: by pod name; pods may be missing.
    """

    started_at: float
    now: float
    traffic_from: float | None
    warm_up_seconds: float
    pods_started_at: Mapping[str, float]


@dataclass(frozen=True)
class MetricData:
    """What the judge looks at for one metric; `raw` has young pods too, for the hard guards."""

    windows: CountWindows
    raw: CountWindows
    state: DataState
    no_data_since: float | None = None
    problems: tuple[str, ...] = ()


def metric_data(
    rule: CountsRule, canary: ArmSeries, stable: ArmSeries, watch: Watch, problems: tuple[str, ...] = ()
) -> MetricData:
    """Return a metric's windows up to two scrapes before now: younger ones may still grow."""
    scrape = _scrape(canary, stable) or rule.interval_seconds
    whole = math.floor((watch.now - 2 * scrape - watch.started_at) / rule.interval_seconds)
    clock = WindowClock(watch.started_at, rule.interval_seconds, min(max(whole, 0), MAX_WINDOWS))
    arms = [
        arm_data(
            series,
            rule.pod_label,
            clock,
            PodAges(watch.pods_started_at, watch.warm_up_seconds, new_by_default=new),
        )
        for series, new in ((canary, True), (stable, False))
    ]
    windows = CountWindows(arms[0].windows, arms[1].windows, rule.interval_seconds)
    since = _no_data_since(arms, watch, EMPTY_WINDOWS_MAX * rule.interval_seconds + 2 * scrape)
    missing = _missing(arms) if since is not None else ()
    return MetricData(
        windows=windows,
        raw=CountWindows(arms[0].raw, arms[1].raw, rule.interval_seconds),
        state=DataState.NO_DATA if since is not None else _state(windows),
        no_data_since=since,
        problems=(*problems, *missing),
    )


def _scrape(*arms: ArmSeries) -> float | None:
    return scrape_seconds(s.times for arm in arms for s in (*arm.events, *(arm.totals or ())))


def _no_data_since(arms: list[ArmData], watch: Watch, patience_seconds: float) -> float | None:
    if watch.traffic_from is None:
        return None
    last = min(max(arm.last_sample or 0.0, watch.traffic_from) for arm in arms)
    return last if watch.now - last > patience_seconds else None


def _missing(arms: list[ArmData]) -> tuple[str, ...]:
    named = zip(("the canary", "stable"), arms, strict=True)
    empty = [name for name, arm in named if arm.last_sample is None]
    if not empty:
        return ("samples stopped arriving: look at the metrics store and its targets",)
    return (f"no samples of {' and '.join(empty)} that are numbers: check the selector, and that pods are scraped",)


def _state(windows: CountWindows) -> DataState:
    watched = [float(arm.seconds.sum()) for arm in (windows.canary, windows.stable)]
    return DataState.COLLECTING if min(watched) > 0 else DataState.WARMING_UP
