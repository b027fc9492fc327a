"""Argo's limits and schedule, as a table."""

import msgspec
import pytest

from analysis.durations import format_time
from analysis.provider_spec import JobMetric, MetricProvider, PrometheusMetric
from analysis.run import decide, expires_at
from analysis.run_spec import AnalysisRunSpec, AnalysisRunStatus, TtlStrategy
from analysis.spec import Argument, DryRun, MeasurementRetention, Metric, SecretKeyRef, ValueFrom
from analysis.verdict import AnalysisPhase
from analysis.world import MeasurementDue, MetricMeasured, RunWorld

START = 1_800_000_000.0
PROVIDER = MetricProvider(prometheus=PrometheusMetric(address="http://p", query="up"))
GOOD, BAD = AnalysisPhase.SUCCESSFUL, AnalysisPhase.FAILED
DOUBT, ERROR = AnalysisPhase.INCONCLUSIVE, AnalysisPhase.ERROR
LETTERS = {"s": GOOD, "f": BAD, "i": DOUBT, "e": ERROR}


def metric(**more: object) -> Metric:
    return Metric(**{"name": "m", "provider": PROVIDER, "interval": "10s", **more})  # type: ignore[arg-type]


def live(spec: AnalysisRunSpec, answers: str, *, native: bool = True) -> tuple[AnalysisRunStatus, list[float]]:
    """Answer each measurement of metric `m` by one letter; returns the status and when they were due."""
    world, now, times = RunWorld(spec, AnalysisRunStatus(), native=native), START, []
    left = iter(answers)
    for _ in range(200):
        decision = decide(world, now)
        measured = []
        for due in decision.due:
            letter = next(left, None) if isinstance(due, MeasurementDue) and due.metric == "m" else "s"
            if letter is None:
                return decision.status, times
            assert isinstance(due, MeasurementDue)
            measured.append(MetricMeasured(due.metric, now, now, LETTERS[letter], value="1"))
            times += [now - START] if due.metric == "m" else []
        if decision.status.phase.completed:
            return decision.status, times
        world = RunWorld(world.spec, decision.status, tuple(measured), native=native)
        now = decision.wake_at or now
    raise AssertionError("the run never came to rest")


@pytest.mark.parametrize(
    ("more", "answers", "phase"),
    [
        ({"count": 1, "interval": ""}, "s", GOOD),
        ({"interval": ""}, "s", GOOD),
        ({"interval": ""}, "f", BAD),
        ({"interval": ""}, "i", DOUBT),
        ({"count": 3}, "sss", GOOD),
        ({"count": 3, "failure_limit": 1}, "sfs", GOOD),
        ({"count": 5, "failure_limit": 1}, "sfsf", BAD),
        ({"count": "3", "inconclusive_limit": "1"}, "sis", GOOD),
        ({"count": 3, "failure_limit": -1}, "fff", GOOD),
        ({"count": 3}, "eeees", AnalysisPhase.RUNNING),
        ({"count": 3}, "eeeee", ERROR),
        ({"count": 3, "consecutive_error_limit": 0}, "e", ERROR),
        ({"count": 9, "consecutive_success_limit": 2, "failure_limit": -1}, "sfss", GOOD),
        ({"count": 3, "consecutive_success_limit": 2, "failure_limit": -1}, "sfs", BAD),
        ({"count": 3, "consecutive_success_limit": 2, "failure_limit": 2}, "sfs", DOUBT),
        ({}, "ssss", AnalysisPhase.RUNNING),
    ],
)
def test_limits_are_argos(more: dict[str, object], answers: str, phase: AnalysisPhase) -> None:
    status, _ = live(AnalysisRunSpec(metrics=(metric(**more),)), answers)
    assert status.phase is phase


def test_the_schedule_has_delay_interval_and_ten_seconds_after_an_error() -> None:
    spec = AnalysisRunSpec(metrics=(metric(initial_delay="5s", interval="30s", count=4),))
    _, times = live(spec, "sess")
    assert times == [5, 35, 45, 75]


def test_ten_measurements_are_kept_unless_told_otherwise() -> None:
    status, _ = live(AnalysisRunSpec(metrics=(metric(),)), "s" * 15)
    assert len(status.metric_results[0].measurements) == 10
    kept = (MeasurementRetention(metric_name="m", limit=3),)
    status, _ = live(AnalysisRunSpec(metrics=(metric(),), measurement_retention=kept), "s" * 15)
    assert len(status.metric_results[0].measurements) == 3
    assert status.metric_results[0].count == 15


