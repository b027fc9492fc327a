"""Edges of a Rollout's life that examples of the state machine came upon."""

from tests.model import routed_model, spec


def test_a_rollout_without_pods_goes_through_its_steps() -> None:
    model = routed_model(replicas=0, steps=[{"setWeight": 50}])
    model.settle()
    model.edit(spec("v2", routed=True, replicas=0, steps=[{"setWeight": 50}]))
    model.settle()
    assert model.rollout.status.phase == "Healthy"
    assert model.rollout.status.stable_rs == model.rollout.status.current_pod_hash
