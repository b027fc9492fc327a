"""The size a ReplicaSet is made with: what it may have at once, so that no second write is needed to get there."""

from typing import Any

import pytest

from rollout.domain import actions as act
from tests.model import Model, routed_model, spec

HALF = [{"setWeight": 50}, {"pause": {}}]


def created(model: Model) -> act.CreateReplicaSet:
    """What the turn that makes a ReplicaSet makes."""
    return next(action for action in model.turn().actions if isinstance(action, act.CreateReplicaSet))


def scaled(model: Model) -> list[act.ScaleReplicaSet]:
    return [action for action in model.log if isinstance(action, act.ScaleReplicaSet)]


def test_the_first_version_is_made_with_all_its_pods() -> None:
    model = Model.of(spec("v1", replicas=4))
    assert created(model).replicas == 4
    model.settle()
    assert scaled(model) == []
    assert model.rollout.status.phase == "Healthy"


@pytest.mark.parametrize(
    ("canary", "size"),
    [
        ({"steps": HALF, "maxSurge": 2, "maxUnavailable": 0}, 2),
        ({"steps": HALF, "maxSurge": 1, "maxUnavailable": 0}, 1),
        ({"steps": HALF, "maxSurge": 0, "maxUnavailable": 1}, 0),  # A pod of stable has to go first.
        ({"steps": [{"pause": {}}, *HALF], "maxSurge": 2, "maxUnavailable": 0}, 0),
        ({"steps": [], "maxSurge": 2, "maxUnavailable": 0}, 2),
    ],
)
def test_a_canary_is_made_with_what_its_first_step_and_the_surge_allow(canary: dict[str, Any], size: int) -> None:
    model = Model.of(spec("v1", canary=canary))
    model.settle()
    model.edit(spec("v2", canary=canary))
    before = sum(rs.replicas for rs in model.replica_sets.values())
    assert created(model).replicas == size
    assert sum(rs.replicas for rs in model.replica_sets.values()) == before + size


def test_it_is_what_the_next_turn_would_have_given() -> None:
    model = Model.of(spec("v1", canary={"steps": HALF, "maxSurge": 2, "maxUnavailable": 0}))
    model.settle()
    model.edit(spec("v2", canary={"steps": HALF, "maxSurge": 2, "maxUnavailable": 0}))
    name = created(model).name
    model.log.clear()
    model.turn()
    assert name not in {action.name for action in scaled(model)}


def test_pods_of_an_older_canary_take_room() -> None:
    canary = {"steps": HALF, "maxSurge": 2, "maxUnavailable": 0}
    model = Model.of(spec("v1", canary=canary))
    model.settle()
    model.edit(spec("v2", canary=canary))
    model.turn()  # Two canaries beside four stable pods: as many as surge allows.
    model.edit(spec("v3", canary=canary))
    assert created(model).replicas == 0


def test_with_a_router_a_canary_is_made_without_pods_since_traffic_moves_first() -> None:
    model = routed_model()
    model.settle()
    model.edit(spec("v2", routed=True))
    assert created(model).replicas == 0