def test_a_dry_run_metric_decides_nothing_and_is_summarised_apart() -> None:
    other = metric(name="other", interval="", count=1)
    spec = AnalysisRunSpec(metrics=(metric(count=1), other), dry_run=(DryRun(metric_name="m"),))
    status, _ = live(spec, "f")
    assert status.phase is GOOD
    assert status.run_summary.count == 1
    assert status.dry_run_summary is not None
    assert status.dry_run_summary.failed == 1


def test_a_dry_run_rule_matches_whole_names_only() -> None:
    spec = AnalysisRunSpec(metrics=(metric(count=1),), dry_run=(DryRun(metric_name="mm?x"), DryRun(metric_name="n")))
    assert live(spec, "f")[0].phase is BAD


def test_one_bad_metric_ends_the_run_and_the_others_keep_what_they_had() -> None:
    spec = AnalysisRunSpec(metrics=(metric(), metric(name="other")))
    status, _ = live(spec, "f")
    assert status.phase is BAD
    assert status.message == 'Metric "m" assessed Failed: failed (1) > failureLimit (0)'
    assert status.completed_at == format_time(START)
    assert status.metric_results[1].phase.completed


def test_terminated_before_a_measurement_is_inconclusive_and_in_the_dialect_successful() -> None:
    spec = AnalysisRunSpec(metrics=(metric(initial_delay="1h"),), terminate=True)
    assert decide(RunWorld(spec, AnalysisRunStatus()), START).status.phase is DOUBT
    assert decide(RunWorld(spec, AnalysisRunStatus(), native=False), START).status.phase is GOOD


def test_terminated_after_a_measurement_is_successful() -> None:
    spec = AnalysisRunSpec(metrics=(metric(),))
    status, _ = live(spec, "ss")
    ended = decide(RunWorld(msgspec.structs.replace(spec, terminate=True), status), START + 60)
    assert ended.status.phase is GOOD


def test_arguments_are_filled_in_and_secret_ones_wait_for_the_provider() -> None:
    provider = MetricProvider(prometheus=PrometheusMetric(address="http://{{args.host}}", query="{{args.token}}"))
    secret = Argument(name="token", value_from=ValueFrom(secret_key_ref=SecretKeyRef(name="s", key="k")))
    args = (Argument(name="host", value="p"), Argument(name="n", value="2"), secret)
    spec = AnalysisRunSpec(metrics=(metric(provider=provider, count="{{args.n}}"),), args=args)
    assert live(spec, "ss")[0].phase is GOOD


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (AnalysisRunSpec(metrics=()), "no metric"),
        (AnalysisRunSpec(metrics=(metric(count="{{args.n}}"),)), "args.n"),
        (AnalysisRunSpec(metrics=(metric(interval="soon"),)), "soon"),
        (AnalysisRunSpec(metrics=(metric(),), args=(Argument(name="a"),)), "no value"),
        (AnalysisRunSpec(metrics=(metric(success_condition="result >"),)), "successCondition"),
        (
            AnalysisRunSpec(metrics=(metric(provider=MetricProvider(job=JobMetric(spec={"a": 1}))),)),
            "not supported yet",
        ),
        (AnalysisRunSpec(metrics=(metric(),), dry_run=(DryRun(metric_name="(a+)+"),)), "for ever"),
    ],
)
def test_a_run_that_cannot_be_measured_ends_in_an_error_that_names_the_field(spec: AnalysisRunSpec, words: str) -> None:
    decision = decide(RunWorld(spec, AnalysisRunStatus()), START)
    assert decision.status.phase is ERROR
    assert words in decision.status.message
    assert decision.due == ()


def test_a_finished_run_expires_by_its_own_rule() -> None:
    ttl = TtlStrategy(seconds_after_completion=100, seconds_after_success=10)
    spec = AnalysisRunSpec(metrics=(metric(),), ttl_strategy=ttl)
    ended = AnalysisRunStatus(phase=GOOD, completed_at=format_time(START))
    assert expires_at(spec, ended) == START + 10
    assert expires_at(spec, AnalysisRunStatus(phase=BAD, completed_at=format_time(START))) == START + 100
    assert expires_at(spec, AnalysisRunStatus()) is None
