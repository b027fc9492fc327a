"""The life of an AnalysisRun, whatever is measured and whenever somebody looks."""

from dataclasses import replace

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.comparison_spec import Comparison, CountsComparison
from analysis.judgement import ArmTotals, DataState, Judgement, MetricJudgement
from analysis.provider_spec import MetricProvider, PrometheusMetric
from analysis.run import decide
from analysis.run_spec import AnalysisRunSpec, AnalysisRunStatus, RunComparison
from analysis.spec import DryRun, Metric
from analysis.verdict import AnalysisPhase, Verdict
from analysis.world import LookDue, MeasurementDue, MetricMeasured, RunDecision, RunWorld

START = 1_800_000_000.0
PROVIDER = MetricProvider(prometheus=PrometheusMetric(address="http://p", query="up"))
SERIES = MetricProvider(prometheus=PrometheusMetric(address="http://p"))
COUNTS = CountsComparison(events='e{pod=~"{{arms.pods}}"}', total='t{pod=~"{{arms.pods}}"}')

ordinary = st.builds(
    Metric,
    name=st.sampled_from(["smoke", "load"]),
    provider=st.just(PROVIDER),
    interval=st.sampled_from(["5s", "1m"]),
    initial_delay=st.sampled_from(["", "30s"]),
    count=st.sampled_from([None, 3, 5]),
    failure_limit=st.sampled_from([None, 1, -1]),
    inconclusive_limit=st.sampled_from([None, 1]),
    consecutive_error_limit=st.sampled_from([None, 0]),
    consecutive_success_limit=st.sampled_from([None, 2]),
)
compared = st.builds(
    Metric,
    name=st.just("errors"),
    provider=st.just(SERIES),
    interval=st.just("10s"),
    comparison=st.builds(Comparison, counts=st.just(COUNTS), tolerance=st.sampled_from([None, "100%"])),
)
specs = st.builds(
    AnalysisRunSpec,
    metrics=st.lists(ordinary | compared, min_size=1, max_size=3, unique_by=lambda m: m.name).map(tuple),
    dry_run=st.sampled_from([(), (DryRun(metric_name="smoke"),), (DryRun(metric_name=".*"),)]),
    comparison=st.just(RunComparison()),
)
phases = st.sampled_from(
    [AnalysisPhase.SUCCESSFUL] * 3 + [AnalysisPhase.FAILED, AnalysisPhase.INCONCLUSIVE, AnalysisPhase.ERROR]
)


@st.composite
def judgements(draw: st.DrawFn) -> Judgement:
    state = draw(st.sampled_from(DataState))
    has_data = state is DataState.COLLECTING and draw(st.booleans())
    evidence = draw(st.floats(-2, 8)) if has_data else 0.0
    proven = has_data and draw(st.booleans())
    totals = ArmTotals(3, 100, 2) if has_data else ArmTotals()
    metric = MetricJudgement(
        name="errors",
        state=state,
        log_evidence=evidence,
        budget_share=0.5,
        canary=totals,
        stable=totals,
        tolerance=1.0,
        proven=proven,
        no_data_since=START if state is DataState.NO_DATA else None,
    )
    verdict = Verdict.FAIL if evidence > 4.6 else Verdict.PASS if proven else Verdict.INCONCLUSIVE
    return Judgement(START, verdict, evidence, 4.6, (metric,), proven=proven, explanation="why")


steps = st.lists(st.tuples(phases, judgements(), st.booleans(), st.floats(0, 20)), min_size=1, max_size=25)


def answer(decision: RunDecision, world: RunWorld, now: float, phase: AnalysisPhase, seen: Judgement) -> RunWorld:
    measured = tuple(MetricMeasured(d.metric, now, now, phase) for d in decision.due if isinstance(d, MeasurementDue))
    judgement = replace(seen, at=now) if LookDue() in decision.due else world.judgement
    return replace(world, status=decision.status, measured=measured, judgement=judgement)


@settings(max_examples=400, deadline=None)
@given(spec=specs, history=steps)
def test_a_run_is_deterministic_stable_and_never_stuck(
    spec: AnalysisRunSpec, history: list[tuple[AnalysisPhase, Judgement, bool, float]]
) -> None:
    world, now = RunWorld(spec, AnalysisRunStatus()), START
    for phase, seen, terminate, wait in history:
        if terminate and wait > 15:
            world = replace(world, spec=msgspec.structs.replace(spec, terminate=True))
        decision = decide(world, now)
        assert decide(world, now) == decision
        applied = replace(world, status=decision.status)
        again = decide(applied, now)
        assert again.status == decision.status
        assert again.events == ()
        if decision.status.phase.completed:
            assert decision.due == ()
            assert decision.wake_at is None
            assert decide(applied, now + 1e6).status == decision.status
            check_end(world, decision.status)
            return
        assert decision.due or (decision.wake_at is not None and decision.wake_at > now)
        assert msgspec.convert(msgspec.to_builtins(decision.status), AnalysisRunStatus) == decision.status
        world = answer(decision, applied, now, phase, seen)
        now = max(now + wait, decision.wake_at or now)


def check_end(world: RunWorld, status: AnalysisRunStatus) -> None:
    for result in status.metric_results:
        if result.phase is AnalysisPhase.SUCCESSFUL:
            measured = result.successful > 0 or result.count > 0
            compared_data = result.comparison is not None and result.comparison.canary is not None
            assert measured or (compared_data and float(result.comparison.canary.total) > 0)
    if world.judgement is not None and world.judgement.verdict is Verdict.FAIL:
        acting = [r for r in status.metric_results if r.name == "errors" and not r.dry_run]
        assert all(r.phase is AnalysisPhase.FAILED for r in acting) or any(
            r.phase in {AnalysisPhase.FAILED, AnalysisPhase.ERROR, AnalysisPhase.INCONCLUSIVE}
            for r in status.metric_results
        )


@settings(max_examples=200, deadline=None)
@given(seen=judgements(), now=st.floats(START, START + 1e6))
def test_a_failing_judgement_ends_the_run_failed_for_good(seen: Judgement, now: float) -> None:
    spec = AnalysisRunSpec(
        metrics=(Metric(name="errors", provider=SERIES, interval="10s", comparison=Comparison(counts=COUNTS)),),
        comparison=RunComparison(),
    )
    first = decide(RunWorld(spec, AnalysisRunStatus(), judgement=seen), now)
    if seen.verdict is Verdict.FAIL:
        assert first.status.phase is AnalysisPhase.FAILED
        healthy = replace(seen, verdict=Verdict.PASS)
        assert decide(RunWorld(spec, first.status, judgement=healthy), now + 60).status == first.status
    else:
        assert first.status.phase is AnalysisPhase.RUNNING
        no_data = seen.metrics[0].state is DataState.NO_DATA
        assert first.status.comparison is not None
        assert bool(first.status.comparison.no_data_since) is no_data
