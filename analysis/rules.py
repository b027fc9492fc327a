"""What a comparison of counts asks for, with defaults applied: values without numpy."""

from dataclasses import dataclass
from typing import Literal

from analysis.errors import InvalidSpec, NotSupportedYet
from analysis.limits import duration
from analysis.percent import parse_percent
from analysis.run_spec import RunComparison
from analysis.spec import Metric

DEFAULT_HARM = 0.10


@dataclass(frozen=True)
class CountsRule:
    """One comparison of counts; ratios, not percentages: 0.1 is 10 %.

    Attributes:
        limit: rate above which the canary alone is harm; None where none is set.
        tolerance: worsening that `verify` wants excluded; None where not asked.
        pod_label: label with the pod's name; empty where series carry none.
    """

    name: str
    interval_seconds: float
    harm: float
    direction: Literal["Increase", "Decrease", "Either"]
    min_difference: float
    limit: float | None
    tolerance: float | None
    budget_weight: int
    pod_label: str
    pod_seconds: bool
    dry_run: bool


@dataclass(frozen=True)
class RunRules:
    """Settings of a run's comparisons: the budget is a probability, the warm-up in seconds."""

    budget: float
    warm_up_seconds: float
    weight_increases: int
    rules: tuple[CountsRule, ...]


def counts_rule(metric: Metric, field: str, *, dry_run: bool) -> CountsRule:
    """Return the rule of a metric whose arguments are filled in; raises InvalidSpec."""
    comparison = metric.comparison
    if comparison is None or comparison.counts is None:
        raise NotSupportedYet(f"{field}.comparison", "counts is")
    interval = duration(metric.interval, f"{field}.interval")
    if not interval:
        raise InvalidSpec(f"{field}.interval", "is missing", "write the length of a window, such as 30s")
    counts = comparison.counts
    here = f"{field}.comparison"
    default_label = "pod" if comparison.arms.by == "Pod" else ""
    return CountsRule(
        name=metric.name,
        interval_seconds=interval,
        harm=DEFAULT_HARM if comparison.harm is None else ratio(comparison.harm, f"{here}.harm"),
        direction=comparison.direction,
        min_difference=ratio(counts.min_difference or "0%", f"{here}.counts.minDifference"),
        limit=None if counts.limit is None else ratio(counts.limit, f"{here}.counts.limit"),
        tolerance=None if comparison.tolerance is None else ratio(comparison.tolerance, f"{here}.tolerance"),
        budget_weight=comparison.budget_weight,
        pod_label=comparison.arms.pod_label or default_label,
        pod_seconds=counts.exposure == "PodSeconds",
        dry_run=dry_run,
    )


def run_rules(comparison: RunComparison, rules: tuple[CountsRule, ...]) -> RunRules:
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
