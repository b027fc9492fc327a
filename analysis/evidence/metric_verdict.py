"""From the sums of a metric to what they say: evidence of harm, proof of no harm, estimates, guards."""

import math
from dataclasses import dataclass

from analysis.evidence.combined import over_starts
from analysis.evidence.gathered import Gathered
from analysis.evidence.grid import STEP
from analysis.evidence.guards import all_fail
from analysis.evidence.likelihood import Estimate, Likelihood
from analysis.evidence.metric_parts import PartRule, log_worsening
from analysis.evidence.metric_state import Kept, MetricState
from analysis.evidence.parts.rate import RatePart, is_above
from analysis.percent import format_percent
from analysis.rules import CountsRule, Direction

BETA = 0.05
"""A tolerance counts as proven where "worse than that" has probability 5 % at most, at every look."""
RATIO_MAX = 50 * STEP
"""Larger ratios than e^2, or 7.4, are not told apart: the grid ends at 25."""


@dataclass(frozen=True)
class PartVerdict:
    """What one part says; `estimate` is of ln(canary / stable), not turned.

    Attributes:
        log_evidence: of harm, over all starts.
        totals: events and total of the canary, and of stable, since the first start.
        joint: likelihood turned so that more is worse, for the combined metric; None where it has no place there.
    """

    rule: PartRule
    log_evidence: float
    estimate: Estimate | None
    totals: tuple[float, float, float, float]
    pods: tuple[int, int]
    proven: bool
    joint: Likelihood | None


def part_verdicts(state: MetricState, shares: tuple[float, ...]) -> tuple[PartVerdict, ...]:
    """Return what each part says.

    Args:
        state: with the running block taken in.
        shares: of the starts of evidence.
    """
    return tuple(_part_verdict(state, rule, kept, shares) for rule, kept in zip(state.parts, state.kept, strict=True))


def _part_verdict(state: MetricState, rule: PartRule, kept: Kept, shares: tuple[float, ...]) -> PartVerdict:
    likelihoods: list[Likelihood] = [rule.part.likelihood(one) for one in kept.since]
    evidence = _harm(state, rule, kept, likelihoods) if likelihoods else []
    first = kept.since[0] if kept.since else None
    return PartVerdict(
        rule=rule,
        log_evidence=over_starts(evidence, shares) if evidence else 0.0,
        estimate=likelihoods[0].estimate() if likelihoods else None,
        totals=rule.part.totals(first) if first is not None else (0.0, 0.0, 0.0, 0.0),
        pods=(len(first.canary.pods), len(first.stable.pods)) if first is not None else (0, 0),
        proven=_is_proven(state, rule, kept, likelihoods),
        joint=_turned(likelihoods[0], rule) if likelihoods and rule.joint > 0 else None,
    )


def _turned(likelihood: Likelihood, rule: PartRule) -> Likelihood:
    return likelihood.mirrored() if rule.direction == "Decrease" else likelihood


def _harm(state: MetricState, rule: PartRule, kept: Kept, likelihoods: list[Likelihood]) -> list[float]:
    """Return the log evidence of harm by start; of `Either` the mean of both directions, an e-process again."""
    rises, falls = [0.0] * len(likelihoods), [0.0] * len(likelihoods)
    if rule.direction != "Decrease":
        delta = null_bound(state, rule, kept, "Increase")
        beyond = None if delta <= RATIO_MAX else _excess_log_evidence(state, rule, kept)
        rises = [_rise(one, rule, delta, beyond) for one in likelihoods]
    if rule.direction != "Increase":
        delta = null_bound(state, rule, kept, "Decrease")
        falls = [one.mirrored().harm_log_evidence(delta, rule.gate) for one in likelihoods]
    if rule.direction == "Either":
        return [_mean(rise, fall) for rise, fall in zip(rises, falls, strict=True)]
    return falls if rule.direction == "Decrease" else rises


