"""Which parts a metric is judged by, and what counts as harm in each."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from analysis.evidence.block import Scale
from analysis.evidence.noise import Kind, Noise, prior_noise
from analysis.evidence.parts.counts import CountsPart
from analysis.evidence.parts.growth import GrowthPart
from analysis.evidence.parts.level import LevelPart
from analysis.evidence.parts.typical import TypicalPart
from analysis.evidence.parts.usage import UsagePart
from analysis.rules import CountsRule, Direction, GaugeRule, HistogramRule, MetricRule

NULL_SHARE = 0.05
"""The null is "worse by less than 0.05 of what is called harm", in logarithms: a bias of that size is forgiven."""
TYPICAL_WEIGHT, TAIL_WEIGHT = 6.0, 1.0
TAIL_FACTOR = 5.0
"""A shift of typical latency by 1 % makes the slowest requests about 5 % more frequent, so tails differ by more."""
TAIL_HARM_MIN, TAIL_TOLERANCE_MIN = 0.10, 0.5
TAIL_NULL_SHARE = 1.0
"""Of tails all is forgiven up to what is called harm: a little more traffic on a slow endpoint is seen there first."""
JOINT_SEVERITY = 2.0
"""Severity 1 of the combined metric is twice of what is called harm, in every metric at once."""

Part = CountsPart | TypicalPart | LevelPart | UsagePart | GrowthPart


@dataclass(frozen=True)
class MetricNoise:
    """What is known of a metric's pods.

    Attributes:
        tails: noise of the tails, by their bound in seconds.
        warm_up_seconds: how long young pods differ, learned; None where the run's setting holds.
    """

    main: Noise
    tails: Mapping[float, Noise] = field(default_factory=dict)
    warm_up_seconds: float | None = None


@dataclass(frozen=True)
class PartRule:
    """One part of a metric; bounds are values of u = ln(canary / stable), turned so that more is worse.

    Attributes:
        share: of the metric's budget; those of a metric sum to 1.
        gate: the estimate must be at least this for evidence to count.
        delta: the null is u <= delta.
        margin: `verify` wants u >= margin excluded; None where not asked.
        joint: u at severity 1 of the combined metric; 0 where the part has no place in it.
    """

    part: Part
    share: float
    gate: float
    delta: float
    margin: float | None
    joint: float
    direction: Direction


def metric_parts(rule: MetricRule, noise: MetricNoise) -> tuple[PartRule, ...]:
    """Return the parts of a metric, the leading one first."""
    match rule.family:
        case CountsRule(pod_seconds=pod_seconds):
            return (_part(rule, CountsPart(noise.main, has_load=not pod_seconds), 1.0, rule.harm, rule.tolerance),)
        case HistogramRule():
            return _histogram(rule, noise)
        case GaugeRule(type="Level"):
            return (_part(rule, LevelPart(noise.main, unit(rule.harm)), 1.0, rule.harm, rule.tolerance),)
        case GaugeRule(type="Growth"):
            return (_part(rule, GrowthPart(noise.main, unit(rule.harm)), 1.0, rule.harm, rule.tolerance, joint=False),)
        case GaugeRule():
            return (_part(rule, UsagePart(noise.main, unit(rule.harm)), 1.0, rule.harm, rule.tolerance),)


def _histogram(rule: MetricRule, noise: MetricNoise) -> tuple[PartRule, ...]:
    whole = TYPICAL_WEIGHT + TAIL_WEIGHT * len(noise.tails)
    typical = TypicalPart(noise.main, unit(rule.harm))
    tolerance = rule.tolerance
    tail_tolerance = None if tolerance is None else max(TAIL_FACTOR * tolerance, TAIL_TOLERANCE_MIN)
    tails = (
        _part(
            rule,
            CountsPart(tail_noise, label=f"slower than {seconds:g} s", tail_seconds=seconds),
            TAIL_WEIGHT / whole,
            max(TAIL_FACTOR * rule.harm, TAIL_HARM_MIN),
            tail_tolerance,
            joint=False,
            null_share=TAIL_NULL_SHARE,
        )
        for seconds, tail_noise in sorted(noise.tails.items())
    )
    return (_part(rule, typical, TYPICAL_WEIGHT / whole, rule.harm, tolerance), *tails)


def _part(
    rule: MetricRule,
    part: Part,
    share: float,
    harm: float,
    tolerance: float | None,
    *,
    joint: bool = True,
    null_share: float | None = None,
) -> PartRule:
    gate = log_worsening(harm, rule.direction)
    return PartRule(
        part=part,
        share=share,
        gate=gate,
        delta=(NULL_SHARE if null_share is None else null_share) * gate,
        margin=None if tolerance is None else log_worsening(tolerance, rule.direction),
        joint=JOINT_SEVERITY * gate if joint and rule.direction != "Either" else 0.0,
        direction=rule.direction,
    )


def log_worsening(ratio: float, direction: Direction) -> float:
    """Return a worsening as u: of 10 %, ln 1.1; of a decrease by 10 %, -ln 0.9."""
    return -math.log1p(-min(ratio, 0.95)) if direction == "Decrease" else math.log1p(ratio)


def unit(harm: float) -> float:
    """Return the size of u that is called harm; never 0, so that mixtures have a width."""
    return max(math.log1p(harm), 1e-3)


def scale_of(rule: MetricRule) -> Scale:
    """Return how windows are pooled: counters are summed, gauges averaged on their scale."""
    if isinstance(rule.family, GaugeRule) and rule.family.type != "Usage":
        return rule.family.scale
    return "Sum"


def main_kind(rule: MetricRule) -> Kind:
    """Return the kind of the metric's leading part, by which priors are chosen."""
    match rule.family:
        case CountsRule():
            return "Counts"
        case HistogramRule():
            return "Typical"
        case GaugeRule(kind):
            return kind


def prior(rule: MetricRule) -> MetricNoise:
    """Return the noise that holds without a FailureModel.

    Without one, tails are those that the metric names: they are never chosen from the data under test.
    """
    tails = rule.family.tails_seconds if isinstance(rule.family, HistogramRule) else ()
    tail_noise = prior_noise(rule.interval_seconds, "Tail")
    return MetricNoise(prior_noise(rule.interval_seconds, main_kind(rule)), dict.fromkeys(tails, tail_noise))
