"""What an anomaly does to a verdict, to a record, and to what a user sees of a run."""

import math
from dataclasses import replace
from itertools import pairwise

import msgspec
import numpy as np
import pytest

from analysis.comparison_spec import Comparison, CountsComparison, FailureModelRef
from analysis.errors import InvalidSpec
from analysis.evidence.metric_parts import MetricNoise
from analysis.evidence.noise import Noise
from analysis.explain import describe, next_step
from analysis.failure_model_spec import (
    Calibration,
    ConfigMapKeyRef,
    FailureModelSpec,
    PlaceboCalibration,
    Sentinel,
    SentinelArtifact,
)
from analysis.judge import begin_run
from analysis.judgement import Action, DataState, Judgement, MetricJudgement
from analysis.model.applied import Applied, RunMetrics
from analysis.model.applied import with_sentinel as applied_with
from analysis.model.sentinel.acting import ALARM_BUDGET, ActingSentinel, acting_sentinel
from analysis.model.sentinel.mahalanobis import MahalanobisDetector
from analysis.model.sentinel.model import SentinelModel
from analysis.provider_spec import MetricProvider, PrometheusMetric
from analysis.record import RecordError, decode, replay
from analysis.rules import CountsRule, Direction, MetricRule, RunRules
from analysis.run import decide
from analysis.run_comparison import summarize
from analysis.run_spec import AnalysisRunSpec, AnalysisRunStatus, RunComparisonStatus
from analysis.sentinel_seen import OnAnomaly, SentinelDriver, SentinelSeen
from analysis.sentinel_verdict import with_sentinel
from analysis.spec import Metric
from analysis.verdict import Verdict
from analysis.world import RunWorld
from tests.support.judging import Scenario, judged, rules_of, steady

ERRORS = MetricJudgement("errors", DataState.COLLECTING, log_evidence=1.0, budget_share=0.5)
CPU = MetricJudgement("cpu", DataState.COLLECTING, budget_share=0.5)
SEEN = SentinelSeen(
    type="Mahalanobis",
    digest="sha256:" + "ab" * 32,
    on_anomaly="Pause",
    budget=0.02,
    rollouts=60,
    score=41.0,
    threshold=18.0,
    p_value=1 / 61,
    drivers=(SentinelDriver("cpu", 6.1), SentinelDriver("errors", 2.0)),
)


def judgement(verdict: Verdict = Verdict.INCONCLUSIVE, *metrics: MetricJudgement) -> Judgement:
    proven = verdict is Verdict.PASS
    return Judgement(1e9, verdict, 1.0, 4.6, metrics or (ERRORS, CPU), proven=proven, explanation="as evidence says")


@pytest.mark.parametrize(
    ("before", "wanted", "verdict", "anomaly"),
    [
        (Verdict.INCONCLUSIVE, "Report", Verdict.INCONCLUSIVE, "Report"),
        (Verdict.PASS, "Report", Verdict.PASS, "Report"),
        (Verdict.INCONCLUSIVE, "Pause", Verdict.INCONCLUSIVE, "Pause"),
        (Verdict.PASS, "Pause", Verdict.INCONCLUSIVE, "Pause"),
        (Verdict.INCONCLUSIVE, "Fail", Verdict.FAIL, "Fail"),
        (Verdict.PASS, "Fail", Verdict.FAIL, "Fail"),
        (Verdict.FAIL, "Report", Verdict.FAIL, "Report"),
        (Verdict.FAIL, "Pause", Verdict.FAIL, "Report"),
        (Verdict.FAIL, "Fail", Verdict.FAIL, "Report"),
    ],
)
def test_an_anomaly_does_what_it_was_asked_to_and_a_failure_by_evidence_stays(
    before: Verdict, wanted: OnAnomaly, verdict: Verdict, anomaly: Action
) -> None:
    was = judgement(before)
    now = with_sentinel(was, replace(SEEN, on_anomaly=wanted))
    assert (now.verdict, now.anomaly) == (verdict, anomaly)
    assert now.proven == was.proven
    assert (now.explanation == was.explanation) == (before is Verdict.FAIL)
    if before is not Verdict.FAIL:
        assert "cpu (+6.1 standard errors), errors (+2 standard errors)" in now.explanation
        assert "at most 2% of healthy rollouts get beyond 18" in now.explanation


