"""The presets are templates that the engine accepts, and each says what it needs."""

import re
from itertools import combinations

import pytest

from analysis.arguments import fill_metric
from analysis.authoring.lint import provable
from analysis.background_spec import RolloutAnalysisBackground
from analysis.errors import InvalidSpec
from analysis.evidence.metric_parts import prior
from analysis.presets.load import Preset, preset, presets
from analysis.rules import RunRules, metric_rule
from analysis.spec import Argument, Metric, TemplateRef
from analysis.template import build_run
from analysis.validate import validate_template

NEEDS_A_REQUEST_COUNTER = {"coalmine-pod-cpu", "coalmine-jvm"}
each = pytest.mark.parametrize("one", presets(), ids=lambda one: one.name)


def run_args(*used: Preset, **given: str) -> dict[str, str | None]:
    run = build_run(
        RolloutAnalysisBackground(
            templates=tuple(TemplateRef(template_name=one.name, cluster_scope=True) for one in used)
        ),
        lambda reference: preset(reference.template_name).spec,
        args=[Argument(name=name, value=value) for name, value in given.items()],
    )
    return {arg.name: arg.value for arg in run.args}


def comments_above(text: str, metric: Metric) -> str:
    """Return the comment right above a metric in the YAML."""
    lines = text.splitlines()
    at = lines.index(f"  - name: {metric.name}")
    above = []
    while lines[at - 1].strip().startswith("#"):
        at -= 1
        above.append(lines[at])
    return "\n".join(reversed(above))


@each
def test_the_engine_finds_nothing_wrong_with_a_preset(one: Preset) -> None:
    assert validate_template(one.spec) == ()


@each
def test_a_preset_says_what_must_be_scraped_and_where_its_names_come_from(one: Preset) -> None:
    header = one.text.split("apiVersion:")[0]
    assert "Scrape:" in header or "Needed:" in header
    assert "https://" in header


@each
def test_every_metric_of_a_preset_gives_reasons_for_its_numbers(one: Preset) -> None:
    for metric in one.spec.metrics:
        assert len(comments_above(one.text, metric)) > 80, metric.name


@each
def test_every_metric_of_a_preset_spells_out_what_is_harm_and_its_share_of_the_budget(one: Preset) -> None:
    for metric in one.spec.metrics:
        block = one.text.split(f"  - name: {metric.name}\n")[1].split("\n  - name: ")[0]
        assert all(f"{field}:" in block for field in ("interval", "direction", "harm", "budgetWeight")), metric.name


@each
def test_a_preset_declares_exactly_the_arguments_that_it_uses(one: Preset) -> None:
    used = set(re.findall(r"\{\{args\.([a-z-]+)\}\}", one.text))
    assert used == {arg.name for arg in one.spec.args}


@each
def test_a_preset_runs_without_arguments_unless_it_needs_a_counter_of_requests(one: Preset) -> None:
    if one.name in NEEDS_A_REQUEST_COUNTER:
        with pytest.raises(InvalidSpec, match='"requests" has no value'):
            run_args(one)
        assert run_args(one, requests="http_requests_total")["requests"] == "http_requests_total"
    else:
        assert None not in run_args(one).values()


@pytest.mark.parametrize(("first", "second"), list(combinations(presets(), 2)), ids=lambda one: one.name)
def test_any_two_presets_can_stand_side_by_side_unless_they_measure_the_same(first: Preset, second: Preset) -> None:
    if {metric.name for metric in first.spec.metrics} & {metric.name for metric in second.spec.metrics}:
        with pytest.raises(InvalidSpec, match="declared twice"):
            run_args(first, second, requests="http_requests_total")
    else:
        assert None not in run_args(first, second, requests="http_requests_total").values()


def test_files_are_named_like_their_templates() -> None:
    names = [one.name for one in presets()]
    assert len(names) == len(set(names)) >= 13
    assert all(name.startswith("coalmine-") for name in names)
    assert {one.system for one in presets()} >= {
        "istio",
        "linkerd",
        "envoy",
        "ingress-nginx",
        "traefik",
        "opentelemetry",
    }


def test_an_unknown_preset_is_refused_with_the_names_that_exist() -> None:
    with pytest.raises(InvalidSpec, match="coalmine-istio-http"):
        preset("coalmine-istio")


def rules_of(one: Preset) -> RunRules:
    values = {arg.name: arg.value or "requests_total" for arg in one.spec.args}
    filled = [fill_metric(metric, values, "spec.metrics") for metric in one.spec.metrics]
    return RunRules(0.01, 180.0, 1, tuple(metric_rule(metric, "spec.metrics", dry_run=False) for metric in filled))


@each
def test_verify_can_prove_every_tolerance_of_a_preset_without_a_failure_model(one: Preset) -> None:
    comparisons = [metric.comparison for metric in one.spec.metrics if metric.comparison is not None]
    # Services are one sample a side, whatever stands behind them.
    stable_samples = 1 if comparisons[0].arms.by == "Query" else 10
    rules = rules_of(one)
    noises = {rule.name: prior(rule) for rule in rules.rules}
    assert [str(found) for found in provable(rules, stable_samples, noises) if "for ever" in str(found)] == []
