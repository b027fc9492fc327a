"""The election where nobody answers: a leader knows of its loss by itself, and those who wait look often."""

import asyncio
import time
from typing import Any

from rollout.errors import LeadershipLost
from rollout.kube.resources import Resource
from rollout.runtime.lease import STANDBY_SECONDS, Elector

Json = dict[str, Any]


class Server:
    """Keeps one Lease; `silent`: answers nothing."""

    def __init__(self) -> None:
        self.lease: Json | None = None
        self.silent = False

    async def get(self, *_: object) -> Json | None:
        if self.silent:
            await asyncio.Event().wait()
        return self.lease

    async def create(self, _: Resource, obj: Json) -> Json:
        self.lease = obj
        return obj

    async def update(self, resource: Resource, obj: Json) -> Json:
        return await self.create(resource, obj)


def elector(server: Server, **seconds: float) -> Elector:
    return Elector(server, "shop", "coalmine", "one", **seconds)  # type: ignore[arg-type]


def test_a_leader_that_nobody_answers_hears_of_its_loss_when_its_trust_ends() -> None:
    async def story() -> None:
        server = Server()
        # Its next look begins right before its trust ends: it must not be given as long again to answer.
        one = elector(server, duration_seconds=3.0, renew_seconds=2.0, retry_seconds=1.8)
        running = asyncio.ensure_future(one.run())
        await one.leading.wait()
        began = asyncio.get_running_loop().time()
        server.silent = True
        allowed = one.fence()
        assert 0 < allowed <= 2.0, "a write may take no longer than the leader trusts its last renewal"
        async with asyncio.timeout(60):
            await one.lost.wait()
        lost_at = asyncio.get_running_loop().time()
        refused = False
        try:
            one.fence()
        except LeadershipLost:
            refused = True
        assert refused
        assert lost_at - began >= allowed - 0.1
        assert not running.cancelled()
        await running

    asyncio.run(story())


def test_a_look_of_a_leader_ends_with_its_trust() -> None:
    async def story() -> None:
        server = Server()
        server.silent = True
        one = elector(server, duration_seconds=4000.0, renew_seconds=3000.0)
        one.leading.set()
        one._renewed_at = time.monotonic() - 2998.0
        async with asyncio.timeout(60):
            assert not await one._try()

    asyncio.run(story())


def test_who_stands_by_looks_twice_a_second_however_long_a_lease_is() -> None:
    one = elector(Server(), duration_seconds=600.0, renew_seconds=400.0, retry_seconds=80.0)
    assert max(one._pause(held=False) for _ in range(100)) <= 1.2 * STANDBY_SECONDS
    assert one._pause(held=True) == 80.0
    quick = elector(Server(), duration_seconds=1.0, renew_seconds=0.6, retry_seconds=0.1)
    assert quick._pause(held=False) <= 0.12
