"""What a comparison asks for, with defaults applied: values without numpy."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from analysis.comparison_spec import Comparison, CountsComparison, GaugeComparison, HistogramComparison
from analysis.durations import parse_duration
from analysis.errors import InvalidSpec
from analysis.limits import duration
from analysis.names import first_match
from analysis.percent import parse_percent
from analysis.run_spec import AnalysisRunSpec, RunComparison
from analysis.spec import Metric

Direction = Literal["Increase", "Decrease", "Either"]

DEFAULT_HARM = {"Counts": 0.10, "Histogram": 0.03, "Level": 0.05, "Growth": 0.04, "Usage": 0.05}
"""Smallest worsening that is harm, as a ratio; of Growth an hour."""
GROWTH_WARM_UP_SECONDS = 900.0
"""Memory of a young process grows without a leak; without a FailureModel, slopes begin here."""
MAX_TAILS = 3
INTERVAL_MIN_SECONDS = 1.0


@dataclass(frozen=True)
class CountsRule:
    """Events out of a total; `limit` and `min_difference` are rates, 0.01 is 1 %.

    Attributes:
        limit: rate above which the canary alone is harm; None where none is set.
        pod_seconds: the total is seconds of pod life.
    """

    min_difference: float = 0.0
    limit: float | None = None
    pod_seconds: bool = False


@dataclass(frozen=True)
class HistogramRule:
    """A distribution of latencies.

    Attributes:
        tails_seconds: wished bounds of the tails; empty where they are chosen from history.
        unit_seconds: what one unit of the buckets' bounds is in seconds.
    """

    tails_seconds: tuple[float, ...] = ()
    unit_seconds: float = 1.0


@dataclass(frozen=True)
class GaugeRule:
    """A level, its growth an hour, or a resource at equal load."""

    type: Literal["Level", "Growth", "Usage"] = "Level"
    scale: Literal["Log", "Logit"] = "Log"
    load: bool = False


@dataclass(frozen=True)
class MetricRule:
    """One comparison; ratios, not percentages: 0.1 is 10 %.

    Attributes:
        harm: smallest worsening that is harm; of Growth an hour.
        tolerance: worsening that `verify` wants excluded; None where not asked.
        pod_label: label with the pod's name; empty where series carry none.
        initial_delay_seconds: what came earlier after the run's start does not count.
    """

    name: str
    interval_seconds: float
    family: CountsRule | HistogramRule | GaugeRule
    harm: float
    direction: Direction = "Increase"
    tolerance: float | None = None
    budget_weight: int = 10
    pod_label: str = "pod"
    initial_delay_seconds: float = 0.0
    dry_run: bool = False

    @property
    def is_growth(self) -> bool:
        """Whether slopes are compared, which have a warm-up of their own."""
        return isinstance(self.family, GaugeRule) and self.family.type == "Growth"


@dataclass(frozen=True)
class RunRules:
    """Settings of a run's comparisons: the budget is a probability, the warm-up in seconds."""

    budget: float
    warm_up_seconds: float
    weight_increases: int
    rules: tuple[MetricRule, ...]


def metric_rule(metric: Metric, field: str, *, dry_run: bool) -> MetricRule:
    """Return the rule of a metric whose arguments are filled in; raises InvalidSpec."""
    comparison = metric.comparison
    if comparison is None:
        raise InvalidSpec(f"{field}.comparison", "is missing", "this metric has conditions of its own")
    interval = duration(metric.interval, f"{field}.interval")
    if not interval:
        raise InvalidSpec(f"{field}.interval", "is missing", "write the length of a window, such as 30s")
    if interval < INTERVAL_MIN_SECONDS:
        # Also where an argument gives it: an hour of windows of a millisecond would fill all memory.
        raise InvalidSpec(f"{field}.interval", f"{metric.interval!r} is too short", "write 1s or more")
    here = f"{field}.comparison"
    family = _family(comparison, here)
    default_label = "pod" if comparison.arms.by == "Pod" else ""
    default_harm = DEFAULT_HARM[family_name(family)]
    return MetricRule(
        name=metric.name,
        interval_seconds=interval,
        family=family,
        harm=default_harm if comparison.harm is None else ratio(comparison.harm, f"{here}.harm"),
        direction=comparison.direction,
        tolerance=None if comparison.tolerance is None else ratio(comparison.tolerance, f"{here}.tolerance"),
        budget_weight=comparison.budget_weight,
        pod_label=comparison.arms.pod_label or default_label,
        initial_delay_seconds=duration(metric.initial_delay, f"{field}.initialDelay") or 0.0,
        dry_run=dry_run,
    )


