"""The shell of one AnalysisRun: fetches what is new, measures, and judges. It decides nothing and retries once."""

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from analysis.arguments import fill_metric, fill_selector, run_values
from analysis.condition import Value, assess
from analysis.errors import InvalidSpec, MeasurementError
from analysis.evidence.guards import PodSeen, crash_loop
from analysis.evidence.noise import Noise, prior_noise
from analysis.judge import RunData, judge
from analysis.judgement import Judgement, WeightChange
from analysis.names import first_match
from analysis.patterns import compiled
from analysis.providers.base import SeriesProvider
from analysis.record import RecordError, digest, encode
from analysis.rules import CountsRule, RunRules, counts_rule, run_rules
from analysis.run_spec import AnalysisRunSpec, Arm, Arms, RunComparison
from analysis.series.arms import ArmSeries
from analysis.series.prepare import MetricData, Watch, metric_data
from analysis.series.raw import RawSeries, SeriesStore
from analysis.spec import Metric
from analysis.verdict import AnalysisPhase, Verdict
from analysis.weights import increases, weight_at
from analysis.world import MetricMeasured

# How far a fetch goes back beyond what is known: late samples, and the scrape before the run began.
_OVERLAP_SECONDS_MIN = 60.0
# A run of days is fetched again after a restart of the operator: one answer for all of it would be too large.
FETCH_SECONDS_MAX = 3600.0
MAX_PARALLEL_QUERIES = 4
_VALUE_SHOWN = 1024
_POD_NAME_MAX = 253

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Look:
    """The world at one look at the comparisons.

    Attributes:
        now: epoch seconds.
        weights: the timeline of the canary's weight; None for a run without one, which is watched from its start.
        pods: of both arms, dead ones too where known; told apart by the arms' patterns.
    """

    now: float
    weights: Sequence[WeightChange] | None = None
    pods: Sequence[PodSeen] = ()


@dataclass
class _Watched:
    """One selector of one metric, and what was fetched of it."""

    metric: Metric
    selector: str
    store: SeriesStore
    fetched_until: float | None = None


