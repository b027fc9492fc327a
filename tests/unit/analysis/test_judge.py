"""Whole judgements: from a recording through the measurer to a verdict, its words and its record."""

import asyncio
import subprocess
import sys
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from analysis.comparison_spec import ArmsSelection, Comparison, CountsComparison
from analysis.errors import InvalidSpec, MeasurementError
from analysis.evidence.guards import PodSeen
from analysis.explain import describe
from analysis.judgement import DataState, Judgement, WeightChange
from analysis.measure import Look, RunMeasurer
from analysis.provider_spec import MetricProvider, PrometheusMetric
from analysis.providers.replay import ReplayProvider
from analysis.record import decode, digest, replay
from analysis.run_spec import AnalysisRunSpec, Arm, Arms, RunComparison
from analysis.series.raw import RawSeries
from analysis.spec import DryRun, Metric
from analysis.verdict import AnalysisPhase, Verdict
from tests.support.counters import Scrapes, SimulatedArm, counters

START = 1_800_000_000.0
PROVIDER = MetricProvider(prometheus=PrometheusMetric(address="http://prometheus", query="up"))
ARMS = Arms(
    canary=Arm(pods="new-[a-z0-9]+", pod_template_hash="bbb", service="shop-canary"),
    stable=Arm(pods="old-[a-z0-9]+", pod_template_hash="aaa", service="shop-stable"),
)


def metric(name: str = "errors", **more: object) -> Metric:
    counts = CountsComparison(events='e{pod=~"{{arms.pods}}"}', total='t{pod=~"{{arms.pods}}"}')
    comparison = Comparison(**{"counts": counts, "tolerance": "400%", **more})  # type: ignore[arg-type]
    return Metric(name=name, provider=PROVIDER, interval="5s", comparison=comparison)


def spec(*metrics: Metric, **more: object) -> AnalysisRunSpec:
    comparison = RunComparison(**{"warm_up": "10s", "arms": ARMS, **more})  # type: ignore[arg-type]
    return AnalysisRunSpec(metrics=metrics or (metric(),), comparison=comparison)


def simulated(canary: float, *, until: float = 600, stable: float = 0.02) -> dict[str, list[RawSeries]]:
    scrapes = Scrapes(START - 60, START + until, 5.0)
    old = counters(SimulatedArm(tuple(f"old-{i}" for i in range(4)), 100, stable, START - 9999), scrapes, 1)
    new = counters(SimulatedArm(tuple(f"new-{i}" for i in range(4)), 100, canary, START), scrapes, 2)
    both = '{pod=~"(old-[a-z0-9]+|new-[a-z0-9]+)"}'
    return {f"e{both}": [*old[0], *new[0]], f"t{both}": [*old[1], *new[1]]}


def look(
    run: AnalysisRunSpec,
    series: dict[str, list[RawSeries]],
    at: float,
    *,
    weights: tuple[WeightChange, ...] | None = (WeightChange(START, 50),),
    pods: tuple[PodSeen, ...] = (),
    before: tuple[float, ...] = (),
) -> tuple[Judgement, bytes]:
    async def judged() -> tuple[Judgement, bytes]:
        measurer = RunMeasurer(run, "shop", START, ReplayProvider(series))
        for earlier in before:
            await measurer.look(Look(START + earlier, weights, pods))
        await measurer.look(Look(START + at, weights, pods))
        recorded = await measurer.recorded()
        assert recorded is not None
        return recorded

    return asyncio.run(judged())


def test_many_small_fetches_judge_as_one_large_fetch() -> None:
    series = simulated(0.05)
    at_once, _ = look(spec(), series, 200)
    in_steps, _ = look(spec(), series, 200, before=tuple(range(5, 200, 15)))
    assert at_once == in_steps


def test_harm_fails_and_its_record_replays_bit_for_bit() -> None:
    judgement, record = look(spec(), simulated(0.30), 120)
    assert judgement.verdict is Verdict.FAIL
    assert judgement.record_digest == digest(record)
    assert replay(record) == judgement
    assert decode(record).encoded() == record
    text = describe(judgement)
    assert "limit 100:1" in text
    assert "priors" in text


def test_a_healthy_canary_is_proven_at_its_weight_and_anew_at_the_next() -> None:
    series = simulated(0.02)
    first, _ = look(spec(), series, 200)
    assert first.verdict is Verdict.PASS
    assert first.weight_percent == 50
    assert "errors worse than 400%" in first.explanation
    raised = (WeightChange(START, 50), WeightChange(START + 195, 75))
    again, _ = look(spec(), series, 200, weights=raised)
    assert again.verdict is Verdict.INCONCLUSIVE
    assert not again.proven
    later, _ = look(spec(), series, 400, weights=raised)
    assert later.proven
    assert later.weight_percent == 75


