"""The installed operator while somebody else leads: what it may write is news of a push, with the chart's rights."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from rollout.api.keys import NOTIFIED
from rollout.domain.clock import rfc3339
from rollout.git.webhook import sign
from rollout.kube.resources import GIT_REPOSITORIES, LEASES
from rollout.sandbox.demo.manifests import secret
from tests.cluster import installation
from tests.cluster.binaries import MINORS
from tests.stories.stage import Stage
from tests.stories.test_webhook import BODY, TOKEN, notify, receiver

pytestmark = pytest.mark.parametrize("box", MINORS[:1], indirect=True)


@asynccontextmanager
async def a_stranger_leads(stage: Stage) -> AsyncIterator[None]:
    """The operator ends, finds its Lease taken when it starts again, and gets it back in the end."""
    operator, lease = stage.box.parts["operator"], (installation.NAMESPACE, installation.ACCOUNT)
    await operator.stop()
    held = {
        "holderIdentity": "a stranger",
        "leaseDurationSeconds": 3600,
        "renewTime": rfc3339(time.time()).replace("Z", ".000000Z"),
    }
    try:
        await stage.client.merge_patch(LEASES, *lease, {"spec": held})
        await operator.start()
        yield
    finally:
        await stage.client.delete(LEASES, *lease)
        if not operator.running:
            await operator.start()


def test_it_passes_a_push_on_to_the_leader(stage: Stage) -> None:
    async def notified() -> str:
        live = await stage.get(GIT_REPOSITORIES, "config")
        return str(live["metadata"].get("annotations", {}).get(NOTIFIED, ""))

    async def story() -> None:
        hook = {"metadata": {"name": "hook", "namespace": stage.namespace}}
        await stage.create({**secret("hook", {"token": TOKEN}), **hook})
        await stage.repository(write=False, interval="1h", webhook={"secretRef": {"name": "hook"}})
        path = await receiver(stage)
        async with a_stranger_leads(stage):
            assert await notify(stage, path, {"X-Signature": sign(BODY, "another token")}) == 401
            assert not await notified()
            assert await notify(stage, path, {"X-Signature": sign(BODY, TOKEN)}) == 202
            first = await notified()
            assert first
            assert await notify(stage, path, {"X-Signature": sign(BODY, TOKEN)}) == 202
            assert await notified() not in ("", first), "a second push is news too"

    stage.play(story())
