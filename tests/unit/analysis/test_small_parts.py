"""Durations, percentages, timelines, patterns, conditions and limits: what is read, and what is refused in words."""

import re
from typing import Any

import pytest

from analysis.arguments import fill_metric, run_values
from analysis.condition import ExprError, assess, holds
from analysis.durations import format_time, parse_duration, parse_time
from analysis.errors import InvalidSpec
from analysis.explain import odds, sentence
from analysis.judgement import DataState, Judgement, MetricJudgement
from analysis.limits import limits_of
from analysis.names import first_match
from analysis.patterns import compiled
from analysis.percent import format_decimal, format_percent, parse_percent
from analysis.provider_spec import MetricProvider, PrometheusMetric
from analysis.rules import metric_rule, ratio, run_rules
from analysis.run_spec import RunComparison
from analysis.spec import Argument, DryRun, Metric, SecretKeyRef, ValueFrom
from analysis.verdict import AnalysisPhase, Verdict, worst
from analysis.weights import MAX_CHANGES, increases, parse_weights, weight_at

PROVIDER = MetricProvider(prometheus=PrometheusMetric(address="http://p", query="up"))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (30, 30.0),
        ("0", 0.0),
        ("90s", 90.0),
        ("1h30m", 5400.0),
        ("1.5h", 5400.0),
        (".5s", 0.5),
        ("500ms", 0.5),
        ("3us", 3e-6),
        ("-1m", -60.0),
        ("+1m", 60.0),
    ],
)
def test_durations_are_read_as_go_reads_them(text: int | str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "5 s", "s", "1d", "1h30", "--1s", "+-1s", "1" * 70 + "s", "9999999h"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


def test_times_are_utc_to_the_second_and_need_a_zone() -> None:
    assert format_time(parse_time("2026-11-22T12:00:10.9+02:00")) == "2026-11-22T10:00:10Z"
    assert format_time(-0.5) == "1969-12-31T23:59:59Z"
    with pytest.raises(ValueError, match="no time zone"):
        parse_time("2026-11-22T10:00:10")


@pytest.mark.parametrize(("text", "value"), [("0%", 0.0), ("0.5%", 0.005), ("400%", 4.0)])
def test_percentages_are_ratios(text: str, value: float) -> None:
    assert parse_percent(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["1", "-1%", "1e2%", "%", "1.%", "1" * 10 + "%"])
def test_what_is_no_percentage_is_refused_with_its_field(text: str) -> None:
    with pytest.raises(InvalidSpec, match=r"a\.b.*is no percentage"):
        ratio(text, "a.b")


@pytest.mark.parametrize(
    ("number", "text"),
    [(2.1449, "2.14"), (137.4, "137"), (12345.0, "12345"), (0.00001234, "0.0000123"), (float("inf"), "inf")],
)
def test_decimals_have_three_digits_and_never_an_exponent(number: float, text: str) -> None:
    assert format_decimal(number) == text


def test_percentages_stay_readable_however_large() -> None:
    assert (format_percent(0.0102), format_percent(12_345.0)) == ("1.02%", "1234500%")


def test_a_timeline_is_sorted_and_asked_for_weights_and_increases() -> None:
    changes = parse_weights("2026-01-01T00:01:00Z=25, 2026-01-01T00:00:00Z=5,,2026-01-01T00:02:00Z=0")
    minutes = [parse_time(f"2026-01-01T00:0{n}:00Z") for n in range(4)]
    assert [change.percent for change in changes] == [5, 25, 0]
    assert weight_at(changes, minutes[0] - 1) is None
    assert [weight_at(changes, at) for at in minutes] == [5, 25, 0, 0]
    assert increases(changes, minutes[0]) == (minutes[0],)
    assert increases(changes, minutes[3]) == (minutes[0], minutes[1])


@pytest.mark.parametrize("text", ["5", "2026-01-01T00:00:00Z=x", "=5", "2026-01-01T00:00:00=5"])
def test_what_is_no_timeline_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  The words are Python's own here.
        parse_weights(text)


def test_a_timeline_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match=f"at most {MAX_CHANGES}"):
        parse_weights(",".join(["2026-01-01T00:00:00Z=5"] * (MAX_CHANGES + 1)))


@pytest.mark.parametrize("pattern", ["x" * 2000, "(a+)+", r"(a)\1", "a*b*c*d*e*f*g*h*i*", "["])
def test_patterns_that_could_take_for_ever_are_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"pattern|for ever|no regular expression"):
        compiled(pattern)


def test_a_rule_speaks_of_the_metric_that_it_names_whole() -> None:
    rules = (DryRun(metric_name="error"), DryRun(metric_name="error-.*"))
    assert first_match(rules, "error-rate") == rules[1]
    assert first_match(rules, "terror") is None


@pytest.mark.parametrize(
    ("value", "success", "failure", "phase"),
    [
        (0.1, "result < 0.5", "", AnalysisPhase.SUCCESSFUL),
        (0.9, "result < 0.5", "", AnalysisPhase.FAILED),
        (0.9, "", "result > 0.5", AnalysisPhase.FAILED),
        (0.1, "", "result > 0.5", AnalysisPhase.SUCCESSFUL),
        (0.3, "result < 0.2", "result > 0.5", AnalysisPhase.INCONCLUSIVE),
        (0.9, "", "", AnalysisPhase.SUCCESSFUL),
        ([], "result[0] < 1", "", AnalysisPhase.ERROR),
        (1.0, "result + 1", "", AnalysisPhase.ERROR),
    ],
)
def test_conditions_decide_as_argos_truth_table_says(
    value: Any, success: str, failure: str, phase: AnalysisPhase
) -> None:
    seen = assess(value, success, failure)
    assert seen.phase is phase
    assert ("no data returned" in seen.message) is (value == [])