def test_no_series_is_no_data_and_ends_by_itself_when_data_return() -> None:
    series = simulated(0.02)
    gone = {key: [] for key in series}
    early, _ = look(spec(), gone, 20)
    assert early.metrics[0].state is DataState.WARMING_UP
    silent, _ = look(spec(), gone, 60)
    assert silent.metrics[0].state is DataState.NO_DATA
    assert silent.metrics[0].no_data_since == START
    assert silent.verdict is Verdict.INCONCLUSIVE
    assert "has no data since" in silent.explanation
    cut = {
        key: [RawSeries(s.labels, s.times[s.times < START + 100], s.values[s.times < START + 100]) for s in all_of]
        for key, all_of in series.items()
    }
    stopped, _ = look(spec(), cut, 300)
    assert stopped.metrics[0].state is DataState.NO_DATA
    assert not stopped.proven
    back, _ = look(spec(), series, 300, before=(60,))
    assert back.metrics[0].state is DataState.COLLECTING


def test_a_canary_without_series_beside_a_busy_stable_is_no_data() -> None:
    series = {key: [s for s in all_of if s.label("pod").startswith("old")] for key, all_of in simulated(0.02).items()}
    judgement, _ = look(spec(), series, 120)
    assert judgement.metrics[0].state is DataState.NO_DATA
    assert "no samples of the canary that are numbers" in judgement.metrics[0].problems[0]


def test_without_traffic_nothing_is_expected() -> None:
    judgement, _ = look(spec(), simulated(0.02), 120, weights=())
    assert judgement.metrics[0].state is not DataState.NO_DATA
    assert judgement.verdict is Verdict.INCONCLUSIVE


def test_a_dry_run_is_judged_and_decides_nothing() -> None:
    run = msgspec.structs.replace(spec(), dry_run=(DryRun(metric_name="errors"),))
    judgement, _ = look(run, simulated(0.30), 120)
    assert judgement.metrics[0].log_evidence > 10
    assert judgement.metrics[0].budget_share == 0
    assert judgement.verdict is Verdict.INCONCLUSIVE


def test_budget_is_shared_by_weight_and_the_rest_is_reserved() -> None:
    run = spec(metric("a", budget_weight=25), metric("b", budget_weight=15))
    judgement, _ = look(run, simulated(0.02), 60)
    assert [m.budget_share for m in judgement.metrics] == [0.5, 0.3]


def test_a_fault_at_a_larger_weight_is_not_buried_under_earlier_good_data() -> None:
    good, bad = simulated(0.02, until=400), simulated(0.12, until=900)
    series = {}
    for key, all_of in good.items():
        by_labels = {s.labels: s for s in all_of}
        joined = []
        for s in bad[key]:
            known = by_labels.get(s.labels)
            if known is None or s.label("pod").startswith("old"):
                joined.append(s)
                continue
            later = s.times >= START + 400
            offset = known.values[-1] - s.values[later][0] if later.any() else 0
            joined.append(
                RawSeries(
                    s.labels,
                    np.concatenate([known.times, s.times[later]]),
                    np.concatenate([known.values, s.values[later] + max(offset, 0)]),
                )
            )
        series[key] = joined
    weights = (WeightChange(START, 10), WeightChange(START + 400, 50))
    judgement, _ = look(spec(weight_increases=2), series, 700, weights=weights)
    assert judgement.verdict is Verdict.FAIL


def test_hard_guards_fail_without_waiting_for_evidence() -> None:
    pods = tuple(PodSeen(f"new-{i}", START, 2) for i in range(4)) + tuple(
        PodSeen(f"old-{i}", START - 9999, 0) for i in range(4)
    )
    crashing, record = look(spec(), simulated(0.02), 15, pods=pods)
    assert crashing.verdict is Verdict.FAIL
    assert "restarted 8 times" in crashing.explanation
    assert replay(record).explanation == crashing.explanation
    failing, _ = look(spec(), simulated(1.0), 30)
    assert failing.verdict is Verdict.FAIL
    assert "canary requests failed" in failing.explanation


def test_a_limit_fails_even_where_stable_is_as_bad() -> None:
    counts = CountsComparison(events='e{pod=~"{{arms.pods}}"}', total='t{pod=~"{{arms.pods}}"}', limit="20%")
    judgement, _ = look(spec(metric(counts=counts)), simulated(0.60, stable=0.60), 300)
    assert judgement.verdict is Verdict.FAIL
    assert "above its limit of 20%" in judgement.explanation


