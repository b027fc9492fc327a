"""Words for a judgement: one sentence a person can act on, and a longer text. No numpy."""

import math

from analysis.durations import format_time
from analysis.judgement import ArmTotals, DataState, Judgement, MetricJudgement
from analysis.percent import format_decimal, format_percent
from analysis.verdict import Verdict

_LOG_ODDS_MAX = math.log(1e12)


def sentence(seen: Judgement) -> str:
    """Return what happened, by which figures, in one sentence."""
    acting = [m for m in seen.metrics if not m.dry_run]
    if not acting:
        return "no metric decides: all are dry runs"
    guarded = next((m for m in acting if m.guard), None)
    if guarded is not None:
        return guarded.guard
    match seen.verdict:
        case Verdict.FAIL:
            worst = max(acting, key=_part)
            return f"{_ratio(worst)}; {_odds(seen)}; {_data(worst)}"
        case Verdict.PASS:
            ruled_out = ", ".join(f"{m.name} worse than {format_percent(m.tolerance)}" for m in acting if m.tolerance)
            weight = "" if seen.weight_percent is None else f" at weight {seen.weight_percent}%"
            return f"excluded{weight}: {ruled_out}"
        case _:
            return _inconclusive(seen, acting)


def _inconclusive(seen: Judgement, acting: list[MetricJudgement]) -> str:
    silent = next((m for m in acting if m.state is DataState.NO_DATA), None)
    if silent is not None:
        problem = f": {silent.problems[0]}" if silent.problems else ""
        return f'"{silent.name}" has no data since {format_time(silent.no_data_since or 0.0)}{problem}'
    if any(m.state is DataState.WARMING_UP for m in acting):
        return "waiting for pods to be old enough to count, in both arms"
    waiting = [m for m in acting if m.tolerance is not None and not m.proven]
    if not waiting:
        return f"no harm found so far; {_odds(seen)}"
    return f"cannot yet exclude: {', '.join(_allowed(m) for m in waiting)}; {_odds(seen)}"


def _allowed(metric: MetricJudgement) -> str:
    if metric.upper is None:
        return f"{metric.name} of any size (no event in either arm says anything)"
    return f"{metric.name} up to {format_decimal(metric.upper)}x (tolerated {1 + (metric.tolerance or 0):.3g}x)"


def _part(metric: MetricJudgement) -> float:
    return metric.log_evidence + math.log(max(metric.budget_share, 1e-300))


def _ratio(metric: MetricJudgement) -> str:
    if metric.ratio is None or metric.lower is None or metric.upper is None:
        return "canary/stable unknown"
    ends = f"{format_decimal(metric.lower)}-{format_decimal(metric.upper)}"
    return f"canary/stable {format_decimal(metric.ratio)}x (95% interval {ends})"


def odds(log_evidence: float) -> str:
    """Return evidence as odds to one, such as `137`; capped at 1e12."""
    return format_decimal(math.exp(min(log_evidence, _LOG_ODDS_MAX)))


def _odds(seen: Judgement) -> str:
    return f"evidence {odds(seen.log_evidence)}:1, limit {odds(seen.log_limit)}:1"


def _data(metric: MetricJudgement) -> str:
    return f"canary {_arm(metric.canary)}, stable {_arm(metric.stable)}"


def _arm(totals: ArmTotals) -> str:
    rate = f" ({format_percent(totals.events / totals.total)})" if totals.total > 0 else ""
    return f"{format_decimal(totals.events)} of {format_decimal(totals.total)}{rate}"


def describe(seen: Judgement) -> str:
    """Return the whole judgement as text of several lines: the verdict, each metric, what is excluded."""
    weight = "" if seen.weight_percent is None else f" at weight {seen.weight_percent}%"
    lines = [f"{seen.verdict.value} at {format_time(seen.at)}{weight}: {seen.explanation}"]
    lines.append(f"  {_odds(seen)} (false-rollback budget {format_percent(math.exp(-seen.log_limit))})")
    lines += [line for metric in seen.metrics for line in _metric_lines(metric)]
    ruled_out = [f"{m.name} worse than {format_percent(m.tolerance)}" for m in seen.metrics if m.proven and m.tolerance]
    lines.append(f"  ruled out: {', '.join(ruled_out) or 'nothing yet'}")
    if not seen.certified:
        lines.append("  noise is assumed by priors, not learned: a FailureModel would make this certified")
    return "\n".join(lines)


def _metric_lines(metric: MetricJudgement) -> list[str]:
    role = "dry run" if metric.dry_run else f"{format_percent(metric.budget_share)} of the budget"
    lines = [
        f"  {metric.name} ({role}, {metric.state.value}): {_ratio(metric)}, evidence {odds(metric.log_evidence)}:1"
    ]
    lines.append(f"    {_data(metric)}; pods {metric.canary.pods} and {metric.stable.pods}")
    lines += [f"    guard: {metric.guard}"] if metric.guard else []
    lines += [f"    problem: {problem}" for problem in metric.problems]
    return lines
