"""The life cycle of an AnalysisRun: pure, level-triggered, Argo's limits, and the comparisons.

`decide` looks at the whole run and answers with a status, the measurements due now and when to look again.
Deciding again with the answer applied changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from analysis import run_comparison, run_metric
from analysis.arguments import fill_metric, run_values
from analysis.durations import format_time, parse_time
from analysis.errors import InvalidSpec
from analysis.limits import MEASUREMENTS_KEPT, Limits, limits_of
from analysis.names import first_match
from analysis.run_spec import AnalysisRunSpec, AnalysisRunStatus, MetricResult, RunSummary
from analysis.spec import Metric
from analysis.validate import validate_metric
from analysis.verdict import AnalysisPhase, worst
from analysis.world import LookDue, MeasurementDue, RunDecision, RunEvent, RunWorld


@dataclass(frozen=True)
class _Plan:
    """One metric with its arguments filled in."""

    metric: Metric
    limits: Limits
    dry_run: bool
    kept: int


def decide(run: RunWorld, now: float) -> RunDecision:
    """Return what is to happen with a run at `now` (epoch seconds)."""
    if run.status.phase.completed:
        return RunDecision(run.status)
    if run.problem:
        return _ended_by(run, run.problem, now)
    try:
        plans = _plans(run.spec)
    except InvalidSpec as error:
        return _ended_by(run, str(error), now)
    started_at = parse_time(run.status.started_at) if run.status.started_at else now
    results = _assessed(run, plans)
    status = _status(run, results, started_at, now)
    due, wake_at = _schedule(run, plans, status, started_at, now)
    return RunDecision(status, due, wake_at, _events(run.status, status))


def expires_at(spec: AnalysisRunSpec, status: AnalysisRunStatus) -> float | None:
    """Return the epoch second at which a finished run is to be deleted by its ttlStrategy; None for never."""
    ttl = spec.ttl_strategy
    if ttl is None or not status.completed_at:
        return None
    match status.phase:
        case AnalysisPhase.SUCCESSFUL:
            seconds = ttl.seconds_after_success
        case AnalysisPhase.FAILED:
            seconds = ttl.seconds_after_failure
        case _:
            seconds = None
    seconds = ttl.seconds_after_completion if seconds is None else seconds
    return None if seconds is None else parse_time(status.completed_at) + seconds


def _plans(spec: AnalysisRunSpec) -> tuple[_Plan, ...]:
    values = run_values(spec.args)
    plans = tuple(_plan(spec, index, values) for index in range(len(spec.metrics)))
    if not plans:
        raise InvalidSpec("spec.metrics", "no metric is given", "name at least one")
    return plans


def _plan(spec: AnalysisRunSpec, index: int, values: Mapping[str, str]) -> _Plan:
    field = f"spec.metrics[{index}]"
    metric = fill_metric(spec.metrics[index], values, field, secrets_stay=True)
    for problem in validate_metric(metric, field):
        raise problem
    try:
        retention = first_match(spec.measurement_retention, metric.name)
        dry_run = first_match(spec.dry_run, metric.name) is not None
    except ValueError as error:
        raise InvalidSpec("spec.dryRun", str(error), "name the metric, or use a simpler expression") from error
    kept = MEASUREMENTS_KEPT if retention is None else retention.limit
    return _Plan(metric, limits_of(metric, field), dry_run, kept)


def _ended_by(run: RunWorld, message: str, now: float) -> RunDecision:
    status = msgspec.structs.replace(
        run.status,
        phase=AnalysisPhase.ERROR,
        message=message,
        started_at=run.status.started_at or format_time(now),
        completed_at=format_time(now),
    )
    return RunDecision(status, events=_events(run.status, status))


def _assessed(run: RunWorld, plans: tuple[_Plan, ...]) -> tuple[MetricResult, ...]:
    results = tuple(_assess(run, plan, terminating=False) for plan in plans)
    # One bad end ends the whole run: what the others measured so far counts.
    if run.spec.terminate or any(_is_bad(result) for result in results):
        results = tuple(_assess(run, plan, terminating=True, result=r) for plan, r in zip(plans, results, strict=True))
    return results


def _is_bad(result: MetricResult) -> bool:
    return not result.dry_run and result.phase.completed and result.phase is not AnalysisPhase.SUCCESSFUL


def _assess(run: RunWorld, plan: _Plan, *, terminating: bool, result: MetricResult | None = None) -> MetricResult:
    name = plan.metric.name
    if result is None:
        known = (r for r in run.status.metric_results if r.name == name)
        result = next(known, MetricResult(name=name, phase=AnalysisPhase.PENDING, dry_run=plan.dry_run))
    if plan.metric.comparison is not None:
        seen = run.judgement
        judged = next((m for m in seen.metrics if m.name == name), None) if seen is not None else None
        return run_comparison.assess(result, seen, judged, terminating=terminating)
    result = run_metric.record(result, run.measured, plan.kept)
    return run_metric.assess(result, plan.limits, native=run.native, terminating=terminating)


def _status(run: RunWorld, results: tuple[MetricResult, ...], started_at: float, now: float) -> AnalysisRunStatus:
    acting = [result for result in results if not result.dry_run]
    completed = all(result.phase.completed for result in results)
    phase = worst(*(r.phase for r in acting)) if completed else AnalysisPhase.RUNNING
    comparison = run.status.comparison
    if run.judgement is not None:
        comparison = run_comparison.summarize(
            comparison, run.judgement, largest=run.largest_log_evidence, ended=completed
        )
    dry = [result for result in results if result.dry_run]
    return msgspec.structs.replace(
        run.status,
        phase=phase,
        message=_message(results, phase),
        metric_results=results,
        started_at=format_time(started_at),
        completed_at=format_time(now) if completed else "",
        run_summary=_summary(acting),
        dry_run_summary=_summary(dry) if dry else None,
        comparison=comparison,
    )


def _message(results: tuple[MetricResult, ...], phase: AnalysisPhase) -> str:
    if not phase.completed or phase is AnalysisPhase.SUCCESSFUL:
        waiting = [r for r in results if not r.dry_run and r.message and not r.phase.completed]
        return f'Metric "{waiting[0].name}": {waiting[0].message}' if waiting else ""
    blamed = next(r for r in results if not r.dry_run and r.phase is phase)
    return f'Metric "{blamed.name}" assessed {phase.value}' + (f": {blamed.message}" if blamed.message else "")


def _summary(results: list[MetricResult]) -> RunSummary:
    def count(phase: AnalysisPhase) -> int:
        return sum(result.phase is phase for result in results)

    return RunSummary(
        count=len(results),
        successful=count(AnalysisPhase.SUCCESSFUL),
        failed=count(AnalysisPhase.FAILED),
        inconclusive=count(AnalysisPhase.INCONCLUSIVE),
        error=count(AnalysisPhase.ERROR),
    )


def _schedule(
    run: RunWorld, plans: tuple[_Plan, ...], status: AnalysisRunStatus, started_at: float, now: float
) -> tuple[tuple[MeasurementDue | LookDue, ...], float | None]:
    if status.phase.completed:
        return (), None
    due: list[MeasurementDue | LookDue] = []
    times: list[float] = []
    looks: list[float] = []
    for plan, result in zip(plans, status.metric_results, strict=True):
        name = plan.metric.name
        if result.phase.completed or name in run.in_flight:
            continue
        if plan.metric.comparison is not None:
            looks.append(_look_at(run, plan.limits, started_at))
            continue
        at = run_metric.due_at(result, plan.limits, started_at)
        if at <= now:
            due.append(MeasurementDue(name))
        else:
            times.append(at)
    if looks and not run.looking:
        if min(looks) <= now:
            due.append(LookDue())
        else:
            times.append(min(looks))
    return tuple(due), min(times, default=None)


def _look_at(run: RunWorld, limits: Limits, started_at: float) -> float:
    if run.judgement is None:
        return started_at + limits.initial_delay_seconds
    return run.judgement.at + (limits.interval_seconds or 1.0)


def _events(old: AnalysisRunStatus, new: AnalysisRunStatus) -> tuple[RunEvent, ...]:
    before = {result.name: result.phase for result in old.metric_results}
    events = [
        RunEvent(
            f"Metric{result.phase.value}",
            f"Metric '{result.name}' completed: {result.phase.value}"
            + (f": {result.message}" if result.message else ""),
            warning=result.phase is not AnalysisPhase.SUCCESSFUL,
        )
        for result in new.metric_results
        if result.phase.completed and before.get(result.name) is not result.phase
    ]
    events += _anomaly(old, new)
    if new.phase.completed and not old.phase.completed:
        text = f"Analysis completed: {new.phase.value}" + (f": {new.message}" if new.message else "")
        bad = new.phase is not AnalysisPhase.SUCCESSFUL
        events.append(RunEvent(f"AnalysisRun{new.phase.value}", text, warning=bad))
    return tuple(events)


def _anomaly(old: AnalysisRunStatus, new: AnalysisRunStatus) -> tuple[RunEvent, ...]:
    """Tell an anomaly once; one that fails the run is told as its failure."""
    before = old.comparison.sentinel if old.comparison else None
    now = new.comparison.sentinel if new.comparison else None
    known = before is not None and bool(before.anomaly_at)
    if now is None or known or now.action not in ("Report", "Pause"):
        return ()
    return (RunEvent("SentinelAnomaly", now.message, warning=True),)
