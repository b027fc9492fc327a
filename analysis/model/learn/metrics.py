"""From pieces of history to the metrics of a FailureModel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analysis.errors import InvalidSpec
from analysis.evidence.noise import Kind, Noise, prior_noise
from analysis.evidence.table import Table
from analysis.failure_model_spec import LoadElasticity, ModelMetric, ModelNoise, TailNoise, UsageModel
from analysis.model.bounds import bounded
from analysis.model.decimals import decimal_text
from analysis.model.learn.components import Variances, variances
from analysis.model.learn.load import LoadView, counts_view, elasticity, typical_view, usage_model
from analysis.model.learn.residuals import count_residuals, level_residuals, typical_residuals, usage_residuals
from analysis.model.learn.slopes import slope_variances
from analysis.model.learn.tails import tails_of
from analysis.rules import CountsRule, GaugeRule, HistogramRule, MetricRule

SEGMENTS_MAX = 500
"""Two weeks of pieces of forty minutes."""
_SEED = 20_260_901

Segments = Sequence[Table]


@dataclass(frozen=True)
class _Fitted:
    """Noise with its upper bounds; `upper` shares all but the variances."""

    point: Noise
    upper: Noise


def learn(
    history: Sequence[Mapping[str, Table]], rules: Sequence[MetricRule], query_digests: Mapping[str, str]
) -> tuple[ModelMetric, ...]:
    """Return what the history says of each metric.

    The same history gives the same answer bit for bit.

    Args:
        history: pieces of about 40 minutes, by metric: only stable pods, without young ones.
        rules: of the metrics; those without history are left out.
        query_digests: by metric, of `analysis.model.query.query_digest`.

    Raises:
        InvalidSpec: there is no history at all, or too much.
    """
    if not history:
        raise InvalidSpec("history", "is empty", "name a time at which the service had traffic")
    if len(history) > SEGMENTS_MAX:
        raise InvalidSpec("history", f"has {len(history)} pieces", f"at most {SEGMENTS_MAX} are read")
    fitted = []
    for rule in rules:
        segments = [piece[rule.name] for piece in history if rule.name in piece]
        usable = [table for table in segments if table.interval_seconds == rule.interval_seconds and _has_data(table)]
        if usable:
            fitted.append(_metric(rule, usable, query_digests.get(rule.name, "")))
    return tuple(fitted)


def _has_data(table: Table) -> bool:
    return bool((table.stable.seconds > 0).any())


def _metric(rule: MetricRule, segments: Segments, query_digest: str) -> ModelMetric:
    match rule.family:
        case CountsRule():
            return _counts(rule, rule.family, segments, query_digest)
        case HistogramRule():
            return _histogram(rule, rule.family, segments, query_digest)
        case GaugeRule(type="Usage"):
            return _usage(rule, segments, query_digest)
        case GaugeRule():
            return _gauge(rule, rule.family, segments, query_digest)


def _counts(rule: MetricRule, family: CountsRule, segments: Segments, query_digest: str) -> ModelMetric:
    found = variances([count_residuals(one) for one in segments], _prior(rule, "Counts"), _SEED)
    # Without a request counter there is no load, and nothing to learn about it.
    view = None if family.pod_seconds else counts_view()
    return _entry(rule, query_digest, _fitted(rule, "Counts", found, segments, view))


def _histogram(rule: MetricRule, family: HistogramRule, segments: Segments, query_digest: str) -> ModelMetric:
    found = variances([typical_residuals(one) for one in segments], _prior(rule, "Typical"), _SEED)
    typical = _fitted(rule, "Typical", found, segments, typical_view())
    bounds = family.tails_seconds or tails_of(segments)
    return _entry(rule, query_digest, typical, tails={bound: _tail(rule, segments, bound) for bound in bounds})


def _tail(rule: MetricRule, segments: Segments, bound_seconds: float) -> _Fitted:
    residuals = [count_residuals(one, bound_seconds) for one in segments if one.bounds]
    found = variances(residuals, _prior(rule, "Tail"), _SEED)
    return _fitted(rule, "Tail", found, segments, counts_view(bound_seconds))


def _usage(rule: MetricRule, segments: Segments, query_digest: str) -> ModelMetric:
    usage = usage_model(segments)
    found = variances([usage_residuals(one, usage) for one in segments], _prior(rule, "Usage"), _SEED)
    return _entry(rule, query_digest, _fitted(rule, "Usage", found, segments, None), usage=usage)


def _gauge(rule: MetricRule, family: GaugeRule, segments: Segments, query_digest: str) -> ModelMetric:
    if family.type == "Growth":
        found = slope_variances(segments, family.scale, _prior(rule, "Growth"), _SEED)
        return _entry(rule, query_digest, _fitted(rule, "Growth", found, segments, None))
    found = variances([level_residuals(one, family.scale) for one in segments], _prior(rule, "Level"), _SEED)
    return _entry(rule, query_digest, _fitted(rule, "Level", found, segments, None))


def _prior(rule: MetricRule, kind: Kind) -> tuple[float, float]:
    prior = prior_noise(rule.interval_seconds, kind)
    return prior.omega2, prior.tau2


def _fitted(rule: MetricRule, kind: Kind, found: Variances, segments: Segments, view: LoadView | None) -> _Fitted:
    prior = prior_noise(rule.interval_seconds, kind)
    slope, error = (0.0, 0.0) if view is None else elasticity(segments, view, prior.elasticity_error)
    point, upper = (
        bounded(Noise(omega2, tau2, slope, error), kind, rule.interval_seconds)
        for omega2, tau2 in ((found.omega2, found.tau2), (found.omega2_upper, found.tau2_upper))
    )
    return _Fitted(point, upper)


def _entry(
    rule: MetricRule,
    query_digest: str,
    main: _Fitted,
    *,
    tails: Mapping[float, _Fitted] | None = None,
    usage: tuple[float, float] | None = None,
) -> ModelMetric:
    ordered = sorted((tails or {}).items())
    return ModelMetric(
        name=rule.name,
        query_digest=query_digest,
        noise=ModelNoise(**_noise(main)),
        load_elasticity=_elasticity(main),
        tails=tuple(f"{decimal_text(bound * 1000, 'tails')}ms" for bound, _ in ordered),
        tail_noise=tuple(TailNoise(**_noise(one), load_elasticity=_elasticity(one)) for _, one in ordered),
        usage=None if usage is None else _usage_costs(*usage),
    )


def _usage_costs(per_second: float, per_load: float) -> UsageModel:
    return UsageModel(
        per_pod_second=decimal_text(per_second, "usage.perPodSecond"),
        per_load_unit=decimal_text(per_load, "usage.perLoadUnit"),
    )


def _noise(fitted: _Fitted) -> dict[str, str]:
    return {
        "omega_squared": decimal_text(fitted.point.omega2, "noise"),
        "tau_squared": decimal_text(fitted.point.tau2, "noise"),
        "omega_squared_upper": decimal_text(fitted.upper.omega2, "noise"),
        "tau_squared_upper": decimal_text(fitted.upper.tau2, "noise"),
    }


def _elasticity(fitted: _Fitted) -> LoadElasticity | None:
    if fitted.point.elasticity_error == 0:
        return None
    return LoadElasticity(
        value=decimal_text(fitted.point.elasticity, "loadElasticity.value"),
        standard_error=decimal_text(fitted.point.elasticity_error, "loadElasticity.standardError"),
    )
