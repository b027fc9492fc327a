"""Templates, arguments and arms."""

import re
from collections.abc import Mapping

import pytest

from analysis.arguments import fill_metric, fill_selector, pods_pattern
from analysis.background_spec import (
    RolloutAnalysis,
    RolloutAnalysisBackground,
    RolloutArgument,
    RolloutArgumentValueFrom,
)
from analysis.comparison_spec import (
    ArmsSelection,
    Comparison,
    ComparisonSettings,
    CountsComparison,
    GaugeComparison,
    HistogramComparison,
)
from analysis.errors import InvalidSpec
from analysis.provider_spec import MetricProvider, PrometheusMetric, WebMetric
from analysis.run_spec import Arm, Arms
from analysis.spec import AnalysisTemplateSpec, Argument, DryRun, FieldRef, Metric, TemplateRef
from analysis.template import FindTemplate, TemplateMissing, build_run, flatten, resolve_arguments
from analysis.validate import validate_template

PROVIDER = MetricProvider(prometheus=PrometheusMetric(address="http://p", query="up"))
SERIES = MetricProvider(prometheus=PrometheusMetric(address="http://p"))
COUNTS = CountsComparison(events='e{pod=~"{{arms.pods}}"}', total='t{pod=~"{{arms.pods}}"}')


def template(*metrics: str, args: tuple[Argument, ...] = (), templates: tuple[str, ...] = ()) -> AnalysisTemplateSpec:
    return AnalysisTemplateSpec(
        metrics=tuple(Metric(name=name, provider=PROVIDER) for name in metrics),
        args=args,
        templates=tuple(TemplateRef(template_name=name) for name in templates),
    )


def find_in(templates: Mapping[str, AnalysisTemplateSpec]) -> FindTemplate:
    return lambda ref: templates.get(ref.template_name)


def refs(*names: str) -> tuple[TemplateRef, ...]:
    return tuple(TemplateRef(template_name=name) for name in names)


def test_nested_templates_are_included_once_even_in_a_circle() -> None:
    found = {"a": template("x", templates=("b", "c")), "b": template("y", templates=("a", "c")), "c": template("z")}
    assert [m.name for m in flatten(refs("a", "c"), find_in(found)).metrics] == ["x", "z", "y"]


def test_two_metrics_of_one_name_are_refused() -> None:
    with pytest.raises(InvalidSpec, match='metric "x" is declared twice'):
        flatten(refs("a", "b"), find_in({"a": template("x"), "b": template("x")}))


def test_a_missing_template_names_its_place() -> None:
    with pytest.raises(TemplateMissing, match=re.escape("templates[0] (a).templates[0]")):
        flatten(refs("a"), find_in({"a": template("x", templates=("gone",))}))


def test_different_defaults_of_one_argument_are_refused_and_a_given_one_wins() -> None:
    one, two = Argument(name="n", value="1"), Argument(name="n", value="2")
    with pytest.raises(InvalidSpec, match='argument "n" has different values'):
        flatten(refs("a", "b"), find_in({"a": template("x", args=(one,)), "b": template("y", args=(two,))}))
    found = find_in({"a": template("x", args=(Argument(name="n"),)), "b": template("y", args=(two,))})
    assert flatten(refs("a", "b"), found).args == (two,)


def test_an_argument_without_a_value_or_given_twice_is_refused() -> None:
    analysis = RolloutAnalysis(templates=refs("a"))
    with pytest.raises(InvalidSpec, match='argument "n" has no value'):
        build_run(analysis, find_in({"a": template("x", args=(Argument(name="n"),))}))
    twice = (RolloutArgument(name="n", value="1"), RolloutArgument(name="n", value="2"))
    with pytest.raises(InvalidSpec, match='argument "n" is declared twice'):
        resolve_arguments(twice, latest_hash="l", stable_hash="s", rollout={})


def test_arguments_of_a_rollout_come_from_hashes_and_fields() -> None:
    rollout = {"metadata": {"labels": {"a.b/c": "x"}}, "status": {"alb": [{"name": "tg"}]}, "spec": {"paused": True}}

    def value(**source: object) -> str | None:
        args = (RolloutArgument(name="n", value_from=RolloutArgumentValueFrom(**source)),)  # type: ignore[arg-type]
        return resolve_arguments(args, latest_hash="new", stable_hash="old", rollout=rollout)[0].value

    assert value(pod_template_hash_value="Latest") == "new"
    assert value(pod_template_hash_value="Stable") == "old"
    assert value(field_ref=FieldRef(field_path="metadata.labels['a.b/c']")) == "x"
    assert value(field_ref=FieldRef(field_path="status.alb[0].name")) == "tg"
    assert value(field_ref=FieldRef(field_path="spec.paused")) == "true"
    for path in ("metadata.labels['no']", "status.alb[7].name", "metadata", "a b"):
        with pytest.raises(InvalidSpec):
            value(field_ref=FieldRef(field_path=path))


def test_a_background_run_carries_its_comparison_settings() -> None:
    compared = Metric(name="c", provider=SERIES, interval="30s", comparison=Comparison(counts=COUNTS))
    found = find_in({"a": AnalysisTemplateSpec(metrics=(compared,))})
    arms = Arms(canary=Arm(pods="c-.*"), stable=Arm(pods="s-.*"))
    background = RolloutAnalysisBackground(
        templates=refs("a"), comparison=ComparisonSettings(warm_up="5s"), dry_run=(DryRun(metric_name="c"),)
    )
    spec = build_run(background, found, arms=arms, weight_increases=3)
    assert spec.comparison is not None
    assert spec.comparison.warm_up == "5s"
    assert spec.comparison.false_rollback_budget == "1%"
    assert spec.comparison.weight_increases == 3
    assert spec.comparison.arms == arms
    assert spec.comparison.progress_deadline_seconds is None
    slow = build_run(background, found, arms=arms, progress_deadline_seconds=1800)
    assert slow.comparison is not None
    assert slow.comparison.progress_deadline_seconds == 1800
    with pytest.raises(InvalidSpec, match="is a comparison"):
        build_run(RolloutAnalysis(templates=refs("a")), found)