class RunMeasurer:
    """Keeps what was fetched for one run, so that each look asks only for what is new.

    After a restart of the operator everything is fetched again from the run's start, and the answer is the same.

    Args:
        spec: of the run.
        namespace: of the run.
        started_at: epoch seconds of the run's start.
        provider: answers queries.
        secrets: values of the arguments with valueFrom.secretKeyRef, by argument name.
        noises: learned noise by metric name; priors for the others.

    Raises:
        InvalidSpec: the run cannot be measured.
    """

    def __init__(
        self,
        spec: AnalysisRunSpec,
        namespace: str,
        started_at: float,
        provider: SeriesProvider,
        secrets: Mapping[str, str] | None = None,
        noises: Mapping[str, Noise] | None = None,
    ) -> None:
        values = run_values(spec.args, secrets or {})
        filled = (fill_metric(metric, values, f"spec.metrics[{i}]") for i, metric in enumerate(spec.metrics))
        self._metrics = {metric.name: metric for metric in filled}
        self._started_at, self._provider = started_at, provider
        self._arms = _checked((spec.comparison or RunComparison()).arms)
        self._rules = _rules(spec, self._metrics)
        self._noises = {
            rule.name: (noises or {}).get(rule.name) or prior_noise(rule.interval_seconds) for rule in self._rules.rules
        }
        self._watched = {
            rule.name: _watched(self._metrics[rule.name], self._arms, namespace) for rule in self._rules.rules
        }
        self._queries = asyncio.Semaphore(MAX_PARALLEL_QUERIES)
        self.record: bytes | None = None
        """The record of the last look that failed the run; None while there is none."""

    async def measure(self, name: str, clock: Callable[[], float]) -> MetricMeasured:
        """Measure one ordinary metric and judge it by its conditions.

        Errors are part of the answer (phase Error), so this raises nothing of ours.
        """
        metric = self._metrics[name]
        started = clock()
        try:
            value = await self._twice(lambda: self._provider.measure(metric, started))
        except (MeasurementError, InvalidSpec) as error:
            return MetricMeasured(name, started, clock(), AnalysisPhase.ERROR, message=str(error))
        said = assess(value, metric.success_condition, metric.failure_condition)
        return MetricMeasured(name, started, clock(), said.phase, _shown(value), said.message)

    async def look(self, seen: Look) -> Judgement:
        """Fetch what is new for all comparisons, and judge; a failed fetch is a problem of its metric."""
        names = [rule.name for rule in self._rules.rules]
        problems = await asyncio.gather(*(self._fetch(name, seen.now) for name in names))
        by_name = dict(zip(names, problems, strict=True))
        judgement, self.record = await asyncio.to_thread(self._judge, seen, by_name)
        return judgement

    async def _fetch(self, name: str, now: float) -> tuple[str, ...]:
        try:
            await asyncio.gather(*(self._fetch_one(watched, now) for watched in self._watched[name].values()))
        except (MeasurementError, InvalidSpec) as error:
            return (str(error),)
        return ()

    async def _fetch_one(self, watched: _Watched, now: float) -> None:
        overlap = max(_OVERLAP_SECONDS_MIN, 2 * self._rule(watched.metric.name).interval_seconds)
        known = watched.fetched_until
        start = self._started_at - overlap if known is None else known - overlap
        while start < now:
            end = min(start + FETCH_SECONDS_MAX, now)
            watched.store.add(
                await self._twice(partial(self._provider.samples, watched.metric, watched.selector, start, end))
            )
            watched.fetched_until = start = end

    async def _twice(self, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        async with self._queries:
            try:
                return await ask()
            except MeasurementError:
                return await ask()

    def _rule(self, name: str) -> CountsRule:
        return next(rule for rule in self._rules.rules if rule.name == name)

    def _judge(self, seen: Look, problems: Mapping[str, tuple[str, ...]]) -> tuple[Judgement, bytes | None]:
        data = self._data(seen, problems)
        judgement = judge(data)
        if judgement.verdict is not Verdict.FAIL:
            return judgement, None
        try:
            record = encode(data)
        except RecordError:
            # The verdict stands without its record; a status without a digest says so.
            return judgement, None
        return replace(judgement, record_digest=digest(record)), record

    def _data(self, seen: Look, problems: Mapping[str, tuple[str, ...]]) -> RunData:
        starts, proof_from = self._beginnings(seen)
        canary = self._pods(seen, self._arms.canary)
        stable = self._pods(seen, self._arms.stable)
        watch = Watch(
            started_at=self._started_at,
            now=seen.now,
            traffic_from=starts[0] if starts else None,
            warm_up_seconds=self._rules.warm_up_seconds,
            pods_started_at={p.name: p.started_at for p in seen.pods if p.started_at is not None},
        )
        return RunData(
            rules=self._rules,
            started_at=self._started_at,
            at=seen.now,
            starts=starts,
            proof_from=proof_from,
            weight_percent=None if seen.weights is None else weight_at(seen.weights, seen.now),
            guard=crash_loop(canary, stable, seen.now),
            metrics={
                rule.name: self._metric_data(rule, watch, problems.get(rule.name, ())) for rule in self._rules.rules
            },
            noises=self._noises,
        )

    def _beginnings(self, seen: Look) -> tuple[tuple[float, ...], float]:
        """Return when evidence starts (once or more), and when proofs do; without traffic nothing is proven."""
        if seen.weights is None:
            return (self._started_at,), self._started_at
        changes = [change for change in seen.weights if change.at <= seen.now]
        has_traffic = bool(changes) and changes[-1].percent > 0
        return increases(seen.weights, seen.now), changes[-1].at if has_traffic else seen.now

    def _pods(self, seen: Look, arm: Arm) -> list[PodSeen]:
        return [pod for pod in seen.pods if arm.pods and compiled(arm.pods).fullmatch(pod.name)]

    def _metric_data(self, rule: CountsRule, watch: Watch, problems: tuple[str, ...]) -> MetricData:
        watched = {key: w.store.series() for key, w in self._watched[rule.name].items()}
        sides = [
            ArmSeries(
                events=_of_arm(watched, "events", side, arm, rule.pod_label),
                totals=None if rule.pod_seconds else _of_arm(watched, "total", side, arm, rule.pod_label),
            )
            for side, arm in (("canary", self._arms.canary), ("stable", self._arms.stable))
        ]
        return metric_data(rule, sides[0], sides[1], watch, problems)


def _checked(arms: Arms) -> Arms:
    for side, arm in (("canary", arms.canary), ("stable", arms.stable)):
        try:
            compiled(arm.pods)
        except ValueError as error:
            raise InvalidSpec(f"spec.comparison.arms.{side}.pods", str(error)) from error
    return arms


def _rules(spec: AnalysisRunSpec, metrics: Mapping[str, Metric]) -> RunRules:
    rules = tuple(
        counts_rule(
            metrics[raw.name],
            f"spec.metrics[{index}]",
            dry_run=first_match(spec.dry_run, raw.name) is not None,
        )
        for index, raw in enumerate(spec.metrics)
        if raw.comparison is not None
    )
    return run_rules(spec.comparison or RunComparison(), rules)


_Key = tuple[str, str]


def _watched(metric: Metric, arms: Arms, namespace: str) -> dict[_Key, _Watched]:
    """Return what is fetched for a metric, by role (events, total) and side (canary, stable, or both)."""
    comparison = metric.comparison
    if comparison is None or comparison.counts is None:
        return {}
    roles = {"events": comparison.counts.events, "total": comparison.counts.total}
    sides: dict[str, Arm | None] = {"both": None}
    if comparison.arms.by == "Query":
        sides = {"canary": arms.canary, "stable": arms.stable}
    watched: dict[_Key, _Watched] = {}
    for role, text in roles.items():
        for side, arm in sides.items() if text else ():
            field = f'metric "{metric.name}" comparison.counts.{role}'
            selector = fill_selector(text, arms, field, namespace=namespace, arm=arm, arm_name=side)
            watched[role, side] = _Watched(metric, selector, SeriesStore())
    return watched


def _of_arm(
    watched: Mapping[_Key, tuple[RawSeries, ...]], role: str, side: str, arm: Arm, pod_label: str
) -> tuple[RawSeries, ...]:
    if (role, side) in watched:
        return watched[role, side]
    both = watched.get((role, "both"), ())
    belongs = compiled(arm.pods).fullmatch
    return tuple(one for one in both if belongs(one.label(pod_label)[:_POD_NAME_MAX]))


def _shown(value: Value) -> str:
    text = "NaN" if isinstance(value, float) and math.isnan(value) else json.dumps(value)
    return text[:_VALUE_SHOWN]