def family_name(family: CountsRule | HistogramRule | GaugeRule) -> str:
    """Return Counts, Histogram, Level, Growth or Usage."""
    match family:
        case CountsRule():
            return "Counts"
        case HistogramRule():
            return "Histogram"
        case GaugeRule(kind):
            return kind


def comparison_rules(spec: AnalysisRunSpec, metrics: Iterable[Metric]) -> RunRules:
    """Return the rules of a run's comparisons; raises InvalidSpec.

    Args:
        spec: of the run.
        metrics: its own, with all arguments filled in; those with conditions are left out.
    """
    rules = tuple(
        metric_rule(metric, f'metric "{metric.name}"', dry_run=first_match(spec.dry_run, metric.name) is not None)
        for metric in metrics
        if metric.comparison is not None
    )
    return run_rules(spec.comparison or RunComparison(), rules)


def run_rules(comparison: RunComparison, rules: tuple[MetricRule, ...]) -> RunRules:
    """Return the settings of a run; raises InvalidSpec."""
    budget = ratio(comparison.false_rollback_budget, "spec.comparison.falseRollbackBudget")
    if not 0 < budget <= 0.5:
        raise InvalidSpec("spec.comparison.falseRollbackBudget", "must lie between 0% and 50%", "1% is a good start")
    return RunRules(
        budget=budget,
        warm_up_seconds=duration(comparison.warm_up, "spec.comparison.warmUp") or 0.0,
        weight_increases=comparison.weight_increases,
        rules=rules,
    )


def ratio(text: str, field: str) -> float:
    """Return a percentage as a ratio; raises InvalidSpec naming the field."""
    try:
        return parse_percent(text)
    except ValueError as error:
        raise InvalidSpec(field, str(error)) from error


def _family(comparison: Comparison, field: str) -> CountsRule | HistogramRule | GaugeRule:
    if comparison.counts is not None:
        return _counts(comparison.counts, f"{field}.counts")
    if comparison.histogram is not None:
        return _histogram(comparison.histogram, f"{field}.histogram")
    if comparison.gauge is not None:
        return _gauge(comparison.gauge)
    raise InvalidSpec(field, "none of counts, histogram and gauge is given", "give one")


def _counts(counts: CountsComparison, field: str) -> CountsRule:
    return CountsRule(
        min_difference=ratio(counts.min_difference or "0%", f"{field}.minDifference"),
        limit=None if counts.limit is None else ratio(counts.limit, f"{field}.limit"),
        pod_seconds=counts.exposure == "PodSeconds",
    )


def _histogram(histogram: HistogramComparison, field: str) -> HistogramRule:
    return HistogramRule(
        tails_seconds=tails_seconds(histogram.tails, f"{field}.tails"),
        unit_seconds=1e-3 if histogram.unit == "Milliseconds" else 1.0,
    )


def tails_seconds(tails: tuple[str, ...], field: str) -> tuple[float, ...]:
    """Return the bounds of tails in seconds, sorted; raises InvalidSpec."""
    if len(tails) > MAX_TAILS:
        raise InvalidSpec(field, f"{len(tails)} tails are given", f"at most {MAX_TAILS} share the budget well")
    bounds = []
    for index, text in enumerate(tails):
        try:
            bounds.append(parse_duration(text))
        except ValueError as error:
            raise InvalidSpec(f"{field}[{index}]", str(error), "write it like 250ms") from error
    return tuple(sorted(set(bounds)))


def _gauge(gauge: GaugeComparison) -> GaugeRule:
    return GaugeRule(type=gauge.type, scale=gauge.scale, load=bool(gauge.load))
