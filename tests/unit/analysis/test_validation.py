"""What a metric may not be, each refusal with its field and its remedy."""

from typing import Any

import msgspec
import pytest

from analysis.errors import InvalidSpec
from analysis.spec import AnalysisTemplateSpec, Argument, DryRun, MeasurementRetention, Metric
from analysis.template import field_value, resolve_arguments
from analysis.validate import validate_metric, validate_template

PROMETHEUS = {"address": "http://p", "query": "up"}
SELECTOR = 'errors{pod=~"{{arms.pods}}"}'
COUNTS = {"events": SELECTOR, "total": SELECTOR}


def ordinary(**more: Any) -> Metric:
    return msgspec.convert({"name": "m", "provider": {"prometheus": PROMETHEUS}, **more}, Metric)


def compared(counts: dict[str, Any] | None = None, prometheus: dict[str, Any] | None = None, **more: Any) -> Metric:
    comparison = {"counts": COUNTS if counts is None else counts, **more.pop("comparison", {})}
    provider = {"prometheus": {"address": "http://p", **(prometheus or {})}}
    return msgspec.convert(
        {"name": "m", "interval": "10s", "provider": provider, "comparison": comparison, **more}, Metric
    )


def problems(metric: Metric) -> str:
    return "\n".join(map(str, validate_metric(metric, "m")))


def test_plain_metrics_of_both_kinds_have_no_problems() -> None:
    assert problems(ordinary()) == ""
    assert problems(ordinary(count="{{args.count}}", interval="{{args.interval}}")) == ""
    assert problems(compared()) == ""
    assert problems(compared(counts={**COUNTS, "limit": "{{args.limit}}"})) == ""
    assert problems(compared(counts={"events": SELECTOR, "exposure": "PodSeconds"})) == ""


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"name": ""}, "m.name: must have 1 to"),
        ({"provider": {}}, "m.provider: no provider is given"),
        ({"provider": {"prometheus": PROMETHEUS, "web": {"url": "http://x"}}}, "m.provider: 2 providers are given"),
        ({"provider": {"web": {"url": "http://x"}}}, "m.provider.web"),
        ({"provider": {"prometheus": {"address": "http://p"}}}, "m.provider.prometheus.query: is empty"),
        ({"provider": {"prometheus": {"query": "up"}}}, "m.provider.prometheus.address: is empty"),
        (
            {"provider": {"prometheus": {**PROMETHEUS, "authentication": {"sigv4": {"region": "x"}}}}},
            "m.provider.prometheus.authentication.sigv4",
        ),
        (
            {"provider": {"prometheus": {**PROMETHEUS, "authentication": {"oauth2": {"tokenUrl": "https://x"}}}}},
            "m.provider.prometheus.authentication.oauth2",
        ),
        ({"interval": "often"}, "m.interval: 'often' is no duration"),
        ({"interval": "10ms"}, "m.interval: '10ms' is too short"),
        ({"initialDelay": "-5s"}, "m.initialDelay: '-5s' is too short"),
        ({"successCondition": "result <"}, "m.successCondition"),
        ({"failureCondition": "nonsense"}, "m.failureCondition: unknown name 'nonsense'"),
        ({"inconclusiveLimit": -1}, "m.inconclusiveLimit: is negative"),
        ({"consecutiveErrorLimit": -1}, "m.consecutiveErrorLimit: is negative"),
        ({"count": -1}, "m.count: is negative"),
        ({"count": 3}, "m.interval: is missing beside a count above 1"),
        ({"count": 3, "interval": "5s", "failureLimit": 3}, "m.failureLimit: can never be exceeded"),
        ({"count": "three"}, "m.count: 'three' is no whole number"),
    ],
)
def test_an_ordinary_metric_that_cannot_be_measured_is_refused(more: dict[str, Any], words: str) -> None:
    assert words in problems(ordinary(**more))


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        (compared(prometheus={"query": "up"}), "m.provider.prometheus.query: stands beside a comparison"),
        (compared(count=3), "m.count: stands beside a comparison"),
        (compared(successCondition="true"), "m.successCondition: stands beside a comparison"),
        (compared(interval=""), "m.interval: is missing"),
        (compared(comparison={"gauge": {"query": SELECTOR}}), "2 of counts, histogram and gauge are given"),
        (compared(counts={"events": SELECTOR}), "m.comparison.counts: exactly one of total and exposure"),
        (compared(counts={"events": "", "total": SELECTOR}), "m.comparison.counts.events: is empty"),
        (compared(counts={**COUNTS, "events": f"rate({SELECTOR}[1m])"}), "counts.events: is no vector selector"),
        (compared(counts={**COUNTS, "events": "errors"}), "counts.events: does not select the arms"),
        (
            compared(counts={"events": SELECTOR, "exposure": "PodSeconds"}, comparison={"arms": {"by": "Query"}}),
            "counts.exposure: PodSeconds needs pods",
        ),
        (compared(comparison={"harm": "50%", "tolerance": "20%"}), "m.comparison.tolerance: is below harm"),
        (compared(comparison={"tolerance": "0%"}), "m.comparison.tolerance: 0% can never be proven"),
        (
            compared(comparison={"direction": "Decrease", "harm": "100%"}),
            "m.comparison.harm: nothing can decrease by 100% or more",
        ),
        (compared(counts={**COUNTS, "limit": "100%"}), "counts.limit: must lie between 0% and 100%"),
    ],
)
def test_a_comparison_that_cannot_be_made_is_refused(metric: Metric, words: str) -> None:
    assert words in problems(metric)


def test_a_template_has_something_in_it_and_every_name_once() -> None:
    metric = ordinary()
    bad = AnalysisTemplateSpec(
        metrics=(metric, metric),
        args=(Argument(name="a"), Argument(name="a")),
        dry_run=(DryRun(metric_name="(a+)+"),),
        measurement_retention=(MeasurementRetention(metric_name="[", limit=1),),
    )
    fields = [problem.field for problem in validate_template(bad)]
    assert fields == [
        "spec.metrics[1].name",
        "spec.args[1].name",
        "spec.dryRun[0].metricName",
        "spec.measurementRetention[0].metricName",
    ]
    assert [p.field for p in validate_template(AnalysisTemplateSpec())] == ["spec.metrics"]


LIVE = {"metadata": {"labels": {"region": "eu", "a/b": "c"}}, "spec": {"paused": True, "ports": [{"port": 80}]}}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.labels.region", "eu"),
        ("metadata.labels['a/b']", "c"),
        ("spec.paused", "true"),
        ("spec.ports[0].port", "80"),
    ],
)
def test_a_field_of_the_rollout_becomes_an_argument(path: str, value: str) -> None:
    assert field_value(LIVE, path, "f") == value


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("metadata..x", "no field path"),
        ("metadata.name", "the Rollout has no field metadata.name"),
        ("spec.ports[1].port", "the Rollout has no field"),
        ("spec.ports", "no single value"),
    ],
)
def test_a_field_that_is_not_there_is_named(path: str, words: str) -> None:
    with pytest.raises(InvalidSpec, match=words):
        field_value(LIVE, path, "f")


def test_no_arguments_resolve_to_none() -> None:
    assert resolve_arguments((), latest_hash="a", stable_hash="b", rollout={}) == ()
