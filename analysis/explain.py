"""Words for a judgement: one sentence a person can act on, and a longer text. No numpy."""

import math
from collections.abc import Iterator

from analysis.durations import format_time
from analysis.judgement import ArmTotals, DataState, Judgement, MetricJudgement, PartJudgement
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
            return _failure(seen, acting)
        case Verdict.PASS:
            ruled_out = ", ".join(f"{m.name} worse than {_tolerance(m)}" for m in acting if m.tolerance)
            weight = "" if seen.weight_percent is None else f" at weight {seen.weight_percent}%"
            return f"excluded{weight}: {ruled_out}"
        case _:
            return _inconclusive(seen, acting)


def _failure(seen: Judgement, acting: list[MetricJudgement]) -> str:
    worst = max(acting, key=_weighted)
    if seen.log_combined + math.log(max(seen.combined_share, 1e-300)) > _weighted(worst):
        each = ", ".join(f"{m.name} {_change(m)}" for m in acting if m.ratio is not None)
        return f"many small harms at once: {each}; {_odds(seen)}"
    what = f"{worst.worst_part}: " if worst.worst_part else ""
    return f"{what}{_ratio(worst)}; {_odds(seen)}; {_data(worst)}"


def _inconclusive(seen: Judgement, acting: list[MetricJudgement]) -> str:
    silent = next((m for m in acting if m.state is DataState.NO_DATA), None)
    if silent is not None:
        problem = f": {silent.problems[0]}" if silent.problems else ""
        return f'"{silent.name}" has no data since {format_time(silent.no_data_since or 0.0)}{problem}'
    blocked = next((m for m in acting if m.blocked), None)
    if blocked is not None:
        return f"nothing can be proven: {blocked.problems[-1]}"
    if any(m.state is DataState.WARMING_UP for m in acting):
        return "waiting for pods to be old enough to count, in both arms"
    waiting = [m for m in acting if m.tolerance is not None and not m.proven]
    if not waiting:
        return f"no harm found so far; {_odds(seen)}"
    return f"cannot yet exclude: {', '.join(_allowed(m) for m in waiting)}; {_odds(seen)}"


def _allowed(metric: MetricJudgement) -> str:
    part = next((part for part in metric.parts if not part.proven), None)
    upper, tolerance = (metric.upper, metric.tolerance) if part is None else (part.upper, part.tolerance)
    name = f"{metric.name} {part.label}" if part is not None and len(metric.parts) > 1 else metric.name
    if upper is None:
        return f"{name} of any size (no event in either arm says anything)"
    if metric.family == "Growth":
        return f"{name} up to {_an_hour(upper)} (tolerated {_an_hour(1 + (tolerance or 0))})"
    return f"{name} up to {format_decimal(upper)}x (tolerated {1 + (tolerance or 0):.3g}x)"


def _tolerance(metric: MetricJudgement) -> str:
    return format_percent(metric.tolerance or 0.0) + (" an hour" if metric.family == "Growth" else "")


def _weighted(metric: MetricJudgement) -> float:
    return metric.log_evidence + math.log(max(metric.budget_share, 1e-300))


def _ratio(judged: MetricJudgement | PartJudgement, family: str = "") -> str:
    if judged.ratio is None or judged.lower is None or judged.upper is None:
        return "canary/stable unknown"
    if (family or getattr(judged, "family", "")) == "Growth":
        return (
            f"canary grows {_an_hour(judged.ratio)} against stable"
            f" (95% interval {_an_hour(judged.lower)} to {_an_hour(judged.upper)})"
        )
    ends = f"{format_decimal(judged.lower)}-{format_decimal(judged.upper)}"
    return f"canary/stable {format_decimal(judged.ratio)}x (95% interval {ends})"


def _change(metric: MetricJudgement) -> str:
    if metric.family == "Growth":
        return _an_hour(metric.ratio or 1.0)
    return f"{format_decimal(metric.ratio or 1.0)}x"


