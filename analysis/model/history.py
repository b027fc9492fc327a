"""A service's history, piece by piece, out of the metrics store: what a model learns from and is certified on."""

import asyncio
import hashlib
import math
import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from analysis.errors import InvalidSpec
from analysis.evidence.table import ArmTable, Table
from analysis.fetch import Queries
from analysis.model.placebo import LIFE
from analysis.model.query import query_digest
from analysis.patterns import compiled
from analysis.providers.base import SeriesProvider
from analysis.rules import MetricRule, RunRules
from analysis.run_spec import Arm, Arms
from analysis.selectors import selectors_of
from analysis.series.places import STABLE
from analysis.series.raw import RawSeries
from analysis.series.watched import Watch, WatchedMetric
from analysis.spec import Metric

SEGMENT_SECONDS = 2400.0
PIECES_MAX = 500
KNOWN_MIN = 0.5
"""A piece that is known for less of its time is left out."""
_LEAD_WINDOWS = 2
# A pod's name: that of its ReplicaSet, whose last part is the pod template's hash, and five random characters.
_POD = re.compile(r"(?P<hash>[a-z0-9]{6,10})-[a-z0-9]{5}(?:#[0-9]+)?\Z")


@dataclass(frozen=True)
class Piece:
    """A piece of history: by metric, stable pods only.

    Attributes:
        began_at: epoch seconds.
        by_age: the same without pods younger than each age in seconds, where it was asked for; only metrics of which
            pods were born in the piece.
    """

    began_at: float
    tables: Mapping[str, Table]
    by_age: Mapping[float, Mapping[str, Table]] = field(default_factory=dict)


@dataclass(frozen=True)
class HistorySource:
    """What is asked for.

    Attributes:
        metrics: by name, with all arguments filled in; those of `rules`.
        namespace: of the service.
        arms: `stable` matches the pods of every version.
    """

    rules: RunRules
    metrics: Mapping[str, Metric]
    namespace: str
    arms: Arms


def arms_of_history(rollout: str, stable: Arm | None = None) -> Arms:
    """Return arms in which the pods of every version of a Rollout are stable's; no pod is a canary's.

    Args:
        rollout: its name.
        stable: Service and hash of the present stable version, for metrics that select by those.
    """
    name = re.escape(rollout).replace("\\-", "-").replace("\\.", "[.]")
    pods = f"{name}-[a-z0-9]{{6,10}}-[a-z0-9]{{5}}"
    every = _with_pods(stable or Arm(), pods)
    return Arms(canary=every, stable=every)


def _with_pods(arm: Arm, pods: str) -> Arm:
    """Return an arm with another pattern of pods."""
    return Arm(pod_template_hash=arm.pod_template_hash, pods=pods, service=arm.service)


def pieces_between(begin: float, end: float, segment_seconds: float = SEGMENT_SECONDS) -> tuple[float, ...]:
    """Return the epoch seconds at which the pieces between two moments begin, oldest first; the newest PIECES_MAX."""
    count = max(math.floor((end - begin) / segment_seconds + 1e-9), 0)
    return tuple(end - (number + 1) * segment_seconds for number in reversed(range(min(count, PIECES_MAX))))


async def read_pieces(
    source: HistorySource, provider: SeriesProvider, begins: Sequence[float], segment_seconds: float = SEGMENT_SECONDS
) -> AsyncIterator[Piece]:
    """Yield pieces of history, in order; those with too little data are left out.

    Raises:
        MeasurementError: the store gives no usable answer, twice.
        InvalidSpec: a selector cannot be filled in, or the store's address is not allowed.
    """
    for begin in begins:
        piece = await read_piece(source, provider, begin, segment_seconds)
        if piece.tables:
            yield piece


async def read_piece(
    source: HistorySource,
    provider: SeriesProvider,
    begin: float,
    segment_seconds: float = SEGMENT_SECONDS,
    ages: Sequence[float] = (),
) -> Piece:
    """Return one piece; without the metrics of which too little is known.

    Args:
        source: what is asked for.
        provider: of the metrics store.
        begin: epoch seconds.
        segment_seconds: length of the piece.
        ages: at which young pods are told apart, ascending seconds, to learn their warm-up.
    """
    queries = Queries()
    readers = [_Reader(source, rule, begin, segment_seconds) for rule in source.rules.rules]
    await asyncio.gather(*(reader.fetch(provider, queries) for reader in readers))
    return await asyncio.to_thread(_piece, readers, begin, ages)


def _piece(readers: "Sequence[_Reader]", begin: float, ages: Sequence[float]) -> Piece:
    warm_up = readers[0].warm_up_seconds if readers else 0.0
    tables = {reader.rule.name: table for reader in readers if (table := reader.table(warm_up)) is not None}
    by_age: dict[float, dict[str, Table]] = {age: {} for age in ages}
    for reader in readers if ages else ():
        of_ages = [reader.table(age) for age in ages]
        known = [table for table in of_ages if table is not None]
        if len(known) == len(ages) and known[0].stable.seconds.sum() > known[-1].stable.seconds.sum():
            for age, table in zip(ages, known, strict=True):
                by_age[age][reader.rule.name] = table
    return Piece(begin, tables, by_age)


