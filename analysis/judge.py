"""All comparisons of a run at one look: pure, and the same bit for bit when replayed."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from analysis.evidence.combined import (
    COMBINED_WEIGHT,
    joint_log_evidence,
    metric_shares,
    over_shares,
    start_shares,
)
from analysis.evidence.likelihood import Estimate
from analysis.evidence.metric_parts import MetricNoise
from analysis.evidence.metric_state import (
    Beginnings,
    MetricState,
    Piece,
    absorbed,
    begin,
    pieces,
    renewed,
    shows_traffic,
)
from analysis.evidence.metric_verdict import PartVerdict, guard, part_verdicts
from analysis.evidence.parts.share import SharePart
from analysis.evidence.table import Table
from analysis.explain import sentence
from analysis.judgement import ArmTotals, DataState, Judgement, MetricJudgement, PartJudgement, WeightChange
from analysis.rules import CountsRule, MetricRule, RunRules, family_name
from analysis.verdict import Verdict
from analysis.weights import increases

# Figures keep nine digits, so that the last bits of a processor's logarithm decide nothing.
_DIGITS = 9


@dataclass(frozen=True)
class RunState:
    """What is kept of a run between looks: sums, whose size does not grow with the run's age.

    Attributes:
        started_at: epoch seconds of the run's start, where window 0 begins.
        limit_raise: added to the log of one over the budget by a model's calibration; never negative.
        metrics: by name; all that `rules` has.
    """

    rules: RunRules
    started_at: float
    limit_raise: float
    metrics: Mapping[str, MetricState]

    def running_from(self, name: str) -> int:
        """Return the first window of a metric that is in no finished block."""
        return self.metrics[name].running_from


def begin_run(
    rules: RunRules, started_at: float, noises: Mapping[str, MetricNoise], limit_raise: float = 0.0
) -> RunState:
    """Return the state of a run before its first look; `noises` has all metrics of `rules`."""
    metrics = {rule.name: begin(rule, noises[rule.name]) for rule in rules.rules}
    return RunState(rules, started_at, max(limit_raise, 0.0), metrics)


@dataclass(frozen=True)
class Facts:
    """What is known at a look beside the metrics.

    Attributes:
        at: epoch seconds of the look.
        weights: the timeline of the canary's weight; None for a run without one, which is watched from its start.
        guard: a hard guard about pods that fired, as a sentence.
    """

    at: float
    weights: tuple[WeightChange, ...] | None = None
    guard: str = ""

    @property
    def weight_percent(self) -> int | None:
        """The present weight; None where no timeline is known."""
        past = [change.percent for change in self.weights or () if change.at <= self.at]
        return past[-1] if past else None


@dataclass(frozen=True)
class MetricData:
    """What the series say of one metric from the running block's first window on.

    Attributes:
        table: windows that are complete, young pods left out.
        raw: the same with young pods, for the hard guards.
        no_data_since: epoch seconds, while the state is NoData.
        problems: what is wrong with the data, one sentence each.
    """

    table: Table
    raw: Table
    state: DataState
    no_data_since: float | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Running:
    """The running block of a metric at a look, with what is known about its data."""

    piece: Piece | None
    state: DataState
    no_data_since: float | None = None
    problems: tuple[str, ...] = ()


def advance(
    state: RunState, facts: Facts, data: Mapping[str, MetricData]
) -> tuple[RunState, Mapping[str, Running], Mapping[str, tuple[Piece, ...]]]:
    """Take in the blocks that are complete.

    Returns:
        The new state, the running block of each metric, and the blocks that were finished by this look.
    """
    metrics, running, finished = dict(state.metrics), {}, {}
    for name, old in state.metrics.items():
        found, last, running_from = _cut(state, facts, old, data[name])
        finished[name] = found
        metrics[name] = replace(_taken_in(state, facts, old, found), running_from=running_from)
        running[name] = Running(last, data[name].state, data[name].no_data_since, data[name].problems)
    return replace(state, metrics=metrics), running, finished


def _cut(
    state: RunState, facts: Facts, metric: MetricState, data: MetricData
) -> tuple[tuple[Piece, ...], Piece | None, int]:
    begun = beginnings(state, facts, metric.rule)
    percents: list[int | None] = [change.percent for change in facts.weights or () if change.at <= facts.at]
    return pieces(metric, data.table, data.raw, begun, percents or [None] * len(begun.cuts))


def _taken_in(state: RunState, facts: Facts, metric: MetricState, found: tuple[Piece, ...]) -> MetricState:
    if not found:
        return metric
    begun = beginnings(state, facts, metric.rule)
    for piece in found:
        metric = absorbed(metric, piece, begun)
    return metric


def replayed(state: RunState, facts: Facts, finished: Mapping[str, tuple[Piece, ...]]) -> RunState:
    """Take in blocks that a record kept."""
    metrics = {name: _taken_in(state, facts, old, finished[name]) for name, old in state.metrics.items()}
    return replace(state, metrics=metrics)


def beginnings(state: RunState, facts: Facts, rule: MetricRule) -> Beginnings:
    """Return the windows of a metric at which evidence begins, and proofs do."""
    if facts.weights is None:
        return Beginnings(starts=(0,), proof=0, cuts=(0,))
    changes = [change for change in facts.weights if change.at <= facts.at]
    starts = increases(facts.weights, facts.at)[: state.rules.weight_increases]
    has_traffic = bool(changes) and changes[-1].percent > 0
    return Beginnings(
        starts=tuple(_window(state, rule, at) for at in starts),
        proof=_window(state, rule, changes[-1].at) if has_traffic else None,
        cuts=tuple(_window(state, rule, change.at) for change in changes),
    )


def _window(state: RunState, rule: MetricRule, at: float) -> int:
    """Return the first window that begins at or after a moment."""
    return max(math.ceil((at - state.started_at) / rule.interval_seconds - 1e-9), 0)


def conclude(state: RunState, facts: Facts, running: Mapping[str, Running]) -> Judgement:
    """Return what the data say: FAIL, PASS (every tolerance proven at this weight), or INCONCLUSIVE."""
    acting = {rule.name: rule.budget_weight for rule in state.rules.rules if not rule.dry_run}
    shares = metric_shares(acting)
    judged, verdicts = [], []
    for rule in state.rules.rules:
        now = _with_running(state, facts, rule.name, running[rule.name])
        parts = part_verdicts(now, start_shares(state.rules.weight_increases))
        judged.append(_metric(now, parts, running[rule.name], facts, shares.get(rule.name, 0.0)))
        verdicts += [] if rule.dry_run else [(part.joint, part.rule.joint) for part in parts if part.joint is not None]
    combined_share = COMBINED_WEIGHT / (sum(acting.values()) + COMBINED_WEIGHT)
    log_combined = joint_log_evidence(verdicts)
    metrics = _with_guard(tuple(judged), facts.guard)
    evidence = over_shares(
        [*(m.log_evidence for m in metrics if not m.dry_run), log_combined],
        [*(m.budget_share for m in metrics if not m.dry_run), combined_share],
    )
    return _judgement(state, facts, metrics, _rounded(evidence), (_rounded(log_combined), _rounded(combined_share)))


def gathered(state: RunState, facts: Facts, running: Mapping[str, Running]) -> tuple[MetricState, ...]:
    """Return the metrics that decide with their running blocks taken in, for who looks at them in another way."""
    return tuple(
        _with_running(state, facts, rule.name, running[rule.name]) for rule in state.rules.rules if not rule.dry_run
    )


def _judgement(
    state: RunState, facts: Facts, metrics: tuple[MetricJudgement, ...], evidence: float, combined: tuple[float, float]
) -> Judgement:
    log_limit = _rounded(state.limit_raise - math.log(state.rules.budget))
    acting = [m for m in metrics if not m.dry_run]
    failed = bool(acting) and (any(m.guard for m in acting) or evidence >= log_limit)
    proven = _all_proven(acting)
    judgement = Judgement(
        at=facts.at,
        verdict=Verdict.FAIL if failed else Verdict.PASS if proven else Verdict.INCONCLUSIVE,
        log_evidence=evidence,
        log_limit=log_limit,
        metrics=metrics,
        log_combined=combined[0],
        combined_share=combined[1],
        certified=all(m.certified for m in metrics),
        weight_percent=facts.weight_percent,
        proven=proven,
    )
    return replace(judgement, explanation=sentence(judgement))


def _with_running(state: RunState, facts: Facts, name: str, running: Running) -> MetricState:
    metric = state.metrics[name]
    begun = beginnings(state, facts, metric.rule)
    return renewed(metric, begun) if running.piece is None else absorbed(metric, running.piece, begun)


def _all_proven(acting: list[MetricJudgement]) -> bool:
    asked = [m for m in acting if m.tolerance is not None]
    unsound = any(m.state is DataState.NO_DATA or m.blocked for m in acting)
    return bool(asked) and all(m.proven for m in asked) and not unsound


def _with_guard(judged: tuple[MetricJudgement, ...], words: str) -> tuple[MetricJudgement, ...]:
    # What pods do belongs to no metric; the first acting one carries it.
    first = next((m.name for m in judged if not m.dry_run), "")
    return tuple(replace(m, guard=words) if words and m.name == first else m for m in judged)


def _metric(
    state: MetricState, parts: tuple[PartVerdict, ...], running: Running, facts: Facts, share: float
) -> MetricJudgement:
    rule = state.rule
    shown = tuple(_part(rule, part, share) for part in parts)
    worst = max(shown, key=lambda part: part.log_evidence + math.log(max(part.budget_share, 1e-300)))
    leading = worst if worst.log_evidence > 0 else shown[0]
    shortage = ""
    if shows_traffic(rule) and state.share is not None:
        shortage = SharePart().problem(state.share, facts.weight_percent)
    return MetricJudgement(
        name=rule.name,
        state=running.state,
        family=family_name(rule.family),
        direction=rule.direction,
        unit=unit_of(rule),
        ratio=leading.ratio,
        lower=leading.lower,
        upper=leading.upper,
        log_evidence=_rounded(over_shares([part.log_evidence for part in parts], [part.rule.share for part in parts])),
        budget_share=_rounded(share),
        canary=leading.canary,
        stable=leading.stable,
        certified=state.noise.main.certified,
        tolerance=rule.tolerance,
        proven=running.state is DataState.COLLECTING and all(part.proven for part in parts) and not shortage,
        guard=guard(state),
        dry_run=rule.dry_run,
        no_data_since=running.no_data_since,
        problems=(*running.problems, *((shortage,) if shortage else ())),
        blocked=bool(shortage),
        parts=shown,
    )


def unit_of(rule: MetricRule) -> str:
    """Return what the totals of a metric are."""
    if isinstance(rule.family, CountsRule):
        return "pod-seconds" if rule.family.pod_seconds else "requests"
    return {"Histogram": "requests", "Usage": "load"}.get(family_name(rule.family), "pod-seconds")


def _part(rule: MetricRule, part: PartVerdict, share: float) -> PartJudgement:
    canary_events, canary_total, stable_events, stable_total = part.totals
    ratio, lower, upper = _ends(part.estimate, part.totals)
    return PartJudgement(
        label=part.rule.part.label,
        ratio=ratio,
        lower=lower,
        upper=upper,
        log_evidence=_rounded(part.log_evidence),
        budget_share=_rounded(share * part.rule.share),
        canary=ArmTotals(_rounded(canary_events), _rounded(canary_total), part.pods[0]),
        stable=ArmTotals(_rounded(stable_events), _rounded(stable_total), part.pods[1]),
        tolerance=None if part.rule.margin is None else _tolerance(rule, part.rule.margin),
        proven=part.proven,
    )


def _tolerance(rule: MetricRule, margin: float) -> float:
    return _rounded(-math.expm1(-margin) if rule.direction == "Decrease" else math.expm1(margin))


def _ends(
    estimate: Estimate | None, totals: tuple[float, float, float, float]
) -> tuple[float | None, float | None, float | None]:
    """Return the ratio and its interval; beyond the ends of the grid the ratio is that of the plain rates."""
    if estimate is None:
        return None, None, None
    ratio = _exp(estimate.u)
    canary_events, canary_total, stable_events, stable_total = totals
    if min(totals) > 0 and not 1 / 20 < ratio < 20:
        ratio = canary_events / canary_total / stable_events * stable_total
    lower, upper = _exp(estimate.lower), _exp(estimate.upper)
    return _rounded(ratio), _rounded(min(lower, ratio)), _rounded(max(upper, ratio))


def _exp(u: float) -> float:
    """Return a ratio; one beyond all numbers, as of a gauge that shows nonsense, is the largest or smallest."""
    return math.exp(min(max(u, -700.0), 700.0))


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
