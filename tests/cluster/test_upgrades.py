"""Upgrades on a real control plane: the stories of the sandbox, and webhooks that change what the operator writes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.cluster.binaries import MINORS
from tests.stories.stage import Stage
from tests.stories.test_upgrades import (
    USER,
    goes_on,
    in_the_middle,
    standing,
    test_a_crd_with_one_more_field_is_no_change_of_any_rollout,
    until_settled,
)
from tests.support.replicas import Replica, own_operators
from tests.support.sidecars import CONFIGURATIONS, SIDECAR, Sidecars

pytestmark = pytest.mark.parametrize("box", MINORS[:1], indirect=True)
__all__ = [
    "test_a_crd_with_one_more_field_is_no_change_of_any_rollout",
]


@asynccontextmanager
async def registered(stage: Stage, sidecars: Sidecars) -> AsyncIterator[None]:
    """The API server asks the webhook about the story's namespace."""
    configuration = sidecars.configuration(stage.namespace)
    await stage.client.create(CONFIGURATIONS, configuration)
    try:
        yield
    finally:
        await stage.client.delete(CONFIGURATIONS, None, configuration["metadata"]["name"])


async def with_sidecar(stage: Stage) -> int:
    """How many pods have one."""
    names = [[container["name"] for container in pod["spec"]["containers"]] for pod in await stage.pods()]
    return sum(SIDECAR["name"] in one for one in names)


@pytest.mark.parametrize("first", ["the webhook", "the release"])
def test_a_webhook_that_adds_a_sidecar_makes_no_revision(stage: Stage, first: str) -> None:
    async def story() -> None:
        former, present = Replica(stage, USER), Replica(stage, USER)
        async with Sidecars(stage.folder / "webhook") as sidecars, own_operators(stage, former, present):
            if first == "the release":
                before = await in_the_middle(stage, former)
            async with registered(stage, sidecars):
                if first == "the webhook":
                    before = await in_the_middle(stage, former)
                    assert sidecars.added["ReplicaSet"] == 2
                    assert await with_sidecar(stage) == len(before["pods"])
                await former.stop()
                await present.start()
                await until_settled(stage, present)
                assert await standing(stage) == before
                await goes_on(stage, before)
                assert await with_sidecar(stage) > 0
                assert sidecars.added["ReplicaSet"] >= 2

    stage.play(story())