def _an_hour(ratio: float) -> str:
    return f"{100 * (ratio - 1):+.3g}% an hour"


def odds(log_evidence: float) -> str:
    """Return evidence as odds to one, such as `137`; capped at 1e12."""
    return format_decimal(math.exp(min(log_evidence, _LOG_ODDS_MAX)))


def _odds(seen: Judgement) -> str:
    return f"evidence {odds(seen.log_evidence)}:1, limit {odds(seen.log_limit)}:1"


def _data(judged: MetricJudgement | PartJudgement, unit: str = "") -> str:
    unit = unit or getattr(judged, "unit", "")
    return f"canary {_arm(judged.canary, unit)}, stable {_arm(judged.stable, unit)}"


def _arm(totals: ArmTotals, unit: str) -> str:
    if unit == "load":
        return f"{format_decimal(totals.events)} used for a load of {format_decimal(totals.total)}"
    if totals.events <= 0 and unit != "requests":
        return f"{format_decimal(totals.total)} {unit}"
    rate = f" ({format_percent(totals.events / totals.total)})" if totals.total > 0 else ""
    return f"{format_decimal(totals.events)} of {format_decimal(totals.total)}{rate}"


def describe(seen: Judgement) -> str:
    """Return the whole judgement as text of several lines: the verdict, each metric, what is excluded, what next."""
    weight = "" if seen.weight_percent is None else f" at weight {seen.weight_percent}%"
    lines = [f"{seen.verdict.value} at {format_time(seen.at)}{weight}: {seen.explanation}"]
    lines.append(f"  {_odds(seen)} (false-rollback budget {format_percent(math.exp(-seen.log_limit))})")
    lines += [line for metric in seen.metrics for line in _metric_lines(metric)]
    if seen.combined_share > 0:
        lines.append(
            f"  many small harms together ({format_percent(seen.combined_share)} of the budget):"
            f" evidence {odds(seen.log_combined)}:1"
        )
    ruled_out = [f"{m.name} worse than {_tolerance(m)}" for m in seen.metrics if m.proven and m.tolerance]
    lines.append(f"  ruled out: {', '.join(ruled_out) or 'nothing yet'}")
    if not seen.certified:
        lines.append("  noise is assumed by priors, not learned: a FailureModel would make this certified")
    lines.append(f"  next: {next_step(seen)}")
    return "\n".join(lines)


def next_step(seen: Judgement) -> str:
    """Return what a person does now, as one sentence."""
    acting = [m for m in seen.metrics if not m.dry_run]
    match seen.verdict:
        case Verdict.FAIL:
            return "traffic is back on stable; compare logs and traces of both versions, then release a fix"
        case Verdict.PASS:
            return "nothing: the rollout takes its next step"
    if any(m.state is DataState.NO_DATA for m in acting):
        return "nothing is decided without data: check that pods of both arms are scraped and that the selectors match"
    if any(m.blocked for m in acting):
        return "look at the canary's readiness and its route; no verdict is drawn from traffic that does not arrive"
    if any(m.tolerance is not None and not m.proven for m in acting):
        return "wait, send more traffic, run more canary pods, or tolerate more; `coalmine analysis plan` says how long"
    return "nothing: evidence is gathered as long as the rollout lasts"


def _metric_lines(metric: MetricJudgement) -> Iterator[str]:
    role = "dry run" if metric.dry_run else f"{format_percent(metric.budget_share)} of the budget"
    yield f"  {metric.name} ({role}, {metric.state.value}): {_ratio(metric)}, evidence {odds(metric.log_evidence)}:1"
    yield f"    {_data(metric)}; pods {metric.canary.pods} and {metric.stable.pods}"
    if len(metric.parts) > 1:
        for part in metric.parts:
            yield f"    {part.label}: {_ratio(part, metric.family)}, evidence {odds(part.log_evidence)}:1"
    if metric.guard:
        yield f"    guard: {metric.guard}"
    for problem in metric.problems:
        yield f"    problem: {problem}"