@pytest.mark.parametrize(
    "seen",
    [
        replace(SEEN, threshold=None),
        replace(SEEN, score=18.0),
        replace(SEEN, score=math.nan),
        replace(SEEN, threshold=math.nan),
        replace(SEEN, score=-math.inf),
    ],
)
@pytest.mark.parametrize("wanted", ["Report", "Pause", "Fail"])
def test_without_a_threshold_or_a_number_beyond_it_there_is_no_alarm(seen: SentinelSeen, wanted: OnAnomaly) -> None:
    was = judgement(Verdict.PASS)
    now = with_sentinel(was, replace(seen, on_anomaly=wanted))
    assert replace(now, sentinel=None) == was


def test_without_a_sentinel_nothing_changes() -> None:
    assert with_sentinel(judgement(), None) == judgement()


@pytest.mark.parametrize(
    ("direction", "contrast", "anomaly"),
    [
        ("Increase", 6.1, "Fail"),
        ("Increase", -6.1, "Pause"),
        ("Decrease", 6.1, "Pause"),
        ("Decrease", -6.1, "Fail"),
        ("Either", -6.1, "Fail"),
    ],
)
def test_an_improvement_pauses_and_is_not_rolled_back(direction: Direction, contrast: float, anomaly: Action) -> None:
    seen = replace(SEEN, on_anomaly="Fail", drivers=(SentinelDriver("cpu", contrast),))
    assert with_sentinel(judgement(Verdict.PASS, ERRORS, replace(CPU, direction=direction)), seen).anomaly == anomaly


def test_a_failure_names_the_sentinel_and_the_metric_that_drove_it() -> None:
    seen = replace(SEEN, on_anomaly="Fail", drivers=(SentinelDriver("cpu, slower than 1 s", 6.1),))
    failed = with_sentinel(judgement(), seen)
    assert failed.culprit == "cpu"
    text = describe(failed)
    assert text.startswith("FAIL by the sentinel, not by the evidence, at ")
    assert "the sentinel (Mahalanobis) sees an anomaly: score 41" in text
    assert text.index("  cpu (") < text.index("  errors (")
    assert "many small harms at once" not in text


def test_a_driver_is_of_the_metric_with_the_longest_name_that_fits() -> None:
    assert SentinelDriver("a, b, tail", 1.0).of(["a", "a, b", "c"]) == "a, b"
    assert SentinelDriver("ab", 1.0).of(["a"]) == ""


def test_a_quiet_sentinel_tells_its_score_and_a_pause_tells_what_to_do() -> None:
    quiet = with_sentinel(judgement(), replace(SEEN, score=3.0))
    assert "sees nothing unusual; at most 2% of healthy rollouts get beyond 18; its score now is 3" in describe(quiet)
    assert "raises no alarm: it knows 60 healthy rollouts, and 2% of false ones takes 49" in (
        replace(SEEN, threshold=None).words
    )
    assert "coalmine promote" in next_step(with_sentinel(judgement(), SEEN))


# The artefact in a run.


def model(rollouts: int, *features: str) -> SentinelModel:
    names = features or ("errors",)
    detector = MahalanobisDetector(tuple(0.0 for _ in names), tuple(map(tuple, np.eye(len(names)).tolist())))
    scores = tuple(float(score) for score in range(rollouts))
    return SentinelModel(features=names, medians=tuple(0.0 for _ in names), largest_scores=scores, detector=detector)


def wanted(on_anomaly: OnAnomaly = "Pause", budget: str | None = None) -> Sentinel:
    reference = ConfigMapKeyRef(name="shop-sentinel", key="model.json")
    artifact = SentinelArtifact(digest="sha256:" + "ab" * 32, config_map_ref=reference)
    return Sentinel(type="Mahalanobis", artifact=artifact, on_anomaly=on_anomaly, budget=budget)


