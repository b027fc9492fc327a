"""Everything that is wrong with a template, with the field and a remedy. The API server checks types before."""

from collections.abc import Iterator

from analysis.comparison_spec import Comparison, CountsComparison, GaugeComparison, HistogramComparison
from analysis.condition import parse as parse_condition
from analysis.durations import parse_duration
from analysis.errors import InvalidSpec, NotSupportedYet
from analysis.limits import Limits, limits_of
from analysis.patterns import MAX_NAME, compiled
from analysis.percent import parse_percent
from analysis.provider_spec import PrometheusMetric
from analysis.rules import INTERVAL_MIN_SECONDS, tails_seconds
from analysis.spec import AnalysisTemplateSpec, Metric

MEASURED_PROVIDERS = frozenset({"prometheus"})

_PROVIDERS = {
    "prometheus": "prometheus",
    "kayenta": "kayenta",
    "web": "web",
    "datadog": "datadog",
    "new_relic": "newRelic",
    "wavefront": "wavefront",
    "cloud_watch": "cloudWatch",
    "graphite": "graphite",
    "influxdb": "influxdb",
    "skywalking": "skywalking",
    "job": "job",
    "plugin": "plugin",
}


def validate_template(spec: AnalysisTemplateSpec, field: str = "spec") -> tuple[InvalidSpec, ...]:
    """Return all problems of a template; empty where it is valid. Values of arguments are checked in a run."""
    problems: list[InvalidSpec] = []
    if not spec.metrics and not spec.templates:
        problems.append(InvalidSpec(f"{field}.metrics", "neither metrics nor templates are given", "name one"))
    problems += _twice([m.name for m in spec.metrics], f"{field}.metrics")
    problems += _twice([a.name for a in spec.args], f"{field}.args")
    for index, metric in enumerate(spec.metrics):
        problems += validate_metric(metric, f"{field}.metrics[{index}]")
    for index, dry in enumerate(spec.dry_run):
        problems += _pattern(dry.metric_name, f"{field}.dryRun[{index}].metricName")
    for index, kept in enumerate(spec.measurement_retention):
        problems += _pattern(kept.metric_name, f"{field}.measurementRetention[{index}].metricName")
    return tuple(problems)


def validate_metric(metric: Metric, field: str) -> tuple[InvalidSpec, ...]:
    """Return all problems of one metric."""
    problems: list[InvalidSpec] = []
    if not metric.name or len(metric.name) > MAX_NAME:
        problems.append(InvalidSpec(f"{field}.name", f"must have 1 to {MAX_NAME} characters"))
    problems += _provider(metric, field)
    problems += _schedule(metric, field)
    if metric.comparison is not None:
        problems += _comparison(metric, metric.comparison, field)
    else:
        problems += _ordinary(metric, field)
    return tuple(problems)


def _twice(names: list[str], field: str) -> Iterator[InvalidSpec]:
    for index, name in enumerate(names):
        if name in names[:index]:
            yield InvalidSpec(f"{field}[{index}].name", f'"{name}" is declared twice', "rename one of them")


def _pattern(pattern: str, field: str) -> Iterator[InvalidSpec]:
    try:
        compiled(pattern)
    except ValueError as error:
        yield InvalidSpec(field, str(error), "name the metric, or use a simpler expression")


def _provider(metric: Metric, field: str) -> Iterator[InvalidSpec]:
    given = [name for name in _PROVIDERS if getattr(metric.provider, name)]
    if len(given) != 1:
        problem = "no provider is given" if not given else f"{len(given)} providers are given"
        yield InvalidSpec(f"{field}.provider", problem, "give exactly one")
    for name in given:
        if name not in MEASURED_PROVIDERS:
            yield NotSupportedYet(f"{field}.provider.{_PROVIDERS[name]}", "prometheus is")
    if metric.provider.prometheus is not None:
        yield from _prometheus(metric, metric.provider.prometheus, f"{field}.provider.prometheus")