def test_a_condition_that_is_no_truth_value_is_an_error() -> None:
    with pytest.raises(ExprError, match="expected bool"):
        holds("result", 1.0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"count": "many"}, "m.count: 'many' is no whole number"),
        ({"interval": "soon"}, "m.interval: 'soon' is no duration"),
        ({"interval": "-5s"}, "m.interval: '-5s' is negative"),
    ],
)
def test_limits_that_cannot_be_read_name_their_field(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidSpec, match=re.escape(words)):
        limits_of(Metric(name="x", provider=PROVIDER, **changes), "m")


def test_limits_have_argos_defaults() -> None:
    once = limits_of(Metric(name="x", provider=PROVIDER), "m")
    assert (once.count, once.interval_seconds, once.failure, once.consecutive_error) == (1, None, 0, 4)
    for_ever = limits_of(Metric(name="x", provider=PROVIDER, interval="5s", failure_limit=-1), "m")
    assert (for_ever.count, for_ever.failure) == (None, None)


def test_arguments_of_a_run_have_one_value_each_and_secrets_come_last() -> None:
    secret = Argument(name="token", value_from=ValueFrom(secret_key_ref=SecretKeyRef(name="s", key="k")))
    plain = Argument(name="a", value="1")
    assert run_values((plain, secret)) == {"a": "1"}
    assert run_values((plain, secret), {"token": "x"}) == {"a": "1", "token": "x"}
    with pytest.raises(InvalidSpec, match='"a" is given twice'):
        run_values((plain, plain))
    with pytest.raises(InvalidSpec, match='"a" has no value'):
        run_values((Argument(name="a"),))


def test_a_metric_that_its_arguments_spoil_names_the_field() -> None:
    metric = Metric(name="x", provider=PROVIDER, success_condition="{{args.a}}")
    with pytest.raises(InvalidSpec, match=r"m\.successCondition: is longer than"):
        fill_metric(metric, {"a": "x" * 100_000}, "m")
    with pytest.raises(InvalidSpec, match=r"m.*\{\{args\.a\}\} is not known"):
        fill_metric(metric, {}, "m")


def test_rules_of_a_comparison_need_a_window_a_kind_and_a_sensible_budget() -> None:
    with pytest.raises(InvalidSpec, match=r"m\.comparison"):
        metric_rule(Metric(name="x", provider=PROVIDER), "m", dry_run=False)
    for budget in ("0%", "51%"):
        with pytest.raises(InvalidSpec, match="between 0% and 50%"):
            run_rules(RunComparison(false_rollback_budget=budget), ())


def test_the_worst_phase_gives_a_run_its_own() -> None:
    assert worst() is AnalysisPhase.SUCCESSFUL
    assert worst(AnalysisPhase.SUCCESSFUL, AnalysisPhase.ERROR, AnalysisPhase.INCONCLUSIVE) is AnalysisPhase.ERROR
    assert worst(AnalysisPhase.ERROR, AnalysisPhase.FAILED) is AnalysisPhase.FAILED


def judged(name: str, **more: Any) -> MetricJudgement:
    return MetricJudgement(**{"name": name, "state": DataState.COLLECTING, "budget_share": 0.5, **more})


def judgement(*metrics: MetricJudgement, verdict: Verdict = Verdict.INCONCLUSIVE) -> Judgement:
    return Judgement(1_800_000_000.0, verdict, 1.0, 4.6, metrics)


def test_a_failure_is_owed_to_the_guard_or_to_the_largest_part_of_the_evidence() -> None:
    first, second = judged("a", log_evidence=1.0), judged("b", log_evidence=3.0)
    assert judgement(first, second).culprit == "b"
    guarded = judged("c", guard="every request fails")
    assert judgement(first, second, guarded).culprit == "c"
    dry = judged("d", log_evidence=9.0, dry_run=True)
    assert judgement(first, dry).culprit == "a"


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (judgement(judged("a", dry_run=True)), "all are dry runs"),
        (judgement(judged("a", guard="every request fails"), verdict=Verdict.FAIL), "every request fails"),
        (
            judgement(judged("a", state=DataState.NO_DATA, no_data_since=1_800_000_000.0, problems=("401",))),
            '"a" has no data since 2027-01-15T08:00:00Z: 401',
        ),
        (judgement(judged("a", state=DataState.WARMING_UP)), "waiting for pods to be old enough"),
        (judgement(judged("a")), "no harm found so far"),
        (judgement(judged("a", tolerance=1.0)), "cannot yet exclude"),
        (judgement(judged("a", log_evidence=5.0), verdict=Verdict.FAIL), "canary/stable unknown"),
        (judgement(judged("a", tolerance=1.0, proven=True), verdict=Verdict.PASS), "excluded: a worse than 100%"),
    ],
)
def test_every_verdict_has_a_sentence_for_people(seen: Judgement, words: str) -> None:
    assert words in sentence(seen)


def test_odds_are_capped_where_nobody_would_read_them() -> None:
    assert odds(1e6) == odds(1e9)
