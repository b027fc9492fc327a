"""The background run compares the arms of this update, and no others."""

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
