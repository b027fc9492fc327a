"""Selectors, unknown fields and budget shares: what lint is made of."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.authoring.budget import COMBINED, budget_shares
from analysis.authoring.fields import unknown_fields
from analysis.authoring.lint import lint, provable
from analysis.authoring.selector import Matcher, Selector, parse_selector
from analysis.errors import InvalidSpec
from analysis.evidence.metric_parts import MetricNoise, prior
from analysis.evidence.noise import Noise
from analysis.presets.load import presets
from analysis.rules import CountsRule, HistogramRule, MetricRule, RunRules
from analysis.spec import AnalysisTemplateSpec, TemplateRef

LABEL = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
MATCHERS = st.builds(Matcher, LABEL, st.sampled_from(["=", "!="]), st.text(max_size=12))


@given(matchers=st.lists(MATCHERS, min_size=1, max_size=4))
def test_a_selector_written_and_read_again_is_the_same(matchers: list[Matcher]) -> None:
    selector = Selector(tuple(matchers))
    assert parse_selector(str(selector), "f") == selector


@given(text=st.text(max_size=60) | st.text("abe{}[]()=~!\"'`,.5m \\", max_size=40))
def test_any_text_is_a_selector_or_refused(text: str) -> None:
    try:
        selector = parse_selector(text, "f")
    except InvalidSpec:
        return
    assert selector.matchers


@pytest.mark.parametrize(
    ("text", "labels", "accepted"),
    [
        ("a", {"__name__": "a"}, True),
        ("a", {"__name__": "ab"}, False),
        ('a{code=~"5.."}', {"__name__": "a", "code": "503"}, True),
        ('a{code=~"5.."}', {"__name__": "a", "code": "5030"}, False),
        ('a{code!~"5..", x=""}', {"__name__": "a", "code": "200"}, True),
        ('{__name__=~"a|b", x!="y"}', {"__name__": "b", "x": "y"}, False),
        ('{"http.server", `k8s.pod`="p"}', {"__name__": "http.server", "k8s.pod": "p"}, True),
        ("a{x='\\'', }", {"__name__": "a", "x": "'"}, True),
    ],
)
def test_a_selector_accepts_what_prometheus_would(text: str, labels: dict[str, str], accepted: bool) -> None:
    assert parse_selector(text, "f").accepts(labels) is accepted


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("rate(a[5m])", "the engine takes differences"),
        ("sum by (x) (a)", "the engine takes differences"),
        ("a[5m]", "the engine adds the range"),
        ("a offset 1h", "compared now"),
        ("a / b", "one vector selector"),
        ("", "requests_total"),
        ("{}", "write the metric's name"),
        ('a{x=~"("}', "mend it"),
        ("a{x}", "write matchers"),
        ("a{x=y}", "write matchers"),
        ('a{x="y" z="w"}', "separate matchers by commas"),
    ],
)
def test_what_is_more_than_a_selector_is_refused_with_a_remedy(text: str, remedy: str) -> None:
    with pytest.raises(InvalidSpec, match=re.escape(remedy)):
        parse_selector(text, "f")


def test_a_text_without_end_is_refused() -> None:
    with pytest.raises(InvalidSpec, match="longer than"):
        parse_selector("a" * 70_000, "f")


def test_unknown_fields_are_found_at_any_depth_and_known_ones_are_not() -> None:
    manifest = {
        "args": [{"name": "a", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": True}}}],
        "metrics": [{"name": "m", "provider": {"job": {"spec": {"anything": 1}}, "web": {"headers": [{"k": 1}]}}}],
    }
    found = [problem.field for problem in unknown_fields(manifest, AnalysisTemplateSpec, "spec")]
    assert found == ["spec.args[0].valueFrom.secretKeyRef.optional", "spec.metrics[0].provider.web.headers[0].k"]


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["metrics", "args", "name", "provider", "comparison", "x"]), inner)
        ),
        max_leaves=12,
    )
)
def test_no_shape_of_a_manifest_breaks_the_search_for_unknown_fields(manifest: object) -> None:
    assert all(problem.field for problem in unknown_fields(manifest, AnalysisTemplateSpec, "spec"))


def test_the_shares_of_a_budget_sum_to_one_and_parts_to_their_metric() -> None:
    rules = (
        MetricRule("errors", 30.0, CountsRule(), 0.1, budget_weight=25),
        MetricRule("latency", 30.0, HistogramRule((0.25, 0.5)), 0.03, budget_weight=35),
        MetricRule("watched", 30.0, CountsRule(), 0.1, dry_run=True),
    )
    shares = budget_shares(RunRules(0.01, 180.0, 1, rules))
    assert sum(share.share for share in shares) == pytest.approx(1)
    assert [share.metric for share in shares] == ["errors", "latency", "watched", COMBINED]
    assert sum(part for _, part in shares[1].parts) == pytest.approx(shares[1].share)
    assert shares[2].share == 0


def test_a_tolerance_is_warned_of_only_where_pods_forbid_it() -> None:
    def findings(tolerance: float, pods: int) -> list[str]:
        rule = MetricRule("errors", 30.0, CountsRule(), 0.05, tolerance=tolerance)
        return [one.line for one in provable(RunRules(0.01, 180.0, 1, (rule,)), pods, {"errors": prior(rule)})]

    assert "would wait for ever" in findings(0.1, 10)[0]
    assert findings(0.1, 10)[0].startswith("error")
    assert "canary pods and more only" in findings(0.5, 10)[0]
    assert findings(3.0, 10) == []


def test_a_weight_for_series_without_pods_names_the_pods_that_were_assumed() -> None:
    def told(tolerance: float, pods: int) -> str:
        rule = MetricRule("errors", 30.0, CountsRule(), 0.05, tolerance=tolerance, pod_label="")
        noises = {"errors": MetricNoise(Noise(0.1, 0.01))}
        return next(iter(provable(RunRules(0.01, 180.0, 1, (rule,)), pods, noises))).line

    for pods in (10, 20):
        assert f"on only if stable has {pods} pods, which its series do not tell apart" in told(0.5, pods)
        assert "how many there are with --pods" in told(0.5, pods)
        assert f"even {pods} against {pods}, and its series tell no pods apart" in told(0.1, pods)


def test_noise_that_was_learned_lets_smaller_tolerances_be_proven() -> None:
    rule = MetricRule("errors", 30.0, CountsRule(), 0.05, tolerance=0.2)
    rules = RunRules(0.01, 180.0, 1, (rule,))
    learned = {"errors": MetricNoise(Noise(0.1, 0.0004, source="sha256:1"))}
    assert [one.severity for one in provable(rules, 10, {"errors": prior(rule)})] == ["error"]
    assert list(provable(rules, 10, learned)) == []


@pytest.mark.parametrize("shipped", presets(), ids=lambda preset: preset.name)
def test_presets_have_no_errors(shipped: object) -> None:
    def find(ref: TemplateRef) -> AnalysisTemplateSpec | None:
        return next((one.spec for one in presets() if one.name == ref.template_name), None)

    spec, ref = shipped.spec, TemplateRef(template_name=shipped.name, cluster_scope=True)  # type: ignore[attr-defined]
    seen = lint(spec, ref, find, {})
    assert [finding.line for finding in seen.findings if finding.severity == "error"] == []
    assert seen.shares
