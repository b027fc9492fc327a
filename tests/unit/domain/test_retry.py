"""A retry is a new try: what ended the one before is heard no more."""

from analysis.verdict import AnalysisPhase
from tests.model import Model, spec

ANALYSED = {"analysis": {"templates": [{"templateName": "health"}]}}


def aborted_by_analysis() -> Model:
    model = Model.of(spec("v1", canary=ANALYSED))
    model.settle()
    model.now += 60
    model.edit(spec("v2", canary=ANALYSED))
    model.settle()
    model.run(phase=AnalysisPhase.FAILED, message="errors doubled")
    model.settle()
    assert model.rollout.status.abort
    return model


def test_a_retry_after_a_failed_verdict_begins_again_under_a_run_of_its_own() -> None:
    model = aborted_by_analysis()
    model.now += 60
    model.status(abort=False)
    assert [event.reason for event in model.turn().events] == ["RolloutRetried"]
    model.settle()
    status = model.rollout.status
    assert (status.abort, status.phase, status.current_step_index) == (False, "Paused", 1)
    assert [run.phase.completed for run in model.runs.values()] == [True, False]


def test_the_run_of_a_retry_is_heard_like_the_first() -> None:
    model = aborted_by_analysis()
    model.now += 60
    model.status(abort=False)
    model.settle()
    model.run(phase=AnalysisPhase.FAILED, message="errors trebled")
    model.turn()
    assert model.rollout.status.abort
    assert "errors trebled" in model.rollout.status.message


def test_a_retry_long_after_the_deadline_is_not_aborted_for_the_time_in_between() -> None:
    deadline = {"progressDeadlineSeconds": 300, "progressDeadlineAbort": True}
    model = Model.of(spec("v1", **deadline))
    model.settle()
    model.edit(spec("v2", **deadline))
    model.turn()
    model.broken.add(model.rollout.status.current_pod_hash)
    model.settle()
    model.now += 400
    model.settle()
    assert model.rollout.status.abort
    model.now += 4000
    model.status(abort=False)
    assert [event.reason for event in model.turn().events] == ["RolloutRetried"]
    assert not model.rollout.status.abort