def _prometheus(metric: Metric, prometheus: PrometheusMetric, field: str) -> Iterator[InvalidSpec]:
    if metric.comparison is None and not prometheus.query:
        yield InvalidSpec(f"{field}.query", "is empty", "write PromQL that gives one value")
    if metric.comparison is not None and (prometheus.query or prometheus.range_query):
        yield InvalidSpec(f"{field}.query", "stands beside a comparison", "write selectors under comparison only")
    elif prometheus.range_query is not None:
        yield NotSupportedYet(f"{field}.rangeQuery", "use an instant query with a range vector")
    if not prometheus.address:
        yield InvalidSpec(f"{field}.address", "is empty", "write the URL of Prometheus, or {{args.prometheus}}")
    authentication = prometheus.authentication
    if authentication is not None and authentication.sigv4 is not None:
        yield NotSupportedYet(f"{field}.authentication.sigv4", "use basicAuth or headers")
    if authentication is not None and authentication.oauth2 is not None:
        yield NotSupportedYet(f"{field}.authentication.oauth2", "use basicAuth or headers")


def _schedule(metric: Metric, field: str) -> Iterator[InvalidSpec]:
    for name, value in (("interval", metric.interval), ("initialDelay", metric.initial_delay)):
        if not value or "{{" in value:
            continue
        try:
            seconds = parse_duration(value)
        except ValueError as error:
            yield InvalidSpec(f"{field}.{name}", str(error))
            continue
        if seconds < (INTERVAL_MIN_SECONDS if name == "interval" else 0):
            yield InvalidSpec(f"{field}.{name}", f"{value!r} is too short", "write 1s or more")


def _ordinary(metric: Metric, field: str) -> Iterator[InvalidSpec]:
    for name, condition in (
        ("successCondition", metric.success_condition),
        ("failureCondition", metric.failure_condition),
    ):
        if condition and "{{" not in condition:
            try:
                parse_condition(condition)
            except ValueError as error:
                yield InvalidSpec(f"{field}.{name}", str(error), "see the condition language")
    if "{{" in "".join(str(getattr(metric, name)) for name in _NUMBERS):
        return
    try:
        limits = limits_of(metric, field)
    except InvalidSpec as error:
        yield error
        return
    yield from _counts_and_limits(limits, field)


_NUMBERS = (
    "count",
    "interval",
    "failure_limit",
    "inconclusive_limit",
    "consecutive_error_limit",
    "consecutive_success_limit",
    "initial_delay",
)


def _counts_and_limits(limits: Limits, field: str) -> Iterator[InvalidSpec]:
    for name, limit in (
        ("inconclusiveLimit", limits.inconclusive),
        ("consecutiveErrorLimit", limits.consecutive_error),
    ):
        if limit < 0:
            yield InvalidSpec(f"{field}.{name}", "is negative", "write a number from 0 on")
    if limits.count is None:
        return
    if limits.count < 0:
        yield InvalidSpec(f"{field}.count", "is negative", "write a number from 1 on")
    if limits.count > 1 and limits.interval_seconds is None:
        yield InvalidSpec(f"{field}.interval", "is missing beside a count above 1", "write how often to measure")
    for name, limit_or_none in (("failureLimit", limits.failure), ("inconclusiveLimit", limits.inconclusive)):
        if limit_or_none is not None and limit_or_none >= limits.count and limit_or_none > 0:
            yield InvalidSpec(f"{field}.{name}", "can never be exceeded by count measurements", "lower it")


_ARGO_ONLY = {
    "count": "count",
    "success_condition": "successCondition",
    "failure_condition": "failureCondition",
    "failure_limit": "failureLimit",
    "inconclusive_limit": "inconclusiveLimit",
    "consecutive_error_limit": "consecutiveErrorLimit",
    "consecutive_success_limit": "consecutiveSuccessLimit",
}


def _comparison(metric: Metric, comparison: Comparison, field: str) -> Iterator[InvalidSpec]:
    for name, shown in _ARGO_ONLY.items():
        if getattr(metric, name) not in (None, ""):
            yield InvalidSpec(f"{field}.{shown}", "stands beside a comparison", "remove one of them")
    if not metric.interval:
        yield InvalidSpec(f"{field}.interval", "is missing", "write the length of a window, such as 30s")
    here = f"{field}.comparison"
    families = [name for name in ("counts", "histogram", "gauge") if getattr(comparison, name) is not None]
    if len(families) != 1:
        yield InvalidSpec(here, f"{len(families)} of counts, histogram and gauge are given", "give one")
    yield from _percentages(comparison, here)
    if comparison.counts is not None:
        yield from _counts(comparison, comparison.counts, here)
    if comparison.histogram is not None:
        yield from _histogram(comparison, comparison.histogram, f"{here}.histogram")
    if comparison.gauge is not None:
        yield from _gauge(comparison, comparison.gauge, f"{here}.gauge")