class _Reader:
    """One metric of one piece, read as a run would read it whose stable pods these are."""

    def __init__(self, source: HistorySource, rule: MetricRule, begin: float, seconds: float) -> None:
        self.rule = rule
        self._source, self._begin, self._seconds = source, begin, seconds
        self.warm_up_seconds = source.rules.warm_up_seconds
        self._metric = source.metrics[rule.name]
        selectors = selectors_of(self._metric, source.arms, source.namespace)
        self._selectors = {role: text for (role, side), text in selectors.items() if side != "canary"}
        self._watched = WatchedMetric(rule, begin, lambda _pod: STABLE, ("stable",))

    async def fetch(self, provider: SeriesProvider, queries: Queries) -> None:
        """Ask for all samples; twice, where the first answer is unusable."""
        lead = _LEAD_WINDOWS * self.rule.interval_seconds
        start, until = self._begin - lead, self._begin + self._seconds + lead
        for role, selector in self._selectors.items():

            async def ask(selector: str = selector) -> tuple[RawSeries, ...]:
                return await provider.samples(self._metric, selector, start, until)

            answer = await queries.answer(ask)
            # Of hours, so it is much.
            await asyncio.to_thread(self._watched.add, role, "stable", answer, until)

    def table(self, warm_up_seconds: float) -> Table | None:
        """Return the stable pods' table without young ones; None where too little is known.

        Of several versions it is the one that most pods were of.
        """
        lead = _LEAD_WINDOWS * self.rule.interval_seconds
        now = self._begin + self._seconds + lead
        watch = Watch(now, None, warm_up_seconds, {})
        table = self._watched.data(0, watch).table
        table = table.cut(0, math.floor(self._seconds / self.rule.interval_seconds + 1e-9))
        enough = table.windows * self.rule.interval_seconds >= KNOWN_MIN * self._seconds
        stable = _of_one_version(self._mine(table.stable))
        if not enough or not (stable.seconds > 0).any():
            return None
        return replace(table, stable=stable)

    def _mine(self, arm: ArmTable) -> ArmTable:
        """Return the pods of the Rollout; series without pods are taken as they are."""
        if not self.rule.pod_label:
            return arm
        belongs = compiled(self._source.arms.stable.pods).fullmatch
        rows = [row for row, pod in enumerate(arm.pods) if belongs(pod.partition(LIFE)[0])]
        return ArmTable(tuple(arm.pods[row] for row in rows), arm.seconds[rows], arm.amounts[rows])


def _of_one_version(arm: ArmTable) -> ArmTable:
    """Return the pods of the version that was there most: during a release, those of stable and not the canary's."""
    watched: Counter[str] = Counter()
    versions = [_version(pod) for pod in arm.pods]
    for version, seconds in zip(versions, arm.seconds.sum(axis=1).tolist(), strict=True):
        watched[version] += seconds
    if len(watched) <= 1:
        return arm
    chosen = max(sorted(watched), key=lambda version: watched[version])
    rows = [row for row, version in enumerate(versions) if version == chosen]
    return ArmTable(tuple(arm.pods[row] for row in rows), arm.seconds[rows], arm.amounts[rows])


def _version(pod: str) -> str:
    found = _POD.search(pod)
    return found["hash"] if found else ""


def query_digests(metrics: Mapping[str, Metric]) -> dict[str, str]:
    """Return the digest of each comparison's queries; arguments are filled in, tags of arms are not."""
    return {name: query_digest(*_queries(metric)) for name, metric in metrics.items() if metric.comparison is not None}


def _queries(metric: Metric) -> tuple[str, ...]:
    comparison = metric.comparison
    if comparison is None:
        return ()
    if comparison.counts is not None:
        return comparison.counts.events, comparison.counts.total
    if comparison.histogram is not None:
        return (comparison.histogram.buckets,)
    if comparison.gauge is not None:
        return comparison.gauge.query, comparison.gauge.load
    raise InvalidSpec(f'metric "{metric.name}" comparison', "none of counts, histogram and gauge is given", "give one")


def data_digest(pieces: Sequence[Piece]) -> str:
    """Return `sha256:` and the digest of all numbers that were learned from."""
    sha = hashlib.sha256()
    for piece in pieces:
        for name in sorted(piece.tables):
            table = piece.tables[name]
            sha.update(f"{piece.began_at:.3f} {name} {table.interval_seconds:g} {table.bounds}".encode())
            sha.update("\n".join(table.stable.pods).encode())
            for array in (table.stable.seconds, table.stable.amounts):
                sha.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
    return f"sha256:{sha.hexdigest()}"
