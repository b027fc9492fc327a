"""Words for a judgement: one sentence a person can act on, and a longer text. No numpy."""

import math
from collections.abc import Iterator

from analysis.durations import format_time
from analysis.judgement import DataState, Judgement, MetricJudgement
from analysis.percent import format_decimal, format_percent
from analysis.phrases import change, data, effect, evidence, listed, odds, short, still_possible, tolerated
from analysis.verdict import Verdict

_PROBLEM_MAX = 120


def sentence(seen: Judgement) -> str:
    """Return what happened, by which figures, in one sentence."""
    acting = _acting(seen)
    if not acting:
        return "no metric decides: all are dry runs"
    guarded = next((m for m in acting if m.guard), None)
    if guarded is not None:
        return guarded.guard
    match seen.verdict:
        case Verdict.FAIL:
            return _failure(seen, acting)
        case Verdict.PASS:
            ruled_out = listed(f"{m.name} worse than {tolerated(m)}" for m in acting if m.tolerance)
            weight = "" if seen.weight_percent is None else f" at weight {seen.weight_percent}%"
            return f"excluded{weight}: {ruled_out}"
        case _:
            return _inconclusive(seen, acting)


def _acting(seen: Judgement) -> list[MetricJudgement]:
    return [metric for metric in seen.metrics if not metric.dry_run]


def _failure(seen: Judgement, acting: list[MetricJudgement]) -> str:
    if _is_combined(seen):
        each = listed(f"{m.name} {change(m)}" for m in acting if m.ratio is not None)
        return f"many small harms at once: {each}; {_odds(seen)}"
    worst = max(acting, key=_weighted)
    what = f"{worst.worst_part}: " if worst.worst_part else ""
    return f"{what}{effect(worst, worst)}; {_odds(seen)}; {data(worst, worst)}"


def _is_combined(seen: Judgement) -> bool:
    """Whether a failure is owed to many small harms together rather than to one metric."""
    if seen.anomaly == "Fail" or any(metric.guard for metric in _acting(seen)):
        return False
    combined = seen.log_combined + math.log(max(seen.combined_share, 1e-300))
    return all(combined > _weighted(metric) for metric in _acting(seen))


def _inconclusive(seen: Judgement, acting: list[MetricJudgement]) -> str:
    silent = next((m for m in acting if m.state is DataState.NO_DATA), None)
    if silent is not None:
        problem = f": {short(silent.problems[0], _PROBLEM_MAX)}" if silent.problems else ""
        return f'"{silent.name}" has no data since {format_time(silent.no_data_since or 0.0)}{problem}'
    blocked = next((m for m in acting if m.blocked), None)
    if blocked is not None:
        return f"nothing can be proven: {short(blocked.problems[-1], 2 * _PROBLEM_MAX)}"
    if any(m.state is DataState.WARMING_UP for m in acting):
        return "waiting for pods to be old enough to count, in both arms"
    waiting = [m for m in acting if m.tolerance is not None and not m.proven]
    if not waiting:
        return f"no harm found so far; {_odds(seen)}"
    return f"cannot yet exclude: {listed(map(still_possible, waiting))}; {_odds(seen)}"


def _weighted(metric: MetricJudgement) -> float:
    return metric.log_evidence + math.log(max(metric.budget_share, 1e-300))


def _odds(seen: Judgement) -> str:
    return f"evidence {odds(seen.log_evidence)}:1, limit {odds(seen.log_limit)}:1"