def _counts(comparison: Comparison, counts: CountsComparison, field: str) -> Iterator[InvalidSpec]:
    if bool(counts.total) == bool(counts.exposure):
        yield InvalidSpec(f"{field}.counts", "exactly one of total and exposure is needed", "keep one of them")
    if counts.exposure and comparison.arms.by == "Query":
        yield InvalidSpec(f"{field}.counts.exposure", "PodSeconds needs pods", "use arms.by: Pod, or write a total")
    for name, selector in (("events", counts.events), ("total", counts.total)):
        yield from _selector(comparison, selector, f"{field}.counts.{name}") if selector else ()
    if not counts.events:
        yield InvalidSpec(f"{field}.counts.events", "is empty", "write a vector selector")


def _histogram(comparison: Comparison, histogram: HistogramComparison, field: str) -> Iterator[InvalidSpec]:
    if not histogram.buckets:
        yield InvalidSpec(f"{field}.buckets", "is empty", "write a selector of its _bucket series")
        return
    yield from _selector(comparison, histogram.buckets, f"{field}.buckets")
    if any("{{" in tail for tail in histogram.tails):
        return
    try:
        tails_seconds(histogram.tails, f"{field}.tails")
    except InvalidSpec as error:
        yield error


def _gauge(comparison: Comparison, gauge: GaugeComparison, field: str) -> Iterator[InvalidSpec]:
    for name, selector in (("query", gauge.query), ("load", gauge.load)):
        yield from _selector(comparison, selector, f"{field}.{name}") if selector else ()
    if not gauge.query:
        yield InvalidSpec(f"{field}.query", "is empty", "write a vector selector")
    if gauge.type == "Usage" and not gauge.load:
        yield InvalidSpec(f"{field}.load", "is missing", "name the counter of load that explains the use")
    if gauge.type != "Usage" and gauge.load:
        yield InvalidSpec(f"{field}.load", f"explains nothing of type {gauge.type}", "remove it, or use type: Usage")
    if gauge.type == "Usage" and gauge.scale != "Log":
        yield InvalidSpec(f"{field}.scale", "a Usage is compared as a ratio", "remove it")
    if gauge.type == "Growth" and comparison.arms.by == "Query" and not comparison.arms.pod_label:
        yield InvalidSpec(f"{field}.type", "Growth needs pods", "use arms.by: Pod, or write arms.podLabel")


def _selector(comparison: Comparison, selector: str, field: str) -> Iterator[InvalidSpec]:
    body = selector.strip()
    if "(" in body.split("{", 1)[0] or body.endswith("]") or body.startswith("("):
        yield InvalidSpec(
            field, "is no vector selector", "write the counter itself: the engine takes differences and sums"
        )
    wanted = "{{arms." if comparison.arms.by == "Pod" else "{{arm."
    if wanted not in body.replace("{{ ", "{{"):
        example = 'pod=~"{{arms.pods}}"' if comparison.arms.by == "Pod" else "{{arm.podTemplateHash}}"
        yield InvalidSpec(field, "does not select the arms", f"use {example} in it")


def _percentages(comparison: Comparison, field: str) -> Iterator[InvalidSpec]:
    given = {"harm": comparison.harm, "tolerance": comparison.tolerance}
    if comparison.counts is not None:
        given["counts.minDifference"] = comparison.counts.min_difference
        given["counts.limit"] = comparison.counts.limit
    ratios: dict[str, float] = {}
    for name, text in given.items():
        if text is None or text.startswith("{{"):
            continue
        try:
            ratios[name] = parse_percent(text)
        except ValueError as error:
            yield InvalidSpec(f"{field}.{name}", str(error))
    if ratios.get("tolerance", 1.0) <= 0:
        yield InvalidSpec(f"{field}.tolerance", "0% can never be proven", "write what you can live with")
    if "harm" in ratios and ratios.get("tolerance", ratios["harm"]) < ratios["harm"]:
        yield InvalidSpec(f"{field}.tolerance", "is below harm", "tolerate at least what never rolls back")
    if comparison.direction == "Decrease" and ratios.get("harm", 0.0) >= 1:
        yield InvalidSpec(f"{field}.harm", "nothing can decrease by 100% or more", "write less than 100%")
    if not 0 < ratios.get("counts.limit", 0.5) < 1:
        yield InvalidSpec(f"{field}.counts.limit", "must lie between 0% and 100%", "write such a ratio")