RULE = MetricRule("errors", 30.0, CountsRule(), 0.1)
RULES = rules_of(RULE, budget=0.05)
NOISES = {"errors": MetricNoise(Noise(0.3, 0.02, source="sha256:learned"))}


def acting(rollouts: int, on_anomaly: OnAnomaly = "Pause", budget: str | None = None) -> ActingSentinel:
    return acting_sentinel(wanted(on_anomaly, budget), model(rollouts), RULES, NOISES)


def test_only_a_sentinel_that_can_fail_a_run_takes_its_budget_out_of_the_runs() -> None:
    assert acting(1000).taken == 0.0
    assert acting(1000).budget == ALARM_BUDGET
    assert acting(1000, "Report").taken == 0.0
    assert acting(99, "Fail", "1%").taken == 0.01
    assert acting(98, "Fail", "1%").taken == 0.0
    given = applied_with(Applied(NOISES, 0.0), _spec(), wanted("Fail", "1%"), model(99), RunMetrics({}, RULES))
    assert given.sentinel is not None
    assert given.limit_raise == 0.0
    # The evidence is held to what is left: ln(1 / 4 %).
    left = replace(RULES, budget=RULES.budget - given.sentinel.taken)
    state = begin_run(left, 0.0, NOISES)
    assert -math.log(state.rules.budget) == pytest.approx(math.log(1 / 0.04))


def test_a_calibration_raises_the_limit_of_what_is_left_of_the_budget() -> None:
    placebos = PlaceboCalibration(count=500, quantile99="6.0")
    spec = msgspec.structs.replace(_spec(), calibration=Calibration(placebos=placebos))
    rules = RunRules(0.01, 180.0, 1, (RULE,))
    given = applied_with(Applied(NOISES, 9.9), spec, wanted("Fail", "0.5%"), model(500), RunMetrics({}, rules))
    assert given.limit_raise == pytest.approx(6.0 - math.log(1 / 0.005))


def _spec() -> FailureModelSpec:
    return FailureModelSpec(rollout_ref=FailureModelRef(name="shop"), window="30s")


@pytest.mark.parametrize(
    ("stanza", "artefact", "noises", "field"),
    [
        (msgspec.structs.replace(wanted(), type="NearestNeighbors"), model(60), NOISES, "spec.sentinel.type"),
        (wanted(), model(60, "errors", "latency"), NOISES, "spec.sentinel.artifact"),
        (wanted(), model(60), {"errors": MetricNoise(Noise(0.55, 0.04))}, "spec.sentinel.artifact"),
        (wanted("Fail", "5%"), model(60), NOISES, "spec.sentinel.budget"),
    ],
)
def test_a_sentinel_that_does_not_fit_the_run_is_refused_by_its_field(
    stanza: Sentinel, artefact: SentinelModel, noises: dict[str, MetricNoise], field: str
) -> None:
    with pytest.raises(InvalidSpec) as found:
        acting_sentinel(stanza, artefact, RULES, noises)
    assert found.value.field == field


def test_metrics_in_a_dry_run_are_not_looked_at() -> None:
    rules = rules_of(replace(RULE, dry_run=True), budget=0.05)
    with pytest.raises(InvalidSpec, match="no contrast of the run"):
        acting_sentinel(wanted(), model(60), rules, NOISES)


def test_a_sentinel_sees_harm_in_a_real_run_and_its_record_replays_bit_for_bit() -> None:
    table = steady((2, 8), 40, canary=(6.0, 100.0), stable=(4.0, 100.0))
    found = judged(Scenario(RULES, {"errors": table}, noises=NOISES), [600.0, 1200.0])
    seen = acting(99, "Fail", "1%").seen(found.state, found.facts, found.running)
    assert seen is not None
    assert seen.drivers[0].contrast > 0
    failed = with_sentinel(found.judgement, replace(seen, threshold=seen.score / 2))
    assert (found.judgement.verdict, failed.verdict) == (Verdict.INCONCLUSIVE, Verdict.FAIL)
    kept = found.recorder.encode(found.state, found.facts, found.running, failed.sentinel)
    again = replay(kept)
    assert replace(again, record_digest="") == failed
    assert decode(kept).encoded() == kept
    # A record without one is what it always was.
    assert b"sentinel" not in found.record