def test_one_query_an_arm_without_pods_is_judged_by_the_priors_of_one_pod() -> None:
    counts = CountsComparison(events='e{s="{{arm.service}}"}', total='t{s="{{arm.service}}"}')
    run = spec(metric(counts=counts, arms=ArmsSelection(by="Query")))
    both = simulated(0.30)
    events, totals = both.values()

    def side(series: list[RawSeries], prefix: str) -> list[RawSeries]:
        return [RawSeries((("code", "x"),), s.times, s.values) for s in series if s.label("pod") == f"{prefix}-0"]

    series = {
        'e{s="shop-canary"}': side(events, "new"),
        't{s="shop-canary"}': side(totals, "new"),
        'e{s="shop-stable"}': side(events, "old"),
        't{s="shop-stable"}': side(totals, "old"),
    }
    judgement, _ = look(run, series, 500)
    assert judgement.metrics[0].canary.pods == 1
    assert not judgement.certified
    assert judgement.metrics[0].ratio is not None
    assert judgement.metrics[0].ratio > 3


class Failing(ReplayProvider):
    """Refuses the first so many questions."""

    def __init__(self, series: dict[str, list[RawSeries]], failures: int) -> None:
        super().__init__(series, {"m": [0.5]})
        self.failures = failures

    async def samples(self, metric: Metric, selector: str, start: float, end: float) -> tuple[RawSeries, ...]:
        if self.failures > 0:
            self.failures -= 1
            raise MeasurementError("Prometheus answered 503")
        return await super().samples(metric, selector, start, end)


def test_a_failed_fetch_is_tried_once_more_and_then_a_problem() -> None:
    async def judged(failures: int) -> Judgement:
        measurer = RunMeasurer(spec(), "shop", START, Failing(simulated(0.02), failures))
        return await measurer.look(Look(START + 100, (WeightChange(START, 50),)))

    assert asyncio.run(judged(1)).metrics[0].problems == ()
    assert asyncio.run(judged(100)).metrics[0].problems[0] == "Prometheus answered 503"
    assert asyncio.run(judged(100)).metrics[0].state is DataState.NO_DATA


def test_an_ordinary_metric_is_measured_and_assessed() -> None:
    async def measured(**more: str) -> tuple[AnalysisPhase, str, str]:
        ordinary = Metric(name="m", provider=PROVIDER, **more)
        measurer = RunMeasurer(AnalysisRunSpec(metrics=(ordinary,)), "shop", START, Failing({}, 0))
        result = await measurer.measure("m", lambda: START)
        return result.phase, result.value, result.message

    assert asyncio.run(measured(success_condition="result[0] < 1")) == (AnalysisPhase.SUCCESSFUL, "[0.5]", "")
    assert asyncio.run(measured(failure_condition="result[0] < 1"))[0] is AnalysisPhase.FAILED
    both = asyncio.run(measured(success_condition="result[0] < 0.1", failure_condition="result[0] > 0.9"))
    assert both[0] is AnalysisPhase.INCONCLUSIVE
    assert asyncio.run(measured(success_condition="result[3] > 1"))[0] is AnalysisPhase.ERROR
    assert asyncio.run(measured(success_condition="result[0]"))[2] == "expected bool, but got float"


def test_a_pod_pattern_that_could_stall_the_operator_is_refused() -> None:
    arms = Arms(canary=Arm(pods="(a+)+"), stable=Arm(pods="b"))
    with pytest.raises(InvalidSpec, match=r"arms\.canary\.pods"):
        RunMeasurer(spec(arms=arms), "shop", START, ReplayProvider({}))


def test_the_words_fit_every_verdict() -> None:
    judgement, _ = look(spec(), simulated(0.02), 30)
    assert "cannot yet exclude" in judgement.explanation
    untold = replace(judgement.metrics[0], tolerance=None)
    assert "INCONCLUSIVE" in describe(replace(judgement, metrics=(untold,)))


def test_the_pure_core_is_imported_without_numpy() -> None:
    modules = (
        "verdict spec run_spec background_spec failure_model_spec template validate run condition judgement weights"
        " sentinel_seen sentinel_verdict"
    )
    program = (
        f"import importlib, sys\nfor name in {modules.split()!r}:\n    importlib.import_module('analysis.' + name)\n"
        "assert 'numpy' not in sys.modules and 'aiohttp' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
