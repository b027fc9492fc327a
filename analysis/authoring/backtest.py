"""Past rollouts judged by another template: what would it have decided, and when?"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from analysis.authoring.timeline import Moment, timeline
from analysis.errors import InvalidSpec
from analysis.evidence.metric_parts import MetricNoise, prior
from analysis.judge import Running, RunState, begin_run
from analysis.judgement import DataState
from analysis.model.binomial import upper_bound
from analysis.record import Record
from analysis.rules import MetricRule, RunRules, family_name
from analysis.verdict import Verdict


class Truth(StrEnum):
    """What became known of a release later."""

    HEALTHY = "healthy"
    BAD = "bad"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class PastRollout:
    """A record by its name, and what became known of the release."""

    name: str
    truth: Truth
    record: Record


@dataclass(frozen=True)
class Outcome:
    """What one set of rules makes of a record.

    Attributes:
        seconds: from the run's start until FAIL; where it did not fail, until the record ends.
        metric: that it failed by; empty where it did not.
        log_margin: the largest log evidence, less the limit: how near it came to failing, above 0 where it failed.
        proven_seconds: until every tolerance was proven for the first time; None where it never was.
    """

    verdict: Verdict
    seconds: float
    metric: str
    log_margin: float
    proven_seconds: float | None


@dataclass(frozen=True)
class Backtested:
    """One past rollout: what was decided, and what the template would have decided.

    Attributes:
        name: of the record.
        unknown: metrics of the template that the record has no blocks of.
    """

    name: str
    truth: Truth
    was: Outcome
    would: Outcome
    unknown: tuple[str, ...]


@dataclass(frozen=True)
class Summary:
    """All rollouts together.

    Attributes:
        false_upper: one-sided 95 % bound on the rate of false rollbacks (Clopper and Pearson); 1 of no rollouts.
        median_seconds: until a bad release was found; None where none was.
    """

    healthy: int
    false_rollbacks: int
    false_upper: float
    bad: int
    found: int
    median_seconds: float | None


def backtest(past: PastRollout, rules: RunRules) -> Backtested:
    """Return what a record says by other rules.

    Noise learned for the recorded run stays; the others get the priors of their own rule. The weights were what they
    were. Metrics the record does not have keep their share of the budget and say nothing.

    Raises:
        InvalidSpec: the record has none of the metrics.
    """
    record = past.record
    known = [rule.name for rule in rules.rules if _has(record, rule)]
    if not known:
        there = ", ".join(f"{rule.name} ({family_name(rule.family)})" for rule in record.begun.rules.rules)
        raise InvalidSpec(past.name, "has none of the template's comparisons", f"it has {there}")
    unknown = tuple(rule.name for rule in rules.rules if rule.name not in known)
    was, would = (outcome(timeline(one)) for one in (record, _by_rules(record, rules)))
    return Backtested(past.name, past.truth, was, would, unknown)


def outcome(moments: Sequence[Moment]) -> Outcome:
    """Return what a timeline came to: FAIL at the first look that fails, since a run ends there."""
    margin, proven = -math.inf, None
    for moment in moments:
        seen = moment.judgement
        margin = max(margin, seen.log_evidence - seen.log_limit)
        if seen.verdict is Verdict.FAIL:
            return Outcome(Verdict.FAIL, moment.seconds, seen.culprit, margin, proven)
        if seen.verdict is Verdict.PASS and proven is None:
            proven = moment.seconds
    last = moments[-1]
    return Outcome(last.judgement.verdict, last.seconds, "", margin, proven)


def summarised(results: Sequence[Backtested]) -> Summary:
    """Return the rates over rollouts of which it became known what they were."""
    healthy = [one.would for one in results if one.truth is Truth.HEALTHY]
    bad = [one.would for one in results if one.truth is Truth.BAD]
    false = sum(one.verdict is Verdict.FAIL for one in healthy)
    times = [one.seconds if one.verdict is Verdict.FAIL else math.inf for one in bad]
    median = statistics.median_high(times) if times else math.inf
    return Summary(
        healthy=len(healthy),
        false_rollbacks=false,
        false_upper=upper_bound(false, len(healthy)),
        bad=len(bad),
        found=sum(math.isfinite(seconds) for seconds in times),
        median_seconds=median if math.isfinite(median) else None,
    )


def _has(record: Record, rule: MetricRule) -> bool:
    return any(
        old.name == rule.name and family_name(old.family) == family_name(rule.family)
        for old in record.begun.rules.rules
    )


def _by_rules(record: Record, rules: RunRules) -> Record:
    old = {rule.name: rule for rule in record.begun.rules.rules}
    kept = tuple(_fitted(rule, old, known=_has(record, rule)) for rule in rules.rules)
    run = RunRules(rules.budget, record.begun.rules.warm_up_seconds, record.begun.rules.weight_increases, kept)
    noises = {rule.name: _noise(record.begun, rule, known=_has(record, rule)) for rule in kept}
    silent = Running(None, DataState.COLLECTING)
    return Record(
        begun=begin_run(run, record.begun.started_at, noises, record.begun.limit_raise),
        facts=record.facts,
        finished={rule.name: record.finished[rule.name] if _has(record, rule) else () for rule in kept},
        running={rule.name: record.running[rule.name] if _has(record, rule) else silent for rule in kept},
    )


def _fitted(rule: MetricRule, old: dict[str, MetricRule], *, known: bool) -> MetricRule:
    """Return the rule for blocks of the recorded interval; of a metric without blocks no proof is asked."""
    if not known:
        return replace(rule, tolerance=None)
    return replace(rule, interval_seconds=old[rule.name].interval_seconds)


def _noise(begun: RunState, rule: MetricRule, *, known: bool) -> MetricNoise:
    priors = prior(rule)
    if not known or not begun.metrics[rule.name].noise.main.certified:
        return priors
    learned = begun.metrics[rule.name].noise
    return replace(learned, tails={**priors.tails, **learned.tails})