def test_before_anything_is_counted_a_sentinel_says_nothing() -> None:
    table = steady((2, 8), 40, canary=(6.0, 100.0), stable=(4.0, 100.0))
    found = judged(Scenario(RULES, {"errors": table}, noises=NOISES), [0.0])
    assert acting(99).seen(found.state, found.facts, found.running) is None


@pytest.mark.parametrize(("old", "new"), [("18.0", "1e999"), ("41.0", "null"), ("0.02", "7"), ("cpu", 'a"')])
def test_a_record_with_a_sentinel_of_nonsense_is_refused(old: str, new: str) -> None:
    table = steady((2, 8), 40, canary=(6.0, 100.0), stable=(4.0, 100.0))
    found = judged(Scenario(RULES, {"errors": table}, noises=NOISES), [600.0])
    kept = found.recorder.encode(found.state, found.facts, found.running, SEEN).decode()
    at = kept.index('"sentinel"')
    with pytest.raises(RecordError):
        decode((kept[:at] + kept[at:].replace(old, new, 1)).encode())


# What a user sees.


def shown(*seen: Judgement) -> list[RunComparisonStatus]:
    found: list[RunComparisonStatus] = []
    for one in seen:
        found.append(summarize(found[-1] if found else None, one))
    return found


def test_the_first_anomaly_stays_in_the_status_and_quiet_looks_write_nothing() -> None:
    quiet = [with_sentinel(judgement(), replace(SEEN, score=score)) for score in (1.0, 2.0, 3.0)]
    alarm, louder = (with_sentinel(judgement(), replace(SEEN, score=score)) for score in (41.0, 90.0))
    found = shown(*quiet, replace(alarm, at=1.1e9), replace(louder, at=1.2e9), *quiet, judgement())
    assert all(before is after for before, after in pairwise(found[:3]))
    assert found[2].sentinel is not None
    assert (found[2].sentinel.anomaly_at, found[2].sentinel.action) == ("", "")
    first = found[3].sentinel
    assert first is not None
    assert (first.anomaly_at, first.action) == ("2004-11-09T11:33:20Z", "Pause")
    assert "score 41" in first.message
    assert [one.sentinel for one in found[4:]] == [first] * 5


def test_a_failure_is_told_though_the_sentinel_had_paused_before() -> None:
    paused = with_sentinel(judgement(), SEEN)
    failed = with_sentinel(judgement(), replace(SEEN, on_anomaly="Fail", score=90.0))
    last = shown(paused, failed)[-1].sentinel
    assert last is not None
    assert (last.action, "score 90" in last.message) == ("Fail", True)


def events(*seen: Judgement) -> list[tuple[str, str]]:
    """What a run tells of its sentinel and its end, look by look."""
    compared = Comparison(counts=CountsComparison(events='e{pod=~"{{arms.pods}}"}', total='t{pod=~"{{arms.pods}}"}'))
    provider = MetricProvider(prometheus=PrometheusMetric(address="http://p"))
    metrics = tuple(
        Metric(name=name, provider=provider, interval="30s", comparison=compared) for name in ("errors", "cpu")
    )
    status, told = AnalysisRunStatus(), list[tuple[str, str]]()
    for one in seen:
        decision = decide(RunWorld(AnalysisRunSpec(metrics=metrics), status, judgement=one), one.at)
        status = decision.status
        told += [(event.reason, event.message) for event in decision.events]
    return told


def test_a_run_tells_an_anomaly_once_and_its_failure_by_it_as_a_failure() -> None:
    alarm = with_sentinel(judgement(), SEEN)
    told = events(judgement(), alarm, replace(alarm, at=1.1e9))
    assert [reason for reason, _ in told] == ["SentinelAnomaly"]
    assert "score 41" in told[0][1]
    failed = events(judgement(), with_sentinel(judgement(), replace(SEEN, on_anomaly="Fail")))
    assert [reason for reason, _ in failed] == ["MetricInconclusive", "MetricFailed", "AnalysisRunFailed"]
    assert "the sentinel (Mahalanobis) sees an anomaly" in failed[1][1]
