"""The shell of one AnalysisRun: has fetched what is new, measures, and judges. It decides nothing."""

import asyncio
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from analysis.arguments import fill_metric, run_values
from analysis.condition import Value, assess
from analysis.errors import InvalidSpec, MeasurementError
from analysis.evidence.guards import PodSeen, pods_guard
from analysis.evidence.metric_parts import MetricNoise, prior
from analysis.fetch import Compared, Fetcher, Queries
from analysis.judge import Facts, MetricData, Running, RunState, advance, begin_run, conclude
from analysis.judgement import Judgement, ShadowJudgement, WeightChange
from analysis.model.sentinel.acting import ActingSentinel
from analysis.patterns import compiled
from analysis.providers.base import SeriesProvider
from analysis.record import RunRecorder, digest
from analysis.rules import MetricRule, comparison_rules
from analysis.run_spec import AnalysisRunSpec, Arm, Arms, RunComparison
from analysis.selectors import arm_of, selectors_of, sides_of
from analysis.sentinel_seen import SentinelSeen
from analysis.sentinel_verdict import with_sentinel
from analysis.series.ages import PodStarts
from analysis.series.places import ArmOf
from analysis.series.watched import Watch, WatchedMetric
from analysis.spec import Metric
from analysis.verdict import AnalysisPhase
from analysis.weights import increases
from analysis.world import MetricMeasured

_VALUE_SHOWN = 1024


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


@dataclass(frozen=True)
class Shadow:
    """A model that is scored beside the one that decides.

    Attributes:
        digest: of the model.
        noises: of all comparisons.
        limit_raise: by its calibration.
    """

    digest: str
    noises: Mapping[str, MetricNoise]
    limit_raise: float = 0.0


@dataclass(frozen=True)
class Models:
    """What a run knows of its service; without a model, nothing.

    Attributes:
        noises: learned noise by metric name; priors for the others.
        limit_raise: added to the limit of the log evidence by a model's calibration.
        shadow: a model that says what it would have said, from the same windows; it decides nothing.
        sentinel: the model's anomaly detector; where it may fail the run, its budget is taken out of the run's.
    """

    noises: Mapping[str, MetricNoise] = field(default_factory=dict)
    limit_raise: float = 0.0
    shadow: Shadow | None = None
    sentinel: ActingSentinel | None = None


@dataclass(frozen=True)
class Judged:
    """What the latest judgement was made of; `looks` counts those that had left finished blocks by then."""

    judgement: Judgement
    state: RunState
    facts: Facts
    running: Mapping[str, Running]
    sentinel: SentinelSeen | None
    looks: int


