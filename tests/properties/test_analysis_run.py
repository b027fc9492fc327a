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
from tests.unit.analysis.test_judge import look, simulated
from tests.unit.analysis.test_judge import spec as compared_spec

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
    """What was asked for is measured; a dry run's judgement decides nothing, as the judge has it."""
    measured = tuple(MetricMeasured(d.metric, now, now, phase) for d in decision.due if isinstance(d, MeasurementDue))
    if any(result.name == "errors" and result.dry_run for result in decision.status.metric_results):
        metrics = tuple(replace(metric, dry_run=True) for metric in seen.metrics)
        seen = replace(seen, metrics=metrics, verdict=Verdict.INCONCLUSIVE, proven=False)
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
    """No data is never a success, and what failed is never one either."""
    for result in status.metric_results:
        if result.phase is AnalysisPhase.SUCCESSFUL:
            compared = result.comparison is not None and result.comparison.canary is not None
            assert result.count > 0 or (compared and float(result.comparison.canary.total) > 0)
            assert result.comparison is None or not result.comparison.no_data_since
    if status.phase is AnalysisPhase.SUCCESSFUL:
        assert status.comparison is None or not status.comparison.no_data_since
        assert all(r.phase is AnalysisPhase.SUCCESSFUL for r in status.metric_results if not r.dry_run)
    acting = [r for r in status.metric_results if r.name == "errors" and not r.dry_run]
    if acting and world.judgement is not None and world.judgement.verdict is Verdict.FAIL:
        assert status.phase is not AnalysisPhase.SUCCESSFUL
    check_final(world, status)


def check_final(world: RunWorld, status: AnalysisRunStatus) -> None:
    """An end is an end, whatever is measured or judged afterwards."""
    good = tuple(
        MetricMeasured(r.name, START + 1e7, START + 1e7, AnalysisPhase.SUCCESSFUL) for r in status.metric_results
    )
    for verdict in (Verdict.PASS, Verdict.FAIL):
        judgement = replace(world.judgement, verdict=verdict) if world.judgement is not None else None
        late = decide(replace(world, status=status, measured=good, judgement=judgement), START + 1e7)
        assert late.status == status
        assert late.due == ()
        assert late.events == ()


@settings(max_examples=200, deadline=None)
@given(spec=specs, history=steps, looks=st.integers(2, 4))
def test_an_answer_counts_once_however_often_somebody_looks_at_the_same_time(
    spec: AnalysisRunSpec, history: list[tuple[AnalysisPhase, Judgement, bool, float]], looks: int
) -> None:
    once, often, now = RunWorld(spec, AnalysisRunStatus()), RunWorld(spec, AnalysisRunStatus()), START
    for phase, seen, _, wait in history:
        first = decide(once, now)
        for _ in range(looks):
            again = decide(often, now)
            often = replace(often, status=again.status)
        assert again.status == first.status
        assert again.due == first.due
        once = answer(first, replace(once, status=first.status), now, phase, seen)
        often = answer(first, often, now, phase, seen)
        now = max(now + wait, first.wake_at or now)


@settings(max_examples=15, deadline=None)
@given(
    before=st.lists(st.sampled_from([15, 20, 60, 100]), max_size=4).map(sorted),
    repeated=st.integers(1, 3),
    rate=st.sampled_from([0.02, 0.05, 0.3]),
)
def test_a_verdict_does_not_depend_on_how_often_the_same_moment_was_judged(
    before: list[int], repeated: int, rate: float
) -> None:
    series = simulated(rate, until=150)
    single, _ = look(compared_spec(), series, 120)
    many, _ = look(compared_spec(), series, 120, before=(*before, *[120] * repeated))
    assert many == single


@settings(max_examples=15, deadline=None)
@given(until=st.sampled_from([-30, 5, 60, 200]), silent=st.integers(60, 4000))
def test_without_data_a_look_never_passes(until: int, silent: int) -> None:
    judgement, _ = look(compared_spec(), simulated(0.02, until=until), max(until, 0) + silent)
    assert judgement.verdict is not Verdict.PASS
    assert not judgement.proven


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
