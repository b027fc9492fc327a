"""Steps, their pauses and their proofs: world in, actions and status out."""

from typing import Any

import pytest

from analysis.verdict import AnalysisPhase
from analysis.weights import MAX_CHANGES, parse_weights
from rollout.domain import actions as act
from rollout.domain.decision import Decision
from rollout.domain.progress.runs import background
from rollout.domain.world import RunView
from tests.model import Model, routed_model, spec

ANALYSIS = {"templates": [{"templateName": "errors"}]}


def update(steps: list[dict[str, Any]], *, analysed: bool = False, **more: Any) -> Model:
    """A router's canary at its first step that waits."""
    canary = {"analysis": ANALYSIS} if analysed else {}
    model = routed_model(steps=steps, canary=canary, **more)
    model.settle()
    model.now += 60
    model.edit(spec("v2", routed=True, steps=steps, canary=canary, **more))
    model.settle()
    return model


def weight(model: Model) -> int:
    return model.routes["web"].canary_weight_percent


def run_of(model: Model) -> RunView:
    run = background(model.world(), model.rollout.status)
    assert run is not None
    return run


def reasons(model: Model) -> list[str]:
    return [pause.reason for pause in model.rollout.status.pause_conditions]


def test_a_timed_pause_ends_by_itself_and_says_when() -> None:
    model = update([{"setWeight": 25}, {"pause": {"duration": "30s"}}, {"setWeight": 50}, {"pause": {}}])
    decision = model.turn()
    assert decision.wake_at == model.now + 30
    model.now += 29
    assert model.turn().status.current_step_index == 1
    model.now += 1
    model.settle()
    assert (weight(model), reasons(model)) == (50, ["CanaryPauseStep"])


def test_an_indefinite_pause_waits_for_a_person_and_for_no_time() -> None:
    model = update([{"setWeight": 25}, {"pause": {}}])
    assert model.turn().wake_at is None
    model.now += 1_000_000
    assert model.settle().status.phase == "Paused"
    model.status(pause_conditions=())
    model.settle()
    assert model.rollout.status.phase == "Healthy"
    assert model.rollout.status.duration.completion_status == "Promoted"


def test_a_verify_step_ends_with_a_proof_at_its_own_weight() -> None:
    model = update([{"setWeight": 25}, {"verify": {}}, {"setWeight": 50}, {"verify": {}}], analysed=True)
    assert model.rollout.status.current_step_index == 1
    model.run(proven_at_weight=25)
    model.settle()
    assert (model.rollout.status.current_step_index, weight(model)) == (3, 50)
    assert model.rollout.status.phase == "Progressing"


@pytest.mark.parametrize("told", [0, 10, 50])
def test_a_proof_of_another_weight_ends_no_verify_step_however_late_it_is_told(told: int) -> None:
    model = update([{"setWeight": 10}, {"setWeight": 25}, {"verify": {}}, {"setWeight": 50}], analysed=True)
    model.run(proven_at_weight=told)
    model.settle()
    assert (weight(model), model.rollout.status.current_step_index) == (25, 2)


def test_a_proof_without_data_is_none() -> None:
    model = update([{"setWeight": 25}, {"verify": {}}], analysed=True)
    model.run(proven_at_weight=25, no_data_since="2026-01-01T00:00:00Z")
    model.settle()
    assert (weight(model), reasons(model)) == (25, ["NoData"])


@pytest.mark.parametrize(
    ("on_timeout", "phase", "left"),
    [("Pause", "Paused", 25), ("Continue", "Healthy", 0), ("Abort", "Degraded", 0)],
)
def test_a_proof_that_does_not_come_in_time_is_handled_as_the_user_said(on_timeout: str, phase: str, left: int) -> None:
    verify = {"timeout": "1m", "onTimeout": on_timeout}
    model = update([{"setWeight": 25}, {"verify": verify}], analysed=True)
    assert model.turn().wake_at == model.now + 60
    model.now += 60
    model.settle()
    assert (model.rollout.status.phase, weight(model)) == (phase, left)
    assert model.rollout.status.abort is (on_timeout == "Abort")


def test_a_proof_that_comes_late_ends_the_pause_of_its_timeout() -> None:
    model = update([{"setWeight": 25}, {"verify": {"timeout": "1m"}}, {"setWeight": 50}, {"pause": {}}], analysed=True)
    model.now += 60
    model.settle()
    assert reasons(model) == ["VerifyTimeout"]
    model.run(proven_at_weight=25)
    model.settle()
    assert (weight(model), reasons(model)) == (50, ["CanaryPauseStep"])


def test_a_person_goes_on_without_the_proof() -> None:
    model = update([{"setWeight": 25}, {"verify": {"timeout": "1m"}}, {"setWeight": 50}, {"pause": {}}], analysed=True)
    model.now += 60
    model.settle()
    model.status(pause_conditions=())
    model.settle()
    assert (weight(model), reasons(model)) == (50, ["CanaryPauseStep"])