def test_arguments_fill_every_string_of_a_metric() -> None:
    provider = MetricProvider(prometheus=PrometheusMetric(address="{{ args.a }}", query="up{x='{{args.b}}'}"))
    raw = Metric(name="{{args.b}}", provider=provider, count="{{args.n}}")
    filled = fill_metric(raw, {"a": "http://p", "b": "y", "n": "3"}, "f")
    assert filled.name == "y"
    assert filled.provider.prometheus is not None
    assert filled.provider.prometheus.query == "up{x='y'}"
    assert filled.count == "3"
    with pytest.raises(InvalidSpec, match=re.escape("f.provider.prometheus.address")):
        fill_metric(raw, {"b": "y", "n": "3"}, "f")


def test_values_of_arms_are_escaped_inside_promql() -> None:
    arms = Arms(canary=Arm(service='evil"} or vector(1) #\\', pods="a"), stable=Arm(pods="b"))
    filled = fill_selector('x{s="{{arm.service}}"}', arms, "f", namespace="n", arm=arms.canary, arm_name="canary")
    assert filled == 'x{s="evil\\"} or vector(1) #\\\\"}'
    assert fill_selector('x{pod=~"{{arms.pods}}"}', arms, "f", namespace="n") == 'x{pod=~"(b|a)"}'
    with pytest.raises(InvalidSpec, match="has no value here"):
        fill_selector("x{{arm.service}}", arms, "f", namespace="n")


def test_pods_are_matched_by_the_name_of_their_replica_set_as_the_api_server_cuts_it() -> None:
    assert re.fullmatch(pods_pattern("checkout-79c9b9f6bf"), "checkout-79c9b9f6bf-x7k2p")
    assert not re.fullmatch(pods_pattern("checkout-79c9b9f6bf"), "checkout-79c9b9f6bf-canary-x7k2p")
    long = "a" * 60 + "-79c9b9f6bf"
    assert re.fullmatch(pods_pattern(long), (long + "-")[:58] + "x7k2p")
    assert not re.fullmatch(pods_pattern("a.b"), "axb-x7k2p")


def problems(metric: Metric) -> list[str]:
    return [str(problem) for problem in validate_template(AnalysisTemplateSpec(metrics=(metric,)))]


def compared(**more: object) -> Metric:
    comparison = Comparison(**{"counts": COUNTS, **more})  # type: ignore[arg-type]
    return Metric(name="c", provider=SERIES, interval="30s", comparison=comparison)


def test_valid_metrics_have_no_problem() -> None:
    assert problems(compared(tolerance="400%", harm="{{args.harm}}")) == []
    assert problems(Metric(name="m", provider=PROVIDER, count="{{args.n}}", success_condition="result[0] > 1")) == []


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        (Metric(name="m", provider=MetricProvider()), "no provider"),
        (Metric(name="m", provider=MetricProvider(web=WebMetric(url="http://x"))), "web: not supported yet"),
        (Metric(name="m", provider=SERIES), "query: is empty"),
        (Metric(name="m", provider=PROVIDER, count=3), "interval: is missing"),
        (Metric(name="m", provider=PROVIDER, interval="0.2s"), "too short"),
        (Metric(name="m", provider=PROVIDER, success_condition="result >"), "successCondition"),
        (Metric(name="m", provider=PROVIDER, failure_condition="1 + 'a'"), "failureCondition"),
        (Metric(name="m", provider=PROVIDER, count="many"), "no whole number"),
        (Metric(name="m", provider=PROVIDER, interval="1m", count=2, failure_limit=2), "failureLimit"),
        (
            Metric(name="m", provider=PROVIDER, interval="1m", comparison=Comparison(counts=COUNTS)),
            "beside a comparison",
        ),
        (Metric(name="m", provider=SERIES, comparison=Comparison(counts=COUNTS)), "length of a window"),
        (
            Metric(name="m", provider=SERIES, interval="1m", count=2, comparison=Comparison(counts=COUNTS)),
            "count: stands",
        ),
        (compared(counts=None), "0 of counts"),
        (compared(histogram=HistogramComparison(buckets="b")), "2 of counts"),
        (compared(counts=None, gauge=GaugeComparison(query="g")), "gauge.query: does not select the arms"),
        (compared(counts=CountsComparison(events='e{pod=~"{{arms.pods}}"}')), "exactly one of total and exposure"),
        (compared(counts=CountsComparison(events="e", total="t")), "does not select the arms"),
        (compared(counts=CountsComparison(events="rate(e[1m])", exposure="PodSeconds")), "no vector selector"),
        (compared(arms=ArmsSelection(by="Query")), "does not select the arms"),
        (compared(tolerance="half"), "tolerance"),
        (compared(tolerance="5%", harm="10%"), "is below harm"),
        (compared(tolerance="0%"), "never be proven"),
    ],
)
def test_a_problem_names_its_field(metric: Metric, words: str) -> None:
    assert any(words in problem for problem in problems(metric)), problems(metric)


def test_names_declared_twice_are_problems() -> None:
    spec = AnalysisTemplateSpec(
        metrics=(compared(), compared()),
        args=(Argument(name="a"), Argument(name="a")),
        dry_run=(DryRun(metric_name="("),),
    )
    fields = [problem.field for problem in validate_template(spec)]
    assert fields == ["spec.metrics[1].name", "spec.args[1].name", "spec.dryRun[0].metricName"]