def describe(seen: Judgement) -> str:
    """Return the whole judgement as text of several lines: the verdict, each metric, what is excluded, what next."""
    weight = "" if seen.weight_percent is None else f" at weight {seen.weight_percent}%"
    who = f' by "{seen.culprit}"' if seen.verdict is Verdict.FAIL and not _is_combined(seen) else ""
    who = " by the sentinel, not by the evidence," if seen.anomaly == "Fail" else who
    lines = [f"{seen.verdict.value}{who} at {format_time(seen.at)}{weight}: {seen.explanation}"]
    lines.append(f"  in all: {_odds(seen)} (false-rollback budget {format_percent(math.exp(-seen.log_limit))})")
    lines += [line for metric in _worst_first(seen) for line in _metric_lines(metric)]
    if _acting(seen) and seen.combined_share > 0:
        share = format_percent(seen.combined_share)
        lines.append(f"  many small harms together ({share} of the budget): {evidence(seen.log_combined)}")
    if seen.sentinel is not None and seen.sentinel.words not in seen.explanation:
        lines.append(f"  {seen.sentinel.words}; its score now is {format_decimal(seen.sentinel.score)}")
    ruled_out = [f"{m.name} worse than {tolerated(m)}" for m in seen.metrics if m.proven and m.tolerance]
    lines.append(f"  ruled out: {', '.join(ruled_out) or 'nothing yet'}")
    if not seen.certified:
        lines.append("  noise is assumed by priors, not learned: a FailureModel would make this certified")
    lines.append(f"  next: {next_step(seen)}")
    return "\n".join(lines)


def _worst_first(seen: Judgement) -> list[MetricJudgement]:
    if seen.verdict is not Verdict.FAIL:
        return list(seen.metrics)
    return sorted(seen.metrics, key=lambda metric: (metric.name != seen.culprit, -_weighted(metric)))


_LOOK_AT = {
    "Counts": "compare logs and traces of the failed ones in both versions",
    "Histogram": "compare traces of slow requests in both versions, and what they wait for",
    "Level": "compare what the metric counts in pods of both versions",
    "Growth": "take a heap profile of a canary pod before it is gone",
    "Usage": "compare profiles of both versions",
}


def next_step(seen: Judgement) -> str:
    """Return what a person does now, as one sentence."""
    acting = _acting(seen)
    if seen.anomaly == "Pause":
        return "look at what drove the score; `coalmine promote` goes on, `coalmine abort` gives the update up"
    match seen.verdict:
        case Verdict.FAIL:
            return f"the rollout takes traffic back to stable; {_look_at(seen)}, then release a fix"
        case Verdict.PASS:
            return "nothing: the rollout takes its next step"
    if not acting:
        return "nothing is decided by dry runs; take a metric out of dryRun once you trust it"
    if any(m.state is DataState.NO_DATA for m in acting):
        return "nothing is decided without data: check that pods of both arms are scraped and that the selectors match"
    if any(m.blocked for m in acting):
        return "look at the canary's readiness and its route; no verdict is drawn from traffic that does not arrive"
    if any(m.state is DataState.WARMING_UP for m in acting):
        return "nothing: the comparison begins when pods of both arms are older than the warm-up"
    if any(m.tolerance is not None and not m.proven for m in acting):
        return "wait, send more traffic, run more canary pods, or tolerate more; `coalmine analysis plan` says how long"
    return "nothing: evidence is gathered as long as the rollout lasts"


def _look_at(seen: Judgement) -> str:
    metric = next(m for m in seen.metrics if m.name == seen.culprit)
    if metric.guard:
        return "look at the canary's pods, their last state and their logs; what hurts stable too has another cause"
    if _is_combined(seen):
        return "no metric is bad alone, so compare versions, settings and sidecars of both arms"
    if metric.unit == "pod-seconds" and metric.family == "Counts":
        return "look at the last state and the logs of the canary's pods"
    if metric.direction == "Decrease":
        return "find what keeps it from happening, in logs and traces of the canary"
    return _LOOK_AT.get(metric.family, _LOOK_AT["Counts"])


def _metric_lines(metric: MetricJudgement) -> Iterator[str]:
    role = "dry run" if metric.dry_run else f"{format_percent(metric.budget_share)} of the budget"
    yield f"  {metric.name} ({role}, {metric.state.value}): {effect(metric, metric)}, {evidence(metric.log_evidence)}"
    yield f"    {data(metric, metric)}; pods {metric.canary.pods} and {metric.stable.pods}"
    if len(metric.parts) > 1:
        for part in metric.parts:
            yield f"    {part.label}: {effect(part, metric)}, {evidence(part.log_evidence)}"
    if metric.guard:
        yield f"    guard: {metric.guard}"
    for problem in metric.problems:
        yield f"    problem: {problem}"
