"""A comparison of the canary with stable, as a metric declares it (native)."""

from typing import Annotated, Literal

import msgspec

from analysis.model_base import Model

_PERCENT_OR_ARG = r"^(\d+(\.\d+)?%|\{\{ *args\.[a-zA-Z0-9_.-]+ *\}\})$"

Percent = Annotated[str, msgspec.Meta(pattern=_PERCENT_OR_ARG)]
"""A percentage such as 0.5%, or exactly one argument such as {{args.tolerance}}."""


class CountsComparison(Model):
    """Events out of a total, such as errors out of requests, or events per second of pod life."""

    events: str
    """Vector selector of the counter of events, such as errors_total{pod=~"{{arms.pods}}"}."""
    total: str = ""
    """Vector selector of the counter that holds all; exactly one of total and exposure."""
    exposure: Literal["", "PodSeconds"] = ""
    """PodSeconds: events per second of pod life, where no total exists."""
    min_difference: Percent | None = None
    """Smaller absolute differences never roll back; a service without errors is proven below it."""
    limit: Percent | None = None
    """The canary alone above this ratio is harm, whatever stable does."""


class HistogramComparison(Model):
    """A latency histogram: typical latency and tails."""

    buckets: str
    """Vector selector of the histogram's buckets, classic or native."""
    tails: tuple[str, ...] = ()
    """Bounds of the tails, such as 250ms; default from the FailureModel's history."""
    unit: Literal["Seconds", "Milliseconds"] = "Seconds"
    """Unit of the buckets' bounds."""


class GaugeComparison(Model):
    """A level, its growth, or a resource that depends on load."""

    query: str
    """Vector selector of the gauge; of a counter of the resource where type is Usage."""
    type: Literal["Level", "Growth", "Usage"] = "Level"
    """Level compares values, Growth slopes an hour, Usage the resource at equal load."""
    scale: Literal["Log", "Logit"] = "Log"
    """Log compares ratios; Logit is for values between 0 and 1."""
    load: str = ""
    """Vector selector of the counter of load that explains a Usage."""


class ArmsSelection(Model):
    """How series are told apart."""

    by: Literal["Pod", "Query"] = "Pod"
    """Pod: one query for both arms, told apart by pod name ({{arms.pods}}). Query: one an arm ({{arm.*}})."""
    pod_label: str = ""
    """Label that carries the pod's name; default pod for Pod; none for Query means no per-pod noise."""


class Comparison(Model):
    """Live comparison of the canary with stable; exactly one of counts, histogram and gauge."""

    counts: CountsComparison | None = None
    """Compares how often events happen."""
    histogram: HistogramComparison | None = None
    """Compares a distribution of latencies."""
    gauge: GaugeComparison | None = None
    """Compares a gauge or the use of a resource."""
    arms: ArmsSelection = ArmsSelection()
    """How series are told apart; default by the pods' names."""
    direction: Literal["Increase", "Decrease", "Either"] = "Increase"
    """Which way is worse."""
    harm: Percent | None = None
    """A relative worsening smaller than this never rolls back; default 10% for counts."""
    tolerance: Percent | None = None
    """The step `verify` needs a worsening beyond this excluded; absent: not required."""
    budget_weight: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 10
    """Share of the false-rollback budget, relative to the other metrics."""


class FailureModelRef(Model):
    """A FailureModel in the same namespace."""

    name: str
    """Name of the FailureModel."""


class ComparisonSettings(Model):
    """Settings of all comparisons of one rollout."""

    false_rollback_budget: Percent | None = None
    """Chance of rolling back a harmless release, all metrics, looks and steps together; default 1%."""
    warm_up: str | None = None
    """Pods younger than this do not count, in both arms; default from the FailureModel, else 3m."""
    failure_model_ref: FailureModelRef | None = None
    """Learned noise; without it conservative priors hold, and the run says so."""
