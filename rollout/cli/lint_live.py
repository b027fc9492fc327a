"""What a live Prometheus knows of a template's selectors: whether there are series, of which pods, and how many."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import aiohttp
import msgspec
import numpy as np

from analysis.authoring.arms import selectors
from analysis.authoring.filled import Filled
from analysis.authoring.finding import Finding, Severity, warning
from analysis.authoring.selector import Matcher, Selector
from analysis.errors import MeasurementError
from analysis.provider_spec import PrometheusMetric
from analysis.providers.prometheus import PrometheusProvider
from analysis.rules import MetricRule
from analysis.spec import Metric

SERIES_A_POD_MAX = 200
SERIES_MAX = 20_000
_HOUR = "1h"
_PARALLEL = 4
_READ_SECONDS, _READ_SERIES_MAX = 300.0, 2000
_LATE_SCRAPES = 1.1


@dataclass(frozen=True)
class Counted:
    """What Prometheus has of one selector, the arms left out: series, pods, and seconds between scrapes, 0 unknown."""

    series: float
    pods: float
    scrape_seconds: float = 0.0


async def ask(filled: Filled, address: str) -> tuple[Finding, ...]:
    """Return what is wrong with the series of every comparison.

    Args:
        filled: the template.
        address: of the Prometheus to ask, in place of the template's.

    Raises:
        MeasurementError: Prometheus does not answer.
        InvalidSpec: the address is none.
    """
    limit = asyncio.Semaphore(_PARALLEL)
    rules = {rule.name: rule for rule in filled.rules.rules}
    async with aiohttp.ClientSession() as session:
        asked = [
            _one(
                _Question(PrometheusProvider(session), _at(metric, address), rules[metric.name]), role, selector, limit
            )
            for metric in filled.metrics
            if metric.name in rules
            for role, selector in selectors(metric).items()
        ]
        return tuple(finding for found in await asyncio.gather(*asked) for finding in found)


@dataclass(frozen=True)
class _Question:
    provider: PrometheusProvider
    metric: Metric
    rule: MetricRule

    async def number(self, query: str, now: float) -> float:
        """The one value of a query, 0 of none."""
        provider = self.metric.provider.prometheus or PrometheusMetric()
        spec = msgspec.structs.replace(provider, query=query, range_query=None)
        metric = msgspec.structs.replace(
            self.metric, provider=msgspec.structs.replace(self.metric.provider, prometheus=spec)
        )
        value = await self.provider.measure(metric, now)
        first = value[0] if isinstance(value, list) and value else value
        return float(first) if isinstance(first, int | float) else 0.0

    async def scrape_seconds(self, selector: Selector, now: float) -> float:
        """The usual time between two samples of a series; 0 where none has two in the last minutes."""
        found = await self.provider.samples(self.metric, str(selector), now - _READ_SECONDS, now)
        gaps = [np.diff(one.times) for one in found if one.times.size > 1]
        return float(np.median(np.concatenate(gaps))) if gaps else 0.0


def _at(metric: Metric, address: str) -> Metric:
    provider = metric.provider.prometheus or PrometheusMetric()
    moved = msgspec.structs.replace(metric.provider, prometheus=msgspec.structs.replace(provider, address=address))
    return msgspec.structs.replace(metric, provider=moved)


async def _one(question: _Question, role: str, selector: Selector, limit: asyncio.Semaphore) -> list[Finding]:
    async with limit:
        counted = await _count(question, any_arm(selector), question.rule.pod_label)
    field = f'metric "{question.metric.name}" {role}'
    return list(_judged(counted, field, question.rule, any_arm(selector)))


def any_arm(selector: Selector) -> Selector:
    """Return the selector without what is known of the arms only in a run."""
    kept = tuple(matcher for matcher in selector.matchers if "{{" not in matcher.value)
    return Selector(kept)


async def _count(question: _Question, selector: Selector, pod_label: str) -> Counted:
    now = await _time(question)
    series = await question.number(f"count(last_over_time({selector}[{_HOUR}]))", now)
    if not series or not pod_label:
        return Counted(series, 0.0)
    of_pods = selector.with_matcher(Matcher(pod_label, "!=", ""))
    pods = await question.number(f"count(count by ({pod_label}) (last_over_time({of_pods}[{_HOUR}])))", now)
    return Counted(series, pods, await question.scrape_seconds(selector, now) if series <= _READ_SERIES_MAX else 0.0)


async def _time(question: _Question) -> float:
    """The server's own time, so that a clock of ours that is wrong finds no dead metrics."""
    import time

    try:
        return await question.number("time()", time.time())
    except MeasurementError as error:
        raise MeasurementError(f"--prometheus: {error}") from error


def _judged(counted: Counted, field: str, rule: MetricRule, selector: Selector) -> Iterator[Finding]:
    if not counted.series:
        words = f"no series of {selector} in the last hour"
        yield Finding(Severity.ERROR, field, words, "is the name right, and is it scraped?")
        return
    if not rule.pod_label:
        return
    if not counted.pods:
        words = f"its series have no label {rule.pod_label}"
        yield Finding(Severity.ERROR, field, words, "name theirs by arms.podLabel, or use arms.by: Query")
        return
    if counted.series / counted.pods > SERIES_A_POD_MAX or counted.series > SERIES_MAX:
        yield warning(
            field, f"{counted.series:.0f} series of {counted.pods:.0f} pods are fetched at every look",
            "select fewer: add conditions on labels with many values",
        )  # fmt: skip
    if counted.scrape_seconds > rule.interval_seconds * _LATE_SCRAPES:
        yield warning(
            field, f"is scraped every {counted.scrape_seconds:.3g} s, and a window is {rule.interval_seconds:.3g} s",
            "make the metric's interval at least as long",
        )  # fmt: skip
