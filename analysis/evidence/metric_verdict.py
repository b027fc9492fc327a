"""From the sums of a metric to what they say: evidence of harm, proof of no harm, estimates, guards."""

import math
from dataclasses import dataclass

from analysis.evidence.combined import over_starts
from analysis.evidence.gathered import Gathered
from analysis.evidence.grid import STEP
from analysis.evidence.guards import all_fail
from analysis.evidence.likelihood import Estimate, Likelihood
from analysis.evidence.metric_parts import PartRule
from analysis.evidence.metric_state import Kept, MetricState
from analysis.evidence.parts.rate import RatePart, is_above
from analysis.percent import format_percent
from analysis.rules import CountsRule

BETA = 0.05
"""A tolerance counts as proven where "worse than that" has probability 5 % at most, at every look."""


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
    delta = null_bound(state, rule, kept)
    evidence = [_harm(one, rule, delta) for one in likelihoods]
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


def _harm(likelihood: Likelihood, rule: PartRule, delta: float) -> float:
    """Return the log evidence of harm; of `Either` the mean of both directions, which is an e-process again."""
    one_way = _turned(likelihood, rule).harm_log_evidence(delta, rule.gate)
    if rule.direction != "Either":
        return one_way
    other = likelihood.mirrored().harm_log_evidence(delta, rule.gate)
    largest = max(one_way, other)
    return largest + math.log((math.exp(one_way - largest) + math.exp(other - largest)) / 2)


def null_bound(state: MetricState, rule: PartRule, kept: Kept) -> float:
    """Return the bound of the null: at least the ratio that an absolute difference of `minDifference` makes.

    The base rate is that of stable over everything gathered; it is the control's and knows nothing of the canary's
    harm.
    """
    family = state.rule.family
    if not isinstance(family, CountsRule) or family.min_difference <= 0 or not kept.since:
        return rule.delta
    _, _, events, total = rule.part.totals(kept.since[0])
    base_rate = (events + 0.5) / (total + 1.0)
    # Up to the grid, so that a bound that moves with the base rate takes few values.
    return max(rule.delta, math.ceil(math.log1p(family.min_difference / base_rate) / STEP) * STEP)


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
        events, total, _, _ = state.parts[0].part.totals(state.kept[0].since[0])
        limit, rate = format_percent(family.limit or 1.0), format_percent(events / total)
        return f"the canary's rate is above its limit of {limit}: {events:.0f} of {total:.0f} ({rate})"
    if family.pod_seconds or state.rule.direction == "Decrease":
        return ""
    return all_fail(state.raw)
