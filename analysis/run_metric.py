"""The life of one ordinary metric: Argo's counters, limits and schedule (analysis/analysis.go of Argo Rollouts)."""

from collections.abc import Iterable

import msgspec

from analysis.durations import format_time, parse_time
from analysis.limits import ERROR_RETRY_SECONDS, Limits
from analysis.run_spec import Measurement, MetricResult
from analysis.verdict import AnalysisPhase
from analysis.world import MetricMeasured


def record(result: MetricResult, news: Iterable[MetricMeasured], kept: int) -> MetricResult:
    """Count measurements that the result has not seen yet, oldest first; the last `kept` stay in the list."""
    for measured in sorted(news, key=lambda m: m.started_at):
        if not result.phase.completed and measured.metric == result.name and _is_new(result, measured):
            result = _counted(result, measured, kept)
    return result


def _is_new(result: MetricResult, measured: MetricMeasured) -> bool:
    # Statuses keep whole seconds, so a measurement is known by them.
    started = format_time(measured.started_at)
    return not result.measurements or started > result.measurements[-1].started_at


def _counted(result: MetricResult, measured: MetricMeasured, kept: int) -> MetricResult:
    entry = Measurement(
        phase=measured.phase,
        message=measured.message,
        started_at=format_time(measured.started_at),
        finished_at=format_time(measured.finished_at),
        value=measured.value,
    )
    changes: dict[str, int] = {"consecutive_success": 0, "consecutive_error": 0}
    match measured.phase:
        case AnalysisPhase.SUCCESSFUL:
            changes["successful"] = result.successful + 1
            changes["consecutive_success"] = result.consecutive_success + 1
        case AnalysisPhase.FAILED:
            changes["failed"] = result.failed + 1
        case AnalysisPhase.INCONCLUSIVE:
            changes["inconclusive"] = result.inconclusive + 1
        case _:
            changes["error"] = result.error + 1
            changes["consecutive_error"] = result.consecutive_error + 1
    if measured.phase is not AnalysisPhase.ERROR:
        changes["count"] = result.count + 1
    measurements = (*result.measurements, entry)[-kept:]
    return msgspec.structs.replace(result, measurements=measurements, **changes)


def assess(result: MetricResult, limits: Limits, *, native: bool, terminating: bool) -> MetricResult:
    """Return the result with its phase and message.

    A metric that is terminated before its first measurement is Inconclusive; Argo calls that Successful, and so
    does `native=False`.
    """
    if result.phase.completed:
        return result
    phase, message = _exceeded(result, limits) or _ended(result, limits) or (None, "")
    if phase is None and terminating:
        phase, message = _terminated(result, native=native)
    if phase is None:
        phase = AnalysisPhase.RUNNING if result.measurements else AnalysisPhase.PENDING
    return msgspec.structs.replace(result, phase=phase, message=message)


def _exceeded(result: MetricResult, limits: Limits) -> tuple[AnalysisPhase, str] | None:
    if limits.failure is not None and result.failed > limits.failure:
        return AnalysisPhase.FAILED, f"failed ({result.failed}) > failureLimit ({limits.failure})"
    if result.inconclusive > limits.inconclusive:
        return (
            AnalysisPhase.INCONCLUSIVE,
            f"inconclusive ({result.inconclusive}) > inconclusiveLimit ({limits.inconclusive})",
        )
    if result.consecutive_error > limits.consecutive_error:
        why = result.measurements[-1].message if result.measurements else ""
        return (
            AnalysisPhase.ERROR,
            f"consecutiveErrors ({result.consecutive_error}) > consecutiveErrorLimit"
            f" ({limits.consecutive_error})" + (f": {why}" if why else ""),
        )
    return None


def _ended(result: MetricResult, limits: Limits) -> tuple[AnalysisPhase, str] | None:
    wanted = limits.consecutive_success
    if wanted is not None and result.consecutive_success >= wanted:
        return AnalysisPhase.SUCCESSFUL, ""
    if limits.count is None or result.count < limits.count:
        return None
    if wanted is None:
        return AnalysisPhase.SUCCESSFUL, ""
    message = f"consecutiveSuccess ({result.consecutive_success}) < consecutiveSuccessLimit ({wanted})"
    # With failureLimit -1 only successes in a row decide; else neither of two limits was met.
    return (AnalysisPhase.FAILED if limits.failure is None else AnalysisPhase.INCONCLUSIVE), message


def _terminated(result: MetricResult, *, native: bool) -> tuple[AnalysisPhase, str]:
    if native and result.count == 0:
        return AnalysisPhase.INCONCLUSIVE, "terminated before anything was measured"
    return AnalysisPhase.SUCCESSFUL, ""


def due_at(result: MetricResult, limits: Limits, started_at: float) -> float:
    """Return the epoch second of the next measurement of a metric that has not ended."""
    if not result.measurements:
        return started_at + limits.initial_delay_seconds
    last = result.measurements[-1]
    finished = parse_time(last.finished_at)
    if last.phase is AnalysisPhase.ERROR:
        return finished + ERROR_RETRY_SECONDS
    return finished + (ERROR_RETRY_SECONDS if limits.interval_seconds is None else limits.interval_seconds)