def test_missing_data_pause_the_update_and_data_continue_it() -> None:
    model = update([{"setWeight": 25}, {"pause": {"duration": "30s"}}, {"setWeight": 50}, {"pause": {}}], analysed=True)
    model.run(no_data_since="2026-01-01T00:00:00Z")
    model.now += 600
    model.settle()
    assert (weight(model), reasons(model)) == (25, ["CanaryPauseStep", "NoData"])
    condition = next(c for c in model.rollout.status.conditions if c.type == "AnalysisPassed")
    assert (condition.status, condition.reason) == ("Unknown", "NoData")
    model.run(no_data_since="")
    model.settle()
    assert (weight(model), reasons(model)) == (50, ["CanaryPauseStep"])


def test_missing_data_stop_an_update_before_its_promotion_too() -> None:
    model = update([{"setWeight": 25}, {"pause": {}}], analysed=True)
    model.run(no_data_since="2026-01-01T00:00:00Z")
    model.status(pause_conditions=(), current_step_index=2)
    model.settle()
    assert model.rollout.status.stable_rs != model.rollout.status.current_pod_hash
    assert reasons(model) == ["NoData"]


ANOMALY = "the sentinel (Mahalanobis) sees an anomaly: score 41"


def test_an_anomaly_pauses_once_and_the_run_goes_on_until_a_person_has_looked() -> None:
    model = update([{"setWeight": 25}, {"pause": {"duration": "30s"}}, {"setWeight": 50}, {"pause": {}}], analysed=True)
    run = run_of(model).name
    model.run(anomaly=ANOMALY)
    decision = model.turn()
    assert [(event.reason, ANOMALY in event.message) for event in decision.events] == [("RolloutPaused", True)]
    condition = next(c for c in decision.status.conditions if c.type == "AnalysisPassed")
    assert (condition.status, condition.message) == ("Unknown", ANOMALY)
    model.now += 600
    model.settle()
    assert (weight(model), reasons(model), run_of(model).name) == (25, ["CanaryPauseStep", "SentinelAnomaly"], run)
    model.now += 2
    model.status(pause_conditions=())
    model.settle()
    # The same run goes on, and the anomaly that somebody has seen pauses nothing more; missing data still do.
    assert (weight(model), reasons(model), run_of(model).name) == (50, ["CanaryPauseStep"], run)
    model.run(no_data_since="2026-01-01T00:00:00Z")
    model.settle()
    model.run(no_data_since="")
    model.settle()
    assert reasons(model) == ["CanaryPauseStep"]


def test_an_anomaly_of_another_update_pauses_again() -> None:
    steps: list[dict[str, Any]] = [{"setWeight": 25}, {"verify": {}}]
    model = update(steps, analysed=True)
    first = run_of(model).name
    model.run(anomaly=ANOMALY)
    model.settle()
    model.status(pause_conditions=())
    model.settle()
    assert reasons(model) == []
    model.now += 60
    model.edit(spec("v3", routed=True, steps=steps, canary={"analysis": ANALYSIS}))
    model.settle()
    assert (reasons(model), run_of(model).name == first) == ([], False)
    model.run(anomaly=ANOMALY)
    model.settle()
    assert reasons(model) == ["SentinelAnomaly"]


def test_an_anomaly_stops_an_update_before_its_promotion_too() -> None:
    model = update([{"setWeight": 25}, {"pause": {}}], analysed=True)
    model.run(anomaly=ANOMALY)
    model.status(pause_conditions=(), current_step_index=2)
    model.settle()
    assert model.rollout.status.stable_rs != model.rollout.status.current_pod_hash
    assert reasons(model) == ["SentinelAnomaly"]


def test_evidence_that_comes_while_an_anomaly_pauses_still_aborts() -> None:
    model = update([{"setWeight": 25}, {"pause": {}}], analysed=True)
    model.run(anomaly=ANOMALY)
    model.settle()
    model.run(phase=AnalysisPhase.FAILED, message="errors doubled")
    decision = model.turn()
    assert decision.actions[0] == act.SetWeight("web", "canary", "stable", 0)
    assert "errors doubled" in decision.status.message
    model.settle()
    assert (weight(model), reasons(model)) == (0, [])


def test_a_run_that_ends_well_after_its_anomaly_was_seen_pauses_no_more() -> None:
    model = update([{"setWeight": 25}, {"verify": {}}, {"setWeight": 50}, {"pause": {}}], analysed=True)
    model.run(anomaly=ANOMALY)
    model.settle()
    model.status(pause_conditions=())
    model.settle()
    model.run(phase=AnalysisPhase.SUCCESSFUL, proven_at_weight=25)
    model.settle()
    assert (weight(model), reasons(model)) == (50, ["CanaryPauseStep"])


