"""A restart goes on by itself, also where a disruption budget refuses evictions."""

import asyncio
from typing import Any

import pytest

from rollout.domain import actions as act
from rollout.errors import ApiUnavailable
from rollout.execute import RolloutExecutor
from rollout.kube.client import KubeClient
from tests.model import Model, spec


def test_evictions_are_asked_for_again_though_nothing_is_told() -> None:
    model = Model.of(spec("v1"))
    model.settle()
    model.now += 60
    model.edit(spec("v1", restartAt="2023-11-14T22:13:50Z"))
    decision = model.turn()
    evicted = [action for action in decision.actions if isinstance(action, act.EvictPod)]
    assert len(evicted) == 1
    assert decision.wake_at is not None
    assert model.now < decision.wake_at <= model.now + 60


class Budgeted(KubeClient):
    """The API server of a namespace whose disruption budget allows nothing now."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def create_subresource(self, *path: Any) -> Any:
        self.asked.append(path[2])
        raise ApiUnavailable("429 TooManyRequests: Cannot evict pod as it would violate the pod's disruption budget.")


def test_a_disruption_budget_does_not_hold_up_the_rest_of_a_turn() -> None:
    api = Budgeted()
    rollout = {"metadata": {"name": "web", "namespace": "shop", "uid": "u1"}}
    try:
        asyncio.run(RolloutExecutor(api, {}).perform(rollout, act.EvictPod("web-1", "p1")))
    except ApiUnavailable:
        pytest.fail("the turn ended at the budget, and its status was never published")
    assert api.asked == ["web-1"]
