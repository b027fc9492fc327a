"""A FailureModel in a run: the run's rules and queries, and the noise that follows from them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from analysis.arguments import fill_metric, run_values
from analysis.evidence.metric_parts import MetricNoise
from analysis.failure_model_spec import FailureModelSpec, Sentinel
from analysis.model.artefact import digest
from analysis.model.calibrate import limit_raise
from analysis.model.history import query_digests
from analysis.model.noise import noises_of
from analysis.model.sentinel.acting import ActingSentinel, acting_sentinel
from analysis.model.sentinel.model import SentinelModel
from analysis.rules import RunRules, comparison_rules
from analysis.run_spec import AnalysisRunSpec
from analysis.spec import Metric


@dataclass(frozen=True)
class RunMetrics:
    """The comparisons of a run: with all arguments filled in, by name, and their rules."""

    metrics: Mapping[str, Metric]
    rules: RunRules


@dataclass(frozen=True)
class Applied:
    """What a model gives to a run.

    Attributes:
        noises: of each metric; priors where the model does not apply.
        limit_raise: what is added to the logarithm of one over the budget that is left to the evidence.
        sentinel: the model's anomaly detector; None without one.
    """

    noises: Mapping[str, MetricNoise]
    limit_raise: float
    sentinel: ActingSentinel | None = None


def run_metrics(spec: AnalysisRunSpec, secrets: Mapping[str, str]) -> RunMetrics:
    """Return the comparisons of a run; raises InvalidSpec."""
    values = run_values(spec.args, secrets)
    filled = {
        metric.name: fill_metric(metric, values, f"spec.metrics[{index}]")
        for index, metric in enumerate(spec.metrics)
        if metric.comparison is not None
    }
    return RunMetrics(filled, comparison_rules(spec, filled.values()))


def applied(model: FailureModelSpec, run: RunMetrics) -> Applied:
    """Return what a model that may be used gives to a run; raises InvalidSpec where one of its numbers is none."""
    noises = noises_of(model, run.rules, query_digests(run.metrics), digest(model))
    return Applied(noises, limit_raise(model.calibration, run.rules.budget))


def with_sentinel(
    given: Applied, model: FailureModelSpec, wanted: Sentinel, artefact: SentinelModel, run: RunMetrics
) -> Applied:
    """Return what a model gives together with its sentinel; raises InvalidSpec where that does not fit the run."""
    sentinel = acting_sentinel(wanted, artefact, run.rules, given.noises)
    raised = limit_raise(model.calibration, run.rules.budget - sentinel.taken)
    return replace(given, limit_raise=raised, sentinel=sentinel)
