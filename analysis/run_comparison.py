"""The life of the comparison metrics of a run: from a judgement to what a user sees."""

import math

import msgspec

from analysis.durations import format_time
from analysis.judgement import ArmTotals, DataState, Judgement, MetricJudgement, ShadowJudgement
from analysis.model.decimals import decimal_text
from analysis.percent import format_decimal, format_percent
from analysis.phrases import odds
from analysis.run_spec import (
    ArmCounts,
    Interval,
    MetricComparison,
    MetricResult,
    RuledOut,
    RunComparisonStatus,
    SentinelComparison,
    ShadowComparison,
)
from analysis.verdict import AnalysisPhase, Verdict

_LARGEST = 1e9
"""Of log evidence, as a status shows it: beyond all odds."""


def assess(
    result: MetricResult, seen: Judgement | None, judged: MetricJudgement | None, *, terminating: bool
) -> MetricResult:
    """Return the result of one comparison metric after a look.

    FAIL is terminal. No data is never a success: neither while running nor when the run is terminated.
    """
    if result.phase.completed:
        return result
    if judged is not None and seen is not None:
        result = msgspec.structs.replace(result, comparison=_published(result.comparison, judged))
        if not result.dry_run and seen.verdict is Verdict.FAIL:
            return _failed(result, seen, judged)
    phase, message = AnalysisPhase.RUNNING, _waiting_message(judged)
    if terminating:
        phase, message = _terminated(judged)
    return msgspec.structs.replace(result, phase=phase, message=message)


def _failed(result: MetricResult, seen: Judgement, judged: MetricJudgement) -> MetricResult:
    # The run fails by the evidence of all metrics; the one with the largest part of it carries the failure.
    if judged.name != seen.culprit:
        return msgspec.structs.replace(
            result, phase=AnalysisPhase.INCONCLUSIVE, message="ended because another metric failed"
        )
    return msgspec.structs.replace(result, phase=AnalysisPhase.FAILED, message=seen.explanation)


def _waiting_message(judged: MetricJudgement | None) -> str:
    if judged is None or judged.state is not DataState.NO_DATA:
        return ""
    since = format_time(judged.no_data_since or 0.0)
    return f"no data since {since}" + (f": {judged.problems[0]}" if judged.problems else "")


def _terminated(judged: MetricJudgement | None) -> tuple[AnalysisPhase, str]:
    if judged is None or judged.state is not DataState.COLLECTING or not _has_data(judged):
        return AnalysisPhase.INCONCLUSIVE, "terminated without data to judge"
    if judged.tolerance is None or judged.proven:
        return AnalysisPhase.SUCCESSFUL, ""
    worst = f"{judged.upper:.3g}x" if judged.upper is not None else "anything"
    beyond = f"terminated before a worsening beyond {format_percent(judged.tolerance)} was excluded"
    return AnalysisPhase.INCONCLUSIVE, f"{beyond}; the data still allow {worst}"


def _has_data(judged: MetricJudgement) -> bool:
    return judged.canary.total > 0 and judged.stable.total > 0


def _published(old: MetricComparison | None, judged: MetricJudgement) -> MetricComparison:
    """Return the old figures while a user would see nothing new in the new ones.

    Figures are refreshed when a state or a proof changes, and when the evidence or the data doubled or halved:
    a run of hours writes its status some dozens of times, not at every look.
    """
    new = _comparison(judged)
    return old if old is not None and _step(old) == _step(new) else new


def _step(shown: MetricComparison) -> tuple[object, ...]:
    totals = [_read(arm.total) if arm else None for arm in (shown.canary, shown.stable)]
    return (
        shown.data_state,
        shown.no_data_since,
        shown.proven,
        shown.certified,
        shown.budget_share,
        *(_doublings(total, 1.0) for total in totals),
        _doublings(_read(shown.evidence), 0.5) if shown.evidence else None,
    )


