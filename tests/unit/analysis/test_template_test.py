"""Tests of templates: the series notation, the file, and what a test that is wrong says."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.authoring.case_data import RecordedProvider
from analysis.authoring.case_run import run_case
from analysis.authoring.cases import parse_cases
from analysis.authoring.filled import Filled, fill
from analysis.authoring.notation import MAX_SAMPLES, expanded, parse_series
from analysis.comparison_spec import (
    ArmsSelection,
    Comparison,
    CountsComparison,
    GaugeComparison,
    HistogramComparison,
)
from analysis.errors import InvalidSpec, MeasurementError
from analysis.provider_spec import MetricProvider, PrometheusMetric
from analysis.spec import AnalysisTemplateSpec, Metric, TemplateRef
from rollout.cli.main import main

PODS = 'pod=~"{{arms.pods}}"'
COUNTS = CountsComparison(events=f"e{{{PODS}}}", total=f"t{{{PODS}}}")


def template(**more: Any) -> Filled:
    comparison = Comparison(**{"counts": COUNTS, "tolerance": "100%", **more})
    provider = MetricProvider(prometheus=PrometheusMetric(address="http://p"))
    spec = AnalysisTemplateSpec(
        metrics=(Metric(name="errors", provider=provider, interval="30s", comparison=comparison),)
    )
    return fill((TemplateRef(template_name="t"),), lambda _ref: spec, {})


def played(case: dict[str, Any], filled: Filled | None = None, files: dict[str, bytes] | None = None) -> str:
    """What is wrong with one case; empty where it passes."""
    file = parse_cases({"template": "t", "tests": [{"name": "n", **case}]}, "f")
    read = (files or {}).__getitem__
    return run_case(file, file.tests[0], filled or template(), "f", read).wrong


def series(canary: int, stable: int) -> list[dict[str, str]]:
    rows = []
    for pod, errors in (("canary-a", canary), ("stable-a", stable)):
        rows.append({"series": f'e{{pod="{pod}"}}', "values": f"0+{errors}x200"})
        rows.append({"series": f't{{pod="{pod}"}}', "values": "0+1000x200"})
    return rows


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1 2 3", [1, 2, 3]),
        ("0+10x3", [0, 10, 20, 30]),
        ("5-2x2", [5, 3, 1]),
        ("-1+0.5x2", [-1, -0.5, 0]),
        ("4x2", [4, 4, 4]),
        ("_ 1 _x2 stale", [None, 1, None, None, None]),
        ("1e3 +Inf", [1000, float("inf")]),
        ("", []),
    ],
)
def test_values_are_read_as_promtool_writes_them(text: str, values: list[float | None]) -> None:
    assert list(expanded(text, "f")) == values


@given(st.text("0123456789+-x_. eInfNa", max_size=24))
def test_any_notation_is_read_or_refused_and_bounded(text: str) -> None:
    try:
        found = list(expanded(text, "f"))
    except InvalidSpec:
        return
    assert len(found) <= MAX_SAMPLES


@pytest.mark.parametrize("text", ["1x30000", "0+1x19000 0+1x19000", "1x9999999"])
def test_more_values_than_anybody_writes_are_refused(text: str) -> None:
    with pytest.raises(InvalidSpec, match="more than"):
        list(expanded(text, "f"))


def test_ordinary_metrics_are_no_part_of_a_test() -> None:
    filled = template()
    with pytest.raises(MeasurementError, match="no comparison"):
        asyncio.run(RecordedProvider(()).measure(filled.metric("errors"), 0.0))


def test_a_simulation_asks_for_no_more_than_a_cluster_has() -> None:
    for simulate in ({"stablePods": 300}, {"errorRate": "200%"}):
        with pytest.raises(InvalidSpec, match="200 pods"):
            played({"simulate": simulate, "expect": {"verdict": "PASS"}})


def test_a_series_has_its_labels_and_times_without_the_missing_scrapes() -> None:
    found = parse_series('a{pod="x", code="200"}', "1 _ 3", 100.0, 15.0, "f")
    assert found.labels == (("__name__", "a"), ("code", "200"), ("pod", "x"))
    assert found.times.tolist() == [100.0, 130.0]
    assert found.values.tolist() == [1.0, 3.0]
    with pytest.raises(InvalidSpec, match="no label"):
        parse_series('a{pod=~"x"}', "1", 0.0, 15.0, "f")


def test_a_test_passes_when_the_verdict_comes_by_the_metric_in_time() -> None:
    assert played({"series": series(200, 10), "expect": {"verdict": "FAIL", "metric": "errors", "by": "20m"}}) == ""
    assert played({"series": series(10, 10), "expect": {"verdict": "INCONCLUSIVE"}}) == ""


@pytest.mark.parametrize(
    ("expect", "words"),
    [
        ({"verdict": "PASS"}, "expected PASS, came FAIL by errors after"),
        ({"verdict": "FAIL", "by": "30s"}, "expected FAIL within 0.5 min, came after"),
        ({"verdict": "FAIL", "metric": "other"}, 'expected metric "other" to fail, "errors" did'),
        ({"verdict": "FAIL", "says": "sunshine"}, "expected the words 'sunshine', came FAIL"),
    ],
)
def test_a_test_that_is_wrong_says_what_came_instead(expect: dict[str, str], words: str) -> None:
    assert words in played({"series": series(200, 10), "expect": expect})


def test_a_recorded_answer_is_judged_as_the_series_it_holds() -> None:
    def matrix(name: str, pod: str, step: int) -> dict[str, Any]:
        values = [[1_700_000_000 + 15 * k, str(step * k)] for k in range(200)]
        return {"metric": {"__name__": name, "pod": pod}, "values": values}

    rows = [matrix(name, f"{arm}-a", step) for arm, errors in (("canary", 200), ("stable", 10))
            for name, step in (("e", errors), ("t", 1000))]  # fmt: skip
    answer = {"status": "success", "data": {"resultType": "matrix", "result": rows}}
    case = {"series": [{"file": "recorded.json"}], "expect": {"verdict": "FAIL", "metric": "errors"}}
    assert played(case, files={"recorded.json": json.dumps(answer).encode()}) == ""
    with pytest.raises(InvalidSpec, match="query_range"):
        played(case, files={"recorded.json": b"{}"})


@pytest.mark.parametrize(
    ("comparison", "release"),
    [
        ({}, {"errors": 8}),
        ({"arms": ArmsSelection(by="Query", pod_label="pod"),
          "counts": CountsComparison(events='e{h="{{arm.podTemplateHash}}"}', total='t{h="{{arm.podTemplateHash}}"}')},
         {"errors": 8}),
        ({"counts": None, "histogram": HistogramComparison(buckets=f"b{{{PODS}}}", tails=("250ms",))}, {"slower": 2}),
        ({"counts": None, "histogram": HistogramComparison(buckets=f"b{{{PODS}}}", unit="Milliseconds")},
         {"slower": 2}),
        ({"counts": None, "gauge": GaugeComparison(query=f"m{{{PODS}}}")}, {"memory": 2}),
        ({"counts": None, "gauge": GaugeComparison(query=f"m{{{PODS}}}", type="Growth")},
         {"leakMegabytesPerMinute": 30}),
        ({"counts": None, "gauge": GaugeComparison(query=f"c{{{PODS}}}", load=f"r{{{PODS}}}", type="Usage")},
         {"cpu": 3}),
        ({"counts": None, "arms": ArmsSelection(pod_label="k8s_pod"),
          "gauge": GaugeComparison(query='m{k8s_pod=~"{{arms.pods}}"}')}, {"memory": 2}),
    ],
)  # fmt: skip
def test_every_family_is_simulated_behind_its_selectors(comparison: dict[str, Any], release: dict[str, float]) -> None:
    steps = [{"weight": 30, "pods": 5, "duration": "40m"}]
    case = {"simulate": {"rps": 200, "steps": steps, **release}, "expect": {"verdict": "FAIL", "metric": "errors"}}
    assert played(case, template(**comparison)) == ""
    healthy = {"simulate": {"rps": 200, "steps": steps}, "expect": {"verdict": "FAIL"}}
    assert "expected FAIL, came" in played(healthy, template(**comparison))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"template": "t", "tests": []}, "0 are given"),
        ({"template": "t", "tests": [{"name": "n"}]}, "expect"),
        ({"tests": [{"name": "n", "expect": {"verdict": "PASS"}}]}, "template"),
        ({"template": "t", "tests": [{"name": "n", "expect": {"verdict": "GOOD"}}]}, "verdict"),
        ({"template": "t", "tests": [{"name": "n", "expect": {"verdict": "PASS"}}]}, "exactly one of"),
        ({"template": "t", "tests": [{"name": "n", "series": [{}], "expect": {"verdict": "PASS"}}]}, "or a file"),
        ({"template": "t", "tests": [{"name": "n", "simulate": {"seeds": 0}, "expect": {"verdict": "PASS"}}]}, "seeds"),
        ({"template": "t", "tests": [{"name": "n", "simulat": {}, "expect": {"verdict": "PASS"}}]}, "simulat"),
        ([], "file"),
    ],
)
def test_a_file_that_is_none_is_refused_by_its_field(content: Any, words: str) -> None:
    with pytest.raises(InvalidSpec, match=words):
        parse_cases(content, "f")


@pytest.mark.parametrize(
    "simulate",
    [
        {"environment": "mars"},
        {"rps": 0},
        {"errorRate": "many"},
        {"errors": -1},
        {"steps": [{"weight": 0}]},
        {"steps": [{"weight": 5, "pods": 3}, {"weight": 10, "pods": 1}]},
        {"steps": [{"weight": 5, "duration": "20h"}]},
        {"stablePods": 1000},
        {"since": "forever"},
    ],
)
def test_a_simulation_that_cannot_be_is_refused(simulate: dict[str, Any]) -> None:
    with pytest.raises(InvalidSpec):
        played({"simulate": simulate, "expect": {"verdict": "PASS"}})


def test_the_runner_counts_what_passed_and_fails_where_a_test_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = Path(__file__).parents[2] / "golden/templates/cases/good-tests.yaml"
    assert main(["analysis", "test", str(here)]) == 0
    assert "5 passed" in capsys.readouterr().out
    text = here.read_text().replace("../good.yaml", str(here.parent.parent / "good.yaml"))
    (tmp_path / "t.yaml").write_text(text.replace("verdict: INCONCLUSIVE", "verdict: PASS"))
    assert main(["analysis", "test", str(tmp_path / "t.yaml"), "--only", "nobody scrapes"]) == 1
    seen = capsys.readouterr().out
    assert "FAILED  a metric that nobody scrapes proves nothing" in seen
    assert "expected PASS, came INCONCLUSIVE" in seen
    assert "0 passed, 1 failed" in seen
    assert main(["analysis", "test", str(tmp_path / "t.yaml"), "--only", "no such test"]) == 1
