"""Plays a release through the very judge that decides about real ones."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from analysis.evidence.metric_parts import MetricNoise
from analysis.judge import Facts, MetricData, Running, RunState, advance, begin_run, conclude
from analysis.judgement import DataState, Judgement
from analysis.model.placebo import Release
from analysis.model.sentinel.acting import ActingSentinel
from analysis.rules import RunRules
from analysis.sentinel_verdict import with_sentinel
from analysis.verdict import Verdict

LOOK_SECONDS = 60.0
"""Looks of a played release; real ones come more often, but between two of these hardly anything changes."""


@dataclass(frozen=True)
class Outcome:
    """How a release ended.

    Attributes:
        failed_at_seconds: since its start; None where it came to its end.
        largest_log_evidence: over all looks that were taken.
        culprits: metrics with evidence beyond the limit, or with a guard that fired, at the failure.
    """

    failed_at_seconds: float | None
    largest_log_evidence: float
    culprits: tuple[str, ...] = ()


def play(
    release: Release,
    rules: RunRules,
    noises: Mapping[str, MetricNoise],
    limit_raise: float = 0.0,
    *,
    to_the_end: bool = False,
    sentinel: ActingSentinel | None = None,
) -> Outcome:
    """Return what the judge says of a release.

    Args:
        release: its tables; it starts at 0.
        rules: of the run.
        noises: of all its metrics.
        limit_raise: by a calibration.
        to_the_end: go on after a failure, to learn how large the evidence becomes.
        sentinel: that looks on, and may fail the release too; None without one.
    """
    failed_at, largest, culprits = None, -math.inf, tuple[str, ...]()
    for judgement in judgements(release, rules, noises, limit_raise, sentinel):
        largest = max(largest, judgement.log_evidence)
        if judgement.verdict is Verdict.FAIL and failed_at is None:
            failed_at, culprits = judgement.at, _culprits(judgement)
            if not to_the_end:
                break
    return Outcome(failed_at, largest, culprits)


def judgements(
    release: Release,
    rules: RunRules,
    noises: Mapping[str, MetricNoise],
    limit_raise: float = 0.0,
    sentinel: ActingSentinel | None = None,
) -> Iterator[Judgement]:
    """Yield what the judge says at each look, after a failure too; `at` is in seconds since the release's start."""
    own = replace(rules, budget=rules.budget - (sentinel.taken if sentinel else 0.0))
    for state, facts, running in looks(release, own, noises, limit_raise):
        seen = sentinel.seen(state, facts, running) if sentinel else None
        yield with_sentinel(conclude(state, facts, running), seen)


def looks(
    release: Release,
    rules: RunRules,
    noises: Mapping[str, MetricNoise],
    limit_raise: float = 0.0,
    every_seconds: float = LOOK_SECONDS,
) -> Iterator[tuple[RunState, Facts, Mapping[str, Running]]]:
    """Yield what a judge has before it at each look."""
    state = begin_run(rules, 0.0, noises, limit_raise)
    for look in range(1, math.ceil(release.seconds / every_seconds) + 1):
        facts = Facts(min(look * every_seconds, release.seconds), release.weights)
        state, running, _ = advance(state, facts, _data(state, release, facts.at))
        yield state, facts, running


def _data(state: RunState, release: Release, at: float) -> dict[str, MetricData]:
    data = {}
    for rule in state.rules.rules:
        begins, ends = state.running_from(rule.name), int(at / rule.interval_seconds + 1e-9)
        data[rule.name] = MetricData(
            release.tables[rule.name].cut(begins, ends), release.raw[rule.name].cut(begins, ends), DataState.COLLECTING
        )
    return data


def _culprits(judgement: Judgement) -> tuple[str, ...]:
    acting = [metric for metric in judgement.metrics if not metric.dry_run]
    guarded = tuple(metric.name for metric in acting if metric.guard)
    if judgement.anomaly == "Fail":
        return (judgement.culprit,)
    leading = max(acting, key=lambda metric: metric.log_evidence + math.log(max(metric.budget_share, 1e-300)))
    return guarded or (leading.name,)
