"""Plays a release through the very judge that decides about real ones."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from analysis.evidence.metric_parts import MetricNoise
from analysis.judge import Facts, MetricData, RunState, advance, begin_run, conclude
from analysis.judgement import DataState, Judgement
from analysis.model.placebo import Release
from analysis.rules import RunRules
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
) -> Outcome:
    """Return what the judge says of a release.

    Args:
        release: its tables; it starts at 0.
        rules: of the run.
        noises: of all its metrics.
        limit_raise: by a calibration.
        to_the_end: go on after a failure, to learn how large the evidence becomes.
    """
    failed_at, largest, culprits = None, -math.inf, tuple[str, ...]()
    for judgement in judgements(release, rules, noises, limit_raise):
        largest = max(largest, judgement.log_evidence)
        if judgement.verdict is Verdict.FAIL and failed_at is None:
            failed_at, culprits = judgement.at, _culprits(judgement)
            if not to_the_end:
                break
    return Outcome(failed_at, largest, culprits)


def judgements(
    release: Release, rules: RunRules, noises: Mapping[str, MetricNoise], limit_raise: float = 0.0
) -> Iterator[Judgement]:
    """Yield what the judge says at each look, after a failure too; `at` is in seconds since the release's start."""
    state = begin_run(rules, 0.0, noises, limit_raise)
    for look in range(1, math.ceil(release.seconds / LOOK_SECONDS) + 1):
        state, judgement = _look(state, release, min(look * LOOK_SECONDS, release.seconds))
        yield judgement


def _look(state: RunState, release: Release, at: float) -> tuple[RunState, Judgement]:
    facts = Facts(at, release.weights)
    data = {}
    for rule in state.rules.rules:
        begins, ends = state.running_from(rule.name), int(at / rule.interval_seconds + 1e-9)
        data[rule.name] = MetricData(
            release.tables[rule.name].cut(begins, ends), release.raw[rule.name].cut(begins, ends), DataState.COLLECTING
        )
    state, running, _ = advance(state, facts, data)
    return state, conclude(state, facts, running)


def _culprits(judgement: Judgement) -> tuple[str, ...]:
    acting = [metric for metric in judgement.metrics if not metric.dry_run]
    guarded = tuple(metric.name for metric in acting if metric.guard)
    leading = max(acting, key=lambda metric: metric.log_evidence + math.log(max(metric.budget_share, 1e-300)))
    return guarded or (leading.name,)