INCONCLUSIVE_PATCHES: dict[str, dict[str, Any]] = {
    "resumed": {"pause_conditions": ()},
    "promoted as Argo does": {"pause_conditions": (), "controller_pause": False, "current_step_index": 2},
}


@pytest.mark.parametrize("patch", INCONCLUSIVE_PATCHES.values(), ids=INCONCLUSIVE_PATCHES.keys())
@pytest.mark.parametrize("pause", [{}, {"duration": "30s"}])
def test_an_inconclusive_run_pauses_until_a_person_goes_on_under_a_new_run(
    patch: dict[str, Any], pause: dict[str, Any]
) -> None:
    model = update([{"setWeight": 25}, {"pause": pause}, {"setWeight": 50}, {"pause": {}}], analysed=True)
    first = run_of(model).name
    model.run(phase=AnalysisPhase.INCONCLUSIVE, message="not enough requests")
    model.now += 60
    decision = model.turn()
    assert [event.reason for event in decision.events] == ["RolloutPaused"]
    assert "InconclusiveAnalysisRun" in reasons(model)
    model.settle()
    assert weight(model) == 25
    model.now += 2
    model.status(**patch)
    model.settle()
    assert (weight(model), reasons(model)) == (50, ["CanaryPauseStep"])
    assert run_of(model).name != first
    assert not run_of(model).phase.completed


def test_going_on_after_an_inconclusive_run_is_no_proof() -> None:
    model = update([{"setWeight": 25}, {"verify": {}}, {"setWeight": 50}], analysed=True)
    model.run(phase=AnalysisPhase.INCONCLUSIVE, message="not enough requests")
    model.settle()
    model.now += 2
    model.status(pause_conditions=())
    model.settle()
    assert (weight(model), model.rollout.status.current_step_index) == (25, 1)
    model.run(proven_at_weight=25)
    model.settle()
    assert model.rollout.status.current_step_index != 1


def test_a_failed_run_aborts_with_its_words_and_traffic_goes_first() -> None:
    model = update([{"setWeight": 50}, {"pause": {}}], analysed=True)
    model.run(phase=AnalysisPhase.FAILED, message="errors doubled")
    decision = model.turn()
    assert decision.actions[0] == act.SetWeight("web", "canary", "stable", 0)
    assert decision.status.abort
    assert "errors doubled" in decision.status.message
    condition = next(c for c in decision.status.conditions if c.type == "AnalysisPassed")
    assert (condition.status, condition.message) == ("False", "errors doubled")


def test_a_full_promotion_is_a_persons_word_and_ends_the_analysis() -> None:
    model = update([{"setWeight": 25}, {"pause": {}}], analysed=True)
    name = run_of(model).name
    model.status(promote_full=True)
    model.run(phase=AnalysisPhase.RUNNING)
    decision = model.turn()
    assert act.TerminateRun(name) in decision.actions
    model.settle()
    assert model.rollout.status.phase == "Healthy"
    assert model.rollout.status.duration.completion_status == "FastPromoted"
    assert not model.rollout.status.promote_full


def test_a_full_promotion_of_what_is_promoted_is_forgotten() -> None:
    model = routed_model()
    model.settle()
    model.status(promote_full=True)
    assert not model.turn().status.promote_full


def test_the_weight_waits_for_pods_and_falls_with_them() -> None:
    model = update([{"setWeight": 50}, {"pause": {}}])
    canary = model.world().by_hash(model.rollout.status.current_pod_hash)
    assert canary is not None
    model.one_dies(canary.name)
    assert _weights(model.turn()) == [25]
    model.one_ready(canary.name)
    model.settle()
    assert weight(model) == 50


def _weights(decision: Decision[Any]) -> list[int]:
    return [action.canary_weight_percent for action in decision.actions if isinstance(action, act.SetWeight)]


def test_the_timeline_of_the_weights_is_recorded_for_the_run() -> None:
    model = update([{"setWeight": 25}, {"pause": {}}, {"setWeight": 50}, {"pause": {}}], analysed=True)
    model.now += 60
    model.status(pause_conditions=())
    model.settle()
    shares = [entry.rpartition("=")[2] for entry in run_of(model).weights.split(",")]
    assert shares == ["0", "25", "50"]


def test_the_timeline_keeps_what_the_analysis_can_read() -> None:
    model = update([{"setWeight": 25}, {"pause": {}}, {"setWeight": 50}, {"pause": {}}], analysed=True)
    model.run(weights=",".join(f"2026-01-01T00:00:00Z={(n % 2) * 25}" for n in range(MAX_CHANGES)))
    model.now += 60
    model.status(pause_conditions=())
    model.settle()
    changes = parse_weights(run_of(model).weights)
    assert len(changes) == MAX_CHANGES
    assert run_of(model).weights.endswith("=50")
