"""Fetching: a bound on all that a run holds, a loop that goes on, and nothing that comes after it was given up."""

import asyncio
import threading
from collections.abc import Iterator, Mapping

import msgspec
import numpy as np
import pytest

from analysis import fetch
from analysis.errors import MeasurementError
from analysis.fetch import Compared, Fetcher, Queries
from analysis.providers.replay import ReplayProvider
from analysis.rules import CountsRule, MetricRule
from analysis.selectors import Key
from analysis.series.raw import RawSeries, labels_of
from analysis.series.watched import WatchedMetric
from analysis.spec import Metric
from tests.support.watching import arm_of

START = 1_800_000_000.0
NOW = START + 600.0
HELD = 21
"""Samples that are asked for of a series."""


class Pods(ReplayProvider):
    """A store with some pods; questions for `e` fail at once where it is broken, others take a while."""

    def __init__(self, pods: int, *, broken: bool = False) -> None:
        times = np.arange(START - 60.0, NOW, 30.0)
        names = [f"canary-{pod}" for pod in range(pods)]
        some = [RawSeries(labels_of({"pod": name}), times, np.zeros(times.size)) for name in names]
        super().__init__({"e": some, "t": some})
        self._broken = broken

    async def samples(self, metric: Metric, selector: str, start: float, end: float) -> tuple[RawSeries, ...]:
        """Return a sample every 30 s of each pod."""
        if self._broken and selector == "e":
            raise MeasurementError("the store has no e")
        await asyncio.sleep(0.01)
        return await super().samples(metric, selector, start, end)


class Spied(WatchedMetric):
    """Notes the threads in which samples are added."""

    threads: list[int]

    def add(self, role: str, side: str, fetched: object, until: float) -> None:
        """Add, and note where."""
        self.threads = [*getattr(self, "threads", []), threading.get_ident()]
        super().add(role, side, fetched, until)  # type: ignore[arg-type]


def compared(*names: str) -> Mapping[str, Compared]:
    def each() -> Iterator[tuple[str, Compared]]:
        for name in names:
            rule = MetricRule(name, 30.0, CountsRule(), harm=0.1)
            selectors: Mapping[Key, str] = {("events", "both"): "e", ("total", "both"): "t"}
            asked = msgspec.convert({"name": name, "provider": {}}, Metric)
            yield name, Compared(asked, rule, selectors, Spied(rule, START, arm_of))

    return dict(each())


def fetched(some: Mapping[str, Compared], store: Pods) -> Mapping[str, str]:
    return asyncio.run(Fetcher(some, START, store, Queries()).fetch(NOW, ()))


def test_a_run_is_bounded_over_all_its_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "RUN_SAMPLES_MAX", 250)
    some = compared("errors", "timeouts", "declines")
    problems = fetched(some, Pods(3))
    assert sum(one.metric.held for one in some.values()) <= 250
    assert problems
    for name, problem in problems.items():
        assert f'of metric "{name}"' in problem
        assert problem.endswith("select fewer series for it, or give the run fewer metrics")
    for name in some.keys() - problems.keys():
        assert some[name].metric.fetched_until == NOW


@pytest.mark.parametrize(("limit", "in_loop"), [(10_000, True), (10, False)])
def test_what_is_large_is_added_beside_the_loop(monkeypatch: pytest.MonkeyPatch, limit: int, *, in_loop: bool) -> None:
    monkeypatch.setattr(fetch, "_SAMPLES_IN_LOOP_MAX", limit)
    some = compared("errors")
    assert fetched(some, Pods(3)) == {}
    metric = some["errors"].metric
    assert isinstance(metric, Spied)
    assert [thread == threading.get_ident() for thread in metric.threads] == [in_loop, in_loop]
    assert metric.held == 2 * 3 * HELD


def test_a_selector_that_fails_does_not_leave_the_others_behind() -> None:
    some = compared("errors")

    async def held_then_and_later() -> tuple[int, int]:
        problems = await Fetcher(some, START, Pods(2, broken=True), Queries()).fetch(NOW, ())
        assert problems == {"errors": "the store has no e"}
        then = some["errors"].metric.held
        await asyncio.sleep(0.05)
        return then, some["errors"].metric.held

    then, later = asyncio.run(held_then_and_later())
    assert then == later == 2 * HELD