class RunMeasurer:
    """Keeps what was fetched for one run, so that each look asks only for what is new.

    After a restart of the operator everything is fetched again from the run's start, and the answer is the same.

    Args:
        spec: of the run.
        namespace: of the run.
        started_at: epoch seconds of the run's start.
        provider: answers queries.
        secrets: values of the arguments with valueFrom.secretKeyRef, by argument name.
        models: what is known of the service.

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
        models: Models | None = None,
    ) -> None:
        values = run_values(spec.args, secrets or {})
        filled = (fill_metric(metric, values, f"spec.metrics[{i}]") for i, metric in enumerate(spec.metrics))
        self._metrics = {metric.name: metric for metric in filled}
        self._started_at, self._provider, self._queries = started_at, provider, Queries()
        comparison = spec.comparison or RunComparison()
        self._arms, self._deadline_seconds = comparison.arms, comparison.progress_deadline_seconds
        whose = arm_of(self._arms)
        rules = comparison_rules(spec, self._metrics.values())
        self._compared = {
            rule.name: _compared(self._metrics[rule.name], rule, self._arms, namespace, started_at, whose)
            for rule in rules.rules
        }
        self._fetcher = Fetcher(self._compared, started_at, provider, self._queries)
        known = models or Models()
        noises = {rule.name: known.noises.get(rule.name) or prior(rule) for rule in rules.rules}
        self._sentinel = known.sentinel
        own = replace(rules, budget=rules.budget - (known.sentinel.taken if known.sentinel else 0.0))
        self._state = begin_run(own, started_at, noises, known.limit_raise)
        self._shadow = shadow = known.shadow
        self._shadow_state = begin_run(rules, started_at, shadow.noises, shadow.limit_raise) if shadow else None
        self._recorder = RunRecorder()
        self._starts = PodStarts()
        self.last: Judged | None = None
        """The latest judgement, with what its record is made of."""
        self.largest_log_evidence = -math.inf
        """Of all looks so far."""

    async def measure(self, name: str, clock: Callable[[], float]) -> MetricMeasured:
        """Measure one ordinary metric and judge it by its conditions.

        Errors are part of the answer (phase Error), so this raises nothing of ours.
        """
        metric = self._metrics[name]
        started = clock()
        try:
            value = await self._queries.answer(lambda: self._provider.measure(metric, started))
        except (MeasurementError, InvalidSpec) as error:
            return MetricMeasured(name, started, clock(), AnalysisPhase.ERROR, message=str(error))
        said = assess(value, metric.success_condition, metric.failure_condition)
        return MetricMeasured(name, started, clock(), said.phase, _shown(value), said.message)

    async def look(self, seen: Look) -> Judgement:
        """Fetch what is new for all comparisons, and judge; a failed fetch is a problem of its metric."""
        for pod in seen.pods:
            if pod.started_at is not None:
                self._starts.see(pod.name, pod.started_at)
        problems: dict[str, str] = {}
        until = self._fetcher.next_until(seen.now, problems)
        while until < seen.now:
            problems |= await self._fetcher.fetch(until, problems)
            await asyncio.to_thread(self._take_in, seen, until, problems)
            until = self._fetcher.next_until(seen.now, problems)
        problems |= await self._fetcher.fetch(seen.now, problems)
        self.last = last = await asyncio.to_thread(self._judge, seen, problems)
        self.largest_log_evidence = max(self.largest_log_evidence, last.judgement.log_evidence)
        return last.judgement

    async def recorded(self, last: Judged | None = None) -> tuple[Judgement, bytes] | None:
        """Return a judgement with the digest of its record, and that; None before there is one to keep.

        It costs more than a look, so it is for the end of a run. A look that is under way, or came later, has no part
        in it.

        Args:
            last: what a run ended with; None for the latest judgement.

        Raises:
            RecordError: the record would be too large.
        """
        last = last or self.last
        if last is None:
            return None
        encode = partial(self._recorder.encode, last.state, last.facts, last.running, last.sentinel, last.looks)
        record = await asyncio.to_thread(encode)
        return replace(last.judgement, record_digest=digest(record)), record

    def _judge(self, seen: Look, problems: Mapping[str, str]) -> Judged:
        facts, running = self._take_in(seen, seen.now, problems)
        watched = self._sentinel.seen(self._state, facts, running) if self._sentinel else None
        judgement = with_sentinel(conclude(self._state, facts, running), watched)
        judgement = replace(judgement, shadow=self._shadowed(facts, running))
        return Judged(judgement, self._state, facts, running, watched, len(self._recorder))

    def _shadowed(self, facts: Facts, running: Mapping[str, Running]) -> ShadowJudgement | None:
        """Return what the model in the shadow says of the same windows."""
        if self._shadow is None or self._shadow_state is None:
            return None
        said = conclude(self._shadow_state, facts, running)
        return ShadowJudgement(self._shadow.digest, said.verdict, said.log_evidence, said.log_limit)

    def _take_in(self, seen: Look, until: float, problems: Mapping[str, str]) -> tuple[Facts, Mapping[str, Running]]:
        """Take in what was fetched up to a moment, and forget what finished blocks hold."""
        canary, stable = self._pods(seen, self._arms.canary), self._pods(seen, self._arms.stable)
        guard = pods_guard(canary, stable, seen.now, self._deadline_seconds)
        facts = Facts(until, None if seen.weights is None else tuple(seen.weights), guard)
        data = {name: self._data(one, facts, problems.get(name, "")) for name, one in self._compared.items()}
        self._state, running, finished = advance(self._state, facts, data)
        if self._shadow_state is not None:
            self._shadow_state, _, _ = advance(self._shadow_state, facts, data)
        self._recorder.add(finished)
        for name, one in self._compared.items():
            one.metric.forget(self._state.running_from(name))
        return facts, running

    def _data(self, compared: Compared, facts: Facts, problem: str) -> MetricData:
        traffic = (self._started_at,) if facts.weights is None else increases(facts.weights, facts.at)
        watch = Watch(
            now=facts.at,
            traffic_from=traffic[0] if traffic else None,
            warm_up_seconds=self._warm_up_seconds(compared.rule.name),
            pod_starts=self._starts.by_pod,
        )
        data = compared.metric.data(self._state.running_from(compared.rule.name), watch)
        return replace(data, problems=((problem,) if problem else ()) + data.problems)

    def _warm_up_seconds(self, name: str) -> float:
        """Return the run's setting, or what a model has learned of this metric where that is longer."""
        return max(self._state.rules.warm_up_seconds, self._state.metrics[name].noise.warm_up_seconds or 0.0)

    def _pods(self, seen: Look, arm: Arm) -> list[PodSeen]:
        return [pod for pod in seen.pods if arm.pods and compiled(arm.pods).fullmatch(pod.name)]


def _compared(
    metric: Metric, rule: MetricRule, arms: Arms, namespace: str, started_at: float, whose: ArmOf
) -> Compared:
    selectors = selectors_of(metric, arms, namespace)
    return Compared(metric, rule, selectors, WatchedMetric(rule, started_at, whose, sides_of(selectors)))


def _shown(value: Value) -> str:
    text = "NaN" if isinstance(value, float) and math.isnan(value) else json.dumps(value)
    return text[:_VALUE_SHOWN]
