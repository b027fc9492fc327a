"""Fetches what is new for the comparisons of a run, in bounded pieces; it decides nothing and retries once."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from analysis.errors import InvalidSpec, MeasurementError
from analysis.providers.base import SeriesProvider
from analysis.rules import MetricRule
from analysis.selectors import Key
from analysis.series.raw import RawSeries
from analysis.series.watched import WatchedMetric
from analysis.spec import Metric

# The first fetch goes back to a scrape before the run began, so that what was there already is known.
_LEAD_SECONDS_MIN = 60.0
# A run of days is fetched again after a restart of the operator: one answer for all of it would be too large.
FETCH_SECONDS_MAX = 3600.0
MAX_PARALLEL_QUERIES = 4
RUN_SAMPLES_MAX = 10_000_000
"""Of all metrics of a run together, 80 MB."""
# More than this takes longer than a loop may stand still.
_SAMPLES_IN_LOOP_MAX = 10_000

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Compared:
    """A metric with a comparison, what is asked for it, and what came of it."""

    asked: Metric
    rule: MetricRule
    selectors: Mapping[Key, str]
    metric: WatchedMetric


class Queries:
    """Asks a few questions at a time, each once more where the first answer is unusable."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(MAX_PARALLEL_QUERIES)

    async def answer(self, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """Return the answer; raises MeasurementError where the second one is unusable too."""
        async with self._free:
            try:
                return await ask()
            except MeasurementError:
                return await ask()


class Fetcher:
    """Fetches for one run.

    Args:
        compared: by metric name.
        started_at: epoch seconds of the run's start.
        provider: answers queries.
        queries: how it is asked.
    """

    def __init__(
        self, compared: Mapping[str, Compared], started_at: float, provider: SeriesProvider, queries: Queries
    ) -> None:
        self._compared, self._started_at = compared, started_at
        self._provider, self._queries = provider, queries
        # The selectors of a metric share what is known of its pods.
        self._adding = asyncio.Lock()

    def next_until(self, now: float, failed: Collection[str]) -> float:
        """Return until when is asked next: after a restart, or after a long outage, an hour at a time.

        Args:
            now: epoch seconds.
            failed: metrics that could not be fetched at this look.
        """
        known = [one.metric.fetched_until for name, one in self._compared.items() if name not in failed]
        oldest = min(known, default=now)
        return min(max(oldest, self._started_at) + FETCH_SECONDS_MAX, now)

    async def fetch(self, until: float, failed: Collection[str]) -> Mapping[str, str]:
        """Fetch all metrics up to an epoch second, but for those that failed; returns problems by metric."""
        names = [name for name in self._compared if name not in failed]
        found = await asyncio.gather(*(self._metric(name, until) for name in names))
        return {name: problem for name, problem in zip(names, found, strict=True) if problem}

    async def _metric(self, name: str, until: float) -> str:
        compared = self._compared[name]
        # All are waited for: what came later would be added while the run is judged.
        problems = await asyncio.gather(*(self._selector(compared, key, until) for key in compared.selectors))
        return next((problem for problem in problems if problem), "")

    async def _selector(self, compared: Compared, key: Key, until: float) -> str:
        lead = max(_LEAD_SECONDS_MIN, 2 * compared.rule.interval_seconds)
        start = compared.metric.asks_from(*key, lead)
        if start >= until:
            return ""
        ask = partial(self._provider.samples, compared.asked, compared.selectors[key], start, until)
        try:
            answer = await self._queries.answer(ask)
            async with self._adding:
                await self._add(compared, key, answer, until)
        except (MeasurementError, InvalidSpec) as error:
            return str(error)
        return ""

    async def _add(self, compared: Compared, key: Key, answer: Sequence[RawSeries], until: float) -> None:
        samples = sum(one.times.size for one in answer)
        if samples + sum(one.metric.held for one in self._compared.values()) > RUN_SAMPLES_MAX:
            raise MeasurementError(
                f'with {samples} more samples of metric "{compared.rule.name}" the run would hold more than'
                f" {RUN_SAMPLES_MAX}; select fewer series for it, or give the run fewer metrics"
            )
        add = partial(compared.metric.add, *key, answer, until)
        if samples > _SAMPLES_IN_LOOP_MAX:
            await asyncio.to_thread(add)
        else:
            add()
