"""All comparisons of a run at one look: pure, and the same bit for bit when replayed."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from analysis.evidence.combined import metric_shares, over_metrics, over_starts, start_shares
from analysis.evidence.counts import log_likelihood
from analysis.evidence.guards import all_fail
from analysis.evidence.harm import HarmRule, harm_log_evidence
from analysis.evidence.interval import interval
from analysis.evidence.noise import Noise
from analysis.evidence.proof import is_proven
from analysis.evidence.single import is_above_limit
from analysis.evidence.windows import ArmWindows, CountWindows
from analysis.explain import sentence
from analysis.judgement import ArmTotals, DataState, Judgement, MetricJudgement
from analysis.rules import CountsRule, RunRules
from analysis.series.prepare import MetricData
from analysis.verdict import Verdict

# Figures keep nine digits, so that the last bits of a processor's logarithm decide nothing.
_DIGITS = 9


@dataclass(frozen=True)
class RunData:
    """What a judgement is made of; `analysis.record` keeps it.

    Attributes:
        started_at: epoch seconds of the run's start, where window 0 begins.
        at: epoch seconds of the look.
        starts: epoch seconds at which evidence starts: the first traffic, and each increase of the weight.
        proof_from: epoch seconds since when the present weight holds; proofs begin there.
        weight_percent: the present weight; None where no timeline is known.
        guard: a hard guard about pods that fired, as a sentence.
        metrics: by name; all that `rules` has.
        noises: by name.
    """

    rules: RunRules
    started_at: float
    at: float
    starts: tuple[float, ...]
    proof_from: float
    weight_percent: int | None
    guard: str
    metrics: Mapping[str, MetricData]
    noises: Mapping[str, Noise]


def judge(data: RunData) -> Judgement:
    """Return what the data say: FAIL, PASS (every tolerance proven at this weight), or INCONCLUSIVE."""
    acting = {rule.name: rule.budget_weight for rule in data.rules.rules if not rule.dry_run}
    shares = metric_shares(acting)
    judged = tuple(_judge_metric(data, rule, shares.get(rule.name, 0.0)) for rule in data.rules.rules)
    judged = _with_guard(judged, data.guard)
    log_evidence = _rounded(over_metrics({m.name: m.log_evidence for m in judged}, shares))
    log_limit = _rounded(-math.log(data.rules.budget))
    guarded = any(m.guard for m in judged if not m.dry_run)
    proven = _all_proven(judged)
    failed = bool(acting) and (guarded or log_evidence >= log_limit)
    judgement = Judgement(
        at=data.at,
        verdict=Verdict.FAIL if failed else Verdict.PASS if proven else Verdict.INCONCLUSIVE,
        log_evidence=log_evidence,
        log_limit=log_limit,
        metrics=judged,
        certified=all(noise.certified for noise in data.noises.values()),
        weight_percent=data.weight_percent,
        proven=proven,
    )
    return replace(judgement, explanation=sentence(judgement))


def _all_proven(judged: tuple[MetricJudgement, ...]) -> bool:
    asked = [m for m in judged if m.tolerance is not None and not m.dry_run]
    silent = any(m.state is DataState.NO_DATA for m in judged if not m.dry_run)
    return bool(asked) and all(m.proven for m in asked) and not silent


def _with_guard(judged: tuple[MetricJudgement, ...], guard: str) -> tuple[MetricJudgement, ...]:
    # What pods do belongs to no metric; the first acting one carries it.
    first = next((m.name for m in judged if not m.dry_run), "")
    return tuple(replace(m, guard=guard) if guard and m.name == first else m for m in judged)


def _judge_metric(data: RunData, rule: CountsRule, share: float) -> MetricJudgement:
    metric, noise = data.metrics[rule.name], data.noises[rule.name]
    windows = metric.windows
    harm = HarmRule(rule.harm, rule.direction, rule.min_difference)
    starts = [_window(data, rule, at) for at in data.starts]
    evidence = [harm_log_evidence(windows.since(start), noise, harm) for start in starts]
    estimate = interval(log_likelihood(windows, noise))
    ratio, lower, upper = estimate if estimate is not None else (None, None, None)
    return MetricJudgement(
        name=rule.name,
        state=metric.state,
        ratio=_exp(ratio),
        lower=_exp(lower),
        upper=_exp(upper),
        log_evidence=_rounded(over_starts(evidence, start_shares(data.rules.weight_increases))),
        budget_share=_rounded(share),
        canary=_totals(windows.canary),
        stable=_totals(windows.stable),
        certified=noise.certified,
        tolerance=rule.tolerance,
        proven=_proven(data, rule, metric, noise),
        guard=_guard(rule, metric, noise),
        dry_run=rule.dry_run,
        no_data_since=metric.no_data_since,
        problems=metric.problems,
    )


def _window(data: RunData, rule: CountsRule, at: float) -> int:
    """Return the first window that begins at or after a moment."""
    return max(math.ceil((at - data.started_at) / rule.interval_seconds - 1e-9), 0)


def _proven(data: RunData, rule: CountsRule, metric: MetricData, noise: Noise) -> bool:
    if rule.tolerance is None or metric.state is not DataState.COLLECTING:
        return False
    windows = metric.windows.since(_window(data, rule, data.proof_from))
    if float(windows.canary.totals.sum()) <= 0 or float(windows.stable.totals.sum()) <= 0:
        return False
    return is_proven(windows, noise, rule.tolerance, rule.direction, rule.min_difference)


def _guard(rule: CountsRule, metric: MetricData, noise: Noise) -> str:
    if rule.limit is not None and _has_canary(metric.windows) and is_above_limit(metric.windows, noise, rule.limit):
        return f"the canary's rate is above its limit of {rule.limit:.4g}"
    if rule.pod_seconds or rule.direction == "Decrease":
        return ""
    return all_fail(metric.raw)


def _has_canary(windows: CountWindows) -> bool:
    return float(windows.canary.totals.sum()) > 0


def _totals(arm: ArmWindows) -> ArmTotals:
    return ArmTotals(_rounded(float(arm.events.sum())), _rounded(float(arm.totals.sum())), arm.pods)


def _exp(u: float | None) -> float | None:
    return None if u is None else _rounded(math.exp(u))


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
