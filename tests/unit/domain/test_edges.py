"""Edges of a Rollout's life that examples of the state machine came upon."""

from tests.model import routed_model, spec


def test_a_rollout_without_pods_goes_through_its_steps() -> None:
    model = routed_model(replicas=0, steps=[{"setWeight": 50}])
    model.settle()
    model.edit(spec("v2", routed=True, replicas=0, steps=[{"setWeight": 50}]))
    model.settle()
    assert model.rollout.status.phase == "Healthy"
    assert model.rollout.status.stable_rs == model.rollout.status.current_pod_hash


def test_old_pods_stay_while_a_service_still_selects_them() -> None:
    steps = [{"setWeight": 50}, {"pause": {}}]
    model = routed_model(steps=steps, canary={"scaleDownDelaySeconds": 0})
    model.settle()
    model.edit(spec("v2", routed=True, steps=steps, canary={"scaleDownDelaySeconds": 0}))
    model.settle()
    discarded = model.services["canary"].pod_hash
    name = next(rs.name for rs in model.replica_sets.values() if rs.pod_hash == discarded)
    model.edit(spec("v3", routed=True, steps=steps, canary={"scaleDownDelaySeconds": 0}))
    for _ in range(10):
        model.turn()  # The gateway does not answer, so that it may still send requests to the canary's Service.
    assert model.routes["web"].canary_weight_percent == 0
    assert model.services["canary"].pod_hash == discarded
    assert model.replica_sets[name].replicas == 2
    model.settle()
    assert model.services["canary"].pod_hash != discarded
    assert model.replica_sets[name].replicas == 0


def test_a_rollout_that_wants_no_pods_keeps_none_for_a_service() -> None:
    model = routed_model()
    model.settle()
    model.edit(spec("v2", routed=True, replicas=0))
    model.settle()
    assert sum(rs.replicas for rs in model.replica_sets.values()) == 0
