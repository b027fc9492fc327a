"""The background run compares the arms of this update, and no others."""

from analysis.verdict import AnalysisPhase
from rollout.domain import actions as act
from tests.model import Model, spec


def test_a_run_is_never_made_for_the_arms_of_the_update_before() -> None:
    analysed = {"analysis": {"templates": [{"templateName": "health"}]}}
    model = Model.of(spec("v1", canary=analysed))
    model.settle()
    model.edit(spec("v2", canary=analysed))
    for _ in range(20):
        world = model.world()
        decision = model.turn()
        for action in decision.actions:
            if isinstance(action, act.CreateRun):
                assert world.run_arms == (decision.status.current_pod_hash, decision.status.stable_rs)
                assert world.run_arms[0] != world.run_arms[1]
        model.kubelet()
    assert len(model.runs) == 1


def test_a_changed_template_is_never_called_healthy_before_it_runs() -> None:
    model = Model.of(spec("v1"))
    model.settle()
    assert model.rollout.status.phase == "Healthy"
    stable = model.rollout.status.stable_rs
    model.edit(spec("v2"))
    for _ in range(5):
        status = model.turn().status
        assert status.observed_generation == 2
        assert (status.phase, status.current_pod_hash == stable) == ("Progressing", False)


ANALYSED = {"analysis": {"templates": [{"templateName": "health"}]}}


def analysed_update() -> Model:
    """A canary at its pause, with a run beside it."""
    model = Model.of(spec("v1", canary=ANALYSED))
    model.settle()
    model.now += 60
    model.edit(spec("v2", canary=ANALYSED))
    model.settle()
    assert [run.phase.completed for run in model.runs.values()] == [False]
    return model


def test_a_run_that_was_ended_because_nobody_wants_it_does_not_pause_the_update() -> None:
    model = analysed_update()
    model.edit(spec("v2"))
    model.settle()
    assert [run.phase for run in model.runs.values()] == [AnalysisPhase.INCONCLUSIVE]
    assert [pause.reason for pause in model.rollout.status.pause_conditions] == ["CanaryPauseStep"]


def test_an_analysis_that_comes_back_gets_a_run_of_its_own() -> None:
    model = analysed_update()
    model.edit(spec("v2"))
    model.settle()
    model.edit(spec("v2", canary=ANALYSED))
    model.settle()
    assert [run.phase.completed for run in model.runs.values()] == [True, False]
    assert model.rollout.status.phase == "Paused"
    model.run(phase=AnalysisPhase.FAILED, message="errors doubled")
    model.turn()
    assert model.rollout.status.abort


def test_a_run_that_fails_while_it_is_ended_is_still_heard() -> None:
    model = analysed_update()
    model.edit(spec("v2"))
    model.turn()
    model.run(phase=AnalysisPhase.FAILED, message="errors doubled")
    model.turn()
    assert model.rollout.status.abort
    assert "errors doubled" in model.rollout.status.message