def _rise(likelihood: Likelihood, rule: PartRule, delta: float, excess: float | None) -> float:
    """Return the log evidence of an increase beyond a bound.

    Where stable has next to no events, the ratio that `minDifference` makes is beyond what the grid can tell. Then the
    canary must be much worse than stable and its own rate beyond that difference: the smaller of two e-processes is one
    against both nulls. The ratio alone forgives an incident of both arms, the rate alone a rare event.
    """
    if excess is None:
        return likelihood.harm_log_evidence(delta, rule.gate)
    return min(likelihood.harm_log_evidence(RATIO_MAX, max(rule.gate, RATIO_MAX)), excess)


def _mean(one: float, other: float) -> float:
    largest = max(one, other)
    return largest + math.log((math.exp(one - largest) + math.exp(other - largest)) / 2)


def null_bound(state: MetricState, rule: PartRule, kept: Kept, direction: Direction = "Increase") -> float:
    """Return the bound of the null: at least the ratio that an absolute difference of `minDifference` makes."""
    family = state.rule.family
    if not isinstance(family, CountsRule) or family.min_difference <= 0 or not kept.since:
        return rule.delta
    bound = log_worsening(family.min_difference / _base_rate(rule, kept), direction)
    # Up to the grid, so that a bound that moves with the base rate takes few values.
    return max(rule.delta, math.ceil(bound / STEP) * STEP)


def _base_rate(rule: PartRule, kept: Kept) -> float:
    """Return stable's rate over everything gathered; it is the control's and knows nothing of the canary's harm."""
    _, _, events, total = rule.part.totals(kept.since[0])
    return (events + 0.5) / (total + 1.0)


def _excess_log_evidence(state: MetricState, rule: PartRule, kept: Kept) -> float | None:
    """Return the log evidence that the canary's own rate is above stable's and `minDifference` together."""
    family = state.rule.family
    if state.excess is None or not isinstance(family, CountsRule):
        return None
    delta = math.log1p(_base_rate(rule, kept) / family.min_difference)
    return RatePart(state.noise.main, family.min_difference).likelihood(state.excess).harm_log_evidence(delta, delta)


def _is_proven(state: MetricState, rule: PartRule, kept: Kept, since: list[Likelihood]) -> bool:
    if rule.margin is None or kept.proof is None:
        return False
    totals = rule.part.totals(kept.proof)
    if min(totals[1], totals[3]) <= 0:
        return False
    is_start = bool(since) and kept.proof is kept.since[-1]
    likelihood = since[-1] if is_start else rule.part.likelihood(kept.proof)
    excluded = _turned(likelihood, rule).safe_log_evidence(rule.margin) >= -math.log(BETA)
    if rule.direction == "Either":
        excluded = excluded and likelihood.mirrored().safe_log_evidence(rule.margin) >= -math.log(BETA)
    return excluded or _is_below_floor(state, rule, state.floor)


def _is_below_floor(state: MetricState, rule: PartRule, floor: Gathered | None) -> bool:
    """Whether the canary's own rate is proven to be below `minDifference`, as of a service without errors."""
    family = state.rule.family
    if floor is None or rule.direction != "Increase" or not isinstance(family, CountsRule):
        return False
    below = RatePart(state.noise.main, family.min_difference).likelihood(floor).mirrored()
    return below.harm_log_evidence(0.0, 0.0) >= -math.log(BETA)


def guard(state: MetricState) -> str:
    """Return the limit or hard guard that fired, as a sentence; empty where none did."""
    family = state.rule.family
    if not isinstance(family, CountsRule):
        return ""
    if state.limit is not None and is_above(RatePart(state.noise.main, family.limit or 1.0).likelihood(state.limit)):
        events, total, _, _ = state.parts[0].part.totals(state.kept[0].since[0])
        limit, rate = format_percent(family.limit or 1.0), format_percent(events / total)
        return f"the canary's rate is above its limit of {limit}: {events:.0f} of {total:.0f} ({rate})"
    if family.pod_seconds or state.rule.direction == "Decrease":
        return ""
    return all_fail(state.raw)
