"""The noise that a run is judged with: a FailureModel's where it applies, the priors elsewhere."""

from collections.abc import Mapping

from analysis.durations import parse_duration
from analysis.evidence.metric_parts import MetricNoise, main_kind, prior
from analysis.evidence.noise import Kind, Noise, prior_noise
from analysis.failure_model_spec import FailureModelSpec, LoadElasticity, ModelMetric, ModelNoise, TailNoise
from analysis.model.bounds import bounded
from analysis.model.decimals import parse_decimal
from analysis.rules import HistogramRule, MetricRule, RunRules

WARM_UP_SECONDS_MAX = 1800.0
"""A model cannot make the judge wait for longer than half an hour."""


def noises_of(
    spec: FailureModelSpec, rules: RunRules, query_digests: Mapping[str, str], source: str
) -> dict[str, MetricNoise]:
    """Return the noise of every metric of a run.

    An entry applies only if the model's window is the metric's interval and its query is the one it was learned from;
    any other metric gets the priors, and its verdict is uncertified.

    Args:
        spec: of the model, which `validate_failure_model` has accepted.
        rules: of the run.
        query_digests: by metric, of `analysis.model.query.query_digest`.
        source: the model's digest, to be named in records.

    Raises:
        InvalidSpec: a number of the model is none.
    """
    entries = {entry.name: entry for entry in spec.metrics}
    window_seconds = parse_duration(spec.window)
    noises = {}
    for rule in rules.rules:
        entry = entries.get(rule.name)
        applies = (
            entry is not None
            and window_seconds == rule.interval_seconds
            and bool(entry.query_digest)
            and entry.query_digest == query_digests.get(rule.name)
        )
        noises[rule.name] = _learned(rule, entry, source) if entry is not None and applies else prior(rule)
    return noises


def _learned(rule: MetricRule, entry: ModelMetric, source: str) -> MetricNoise:
    main = _noise(entry.noise, entry.load_elasticity, main_kind(rule), rule, source)
    warm_up = min(parse_duration(entry.warm_up), WARM_UP_SECONDS_MAX) if entry.warm_up else None
    if isinstance(rule.family, HistogramRule):
        return MetricNoise(main, _tails(rule, rule.family, entry, source), warm_up)
    if entry.usage is not None:
        costs = _number(entry.usage.per_pod_second), _number(entry.usage.per_load_unit)
        main = Noise(main.omega2, main.tau2, usage=costs, source=source)
    return MetricNoise(main, warm_up_seconds=warm_up)


def _tails(rule: MetricRule, family: HistogramRule, entry: ModelMetric, source: str) -> dict[float, Noise]:
    """Return the noise of the tails that the metric names, or that the model chose where it names none."""
    learned = {
        parse_duration(bound): _noise(tail, tail.load_elasticity, "Tail", rule, source)
        for bound, tail in zip(entry.tails, entry.tail_noise, strict=False)
    }
    unknown = prior_noise(rule.interval_seconds, "Tail")
    return {bound: learned.get(bound, unknown) for bound in family.tails_seconds or learned}


def _noise(
    noise: ModelNoise | TailNoise, load: LoadElasticity | None, kind: Kind, rule: MetricRule, source: str
) -> Noise:
    """Return the upper bounds where the model has them.

    With the estimates themselves, half of all models would think their pods calmer than they are.
    """
    unknown = prior_noise(rule.interval_seconds, kind)
    learned = Noise(
        omega2=_number(noise.omega_squared_upper or noise.omega_squared),
        tau2=_number(noise.tau_squared_upper or noise.tau_squared),
        elasticity=_number(load.value) if load else 0.0,
        elasticity_error=_number(load.standard_error) if load and load.standard_error else unknown.elasticity_error,
        source=source,
    )
    return bounded(learned, kind, rule.interval_seconds)


def _number(text: str) -> float:
    return parse_decimal(text, "spec.metrics")