def _read(text: str) -> float | None:
    """Return a figure of a status; None where there is none, or somebody else wrote what is none."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _doublings(number: float | None, least: float) -> int:
    return round(math.log2(max(number or 0.0, 0.0) + least))


def _comparison(judged: MetricJudgement) -> MetricComparison:
    interval = None
    if judged.lower is not None and judged.upper is not None:
        interval = Interval(lower=format_decimal(judged.lower), upper=format_decimal(judged.upper))
    return MetricComparison(
        ratio="" if judged.ratio is None else format_decimal(judged.ratio),
        interval=interval,
        evidence=odds(judged.log_evidence),
        budget_share=format_decimal(judged.budget_share),
        canary=_arm(judged.canary),
        stable=_arm(judged.stable),
        certified=judged.certified,
        proven=judged.proven,
        data_state=judged.state.value,
        no_data_since="" if judged.no_data_since is None else format_time(judged.no_data_since),
    )


def _arm(totals: ArmTotals) -> ArmCounts:
    return ArmCounts(events=format_decimal(totals.events), total=format_decimal(totals.total), pods=totals.pods)


def summarize(
    old: RunComparisonStatus | None, seen: Judgement, *, largest: float | None = None, ended: bool = False
) -> RunComparisonStatus:
    """Return what the comparisons found together; the old value while a user would see nothing new.

    Args:
        old: what the status says.
        seen: the latest judgement.
        largest: log evidence of all looks since the operator began; None where nobody kept it.
        ended: whether the run has ended, which is told with its last figures.
    """
    problems = tuple(dict.fromkeys(problem for metric in seen.metrics for problem in metric.problems))
    since = [m.no_data_since for m in seen.metrics if m.no_data_since is not None and not m.dry_run]
    new = RunComparisonStatus(
        verdict=seen.verdict,
        evidence=odds(seen.log_evidence),
        evidence_limit=odds(seen.log_limit),
        certified=seen.certified,
        ruled_out=tuple(
            RuledOut(metric=m.name, worse_than=format_percent(m.tolerance))
            for m in seen.metrics
            if m.proven and m.tolerance is not None
        ),
        proven_at_weight=seen.weight_percent if seen.proven else None,
        no_data_since=format_time(min(since)) if since else "",
        problems=problems[:10],
        record_digest=seen.record_digest,
        largest_log_evidence=_largest(old, largest),
        shadow=None if seen.shadow is None else _shadow(seen.shadow),
        sentinel=_sentinel(old.sentinel if old is not None else None, seen),
    )
    return old if old is not None and not ended and _same_to_a_user(old, new) else new


def _largest(old: RunComparisonStatus | None, largest: float | None) -> str:
    """Return the larger one of what is published already, by an operator before this one too, and what was seen."""
    text = old.largest_log_evidence if old is not None else ""
    known = _read(text)
    if largest is None or not math.isfinite(largest) or (known is not None and known >= largest):
        return "" if known is None else text
    return decimal_text(min(largest, _LARGEST), "status.comparison.largestLogEvidence")


def _sentinel(old: SentinelComparison | None, seen: Judgement) -> SentinelComparison | None:
    """Return what a user sees of the sentinel: its first anomaly, until the end of the run; a failure before all."""
    stays = old is not None and bool(old.anomaly_at) and seen.anomaly != "Fail"
    if seen.sentinel is None or stays:
        return old
    at = format_time(seen.at) if seen.anomaly else ""
    return SentinelComparison(message=seen.sentinel.words, anomaly_at=at, action=seen.anomaly)


def _shadow(seen: ShadowJudgement) -> ShadowComparison:
    return ShadowComparison(
        digest=seen.digest,
        verdict=seen.verdict,
        evidence=odds(seen.log_evidence),
        evidence_limit=odds(seen.log_limit),
    )


def _same_to_a_user(old: RunComparisonStatus, new: RunComparisonStatus) -> bool:
    if _evidence_steps(old) != _evidence_steps(new):
        return False
    shadow = new.shadow
    if shadow is not None and old.shadow is not None:
        shadow = msgspec.structs.replace(shadow, evidence=old.shadow.evidence)
    same = {"evidence": old.evidence, "largest_log_evidence": old.largest_log_evidence}
    return msgspec.structs.replace(new, **same, shadow=shadow) == old


def _evidence_steps(status: RunComparisonStatus) -> tuple[int, ...]:
    """Return the evidence in doublings, the shadow's too."""
    texts = (status.evidence, status.shadow.evidence if status.shadow else "")
    return tuple(_doublings(_read(text), 0.5) for text in texts)
