"""The kill test: in the k-th telling of the story, the operator is killed right when its k-th action was answered.

An action is a write of the operator to an object of the story's namespace, or a push to Git. Events tell and the Lease
only elects, so neither is one. Odd actions kill before the operator hears the answer, even ones after it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Self

from aiohttp import web

from tests.faults.story import Lane, bad_release, until_settled

ACTIONS_MAX = 400
"""No telling has so many; a count that never ends is a mistake of the test."""
_TELLING = ("/events", "/leases")


def is_action(request: web.Request, namespace: str) -> bool:
    """Whether a request acts on the story's objects, or on its repository."""
    if request.method == "GET":
        return False
    if request.path.endswith("/git-receive-pack"):
        return True
    inside = f"/namespaces/{namespace}/" in request.path and "dryRun" not in request.query
    return inside and not any(kind in request.path for kind in _TELLING)


@dataclass
class Executioner:
    """Counts a lane's actions, and ends its operator at one of them."""

    lane: Lane
    number: int
    done: list[str] = field(default_factory=list)
    killed: asyncio.Event = field(default_factory=asyncio.Event)

    def __enter__(self) -> Self:
        for proxy in (self.lane.api, self.lane.git):
            proxy.answered, proxy.heard = self._answered, self._heard
        return self

    def __exit__(self, *_: object) -> None:
        for proxy in (self.lane.api, self.lane.git):
            proxy.forget()

    async def _answered(self, request: web.Request, status: int) -> None:
        if status >= 400 or not is_action(request, self.lane.stage.namespace):
            return
        self.done.append(f"{request.method} {request.path}")
        if len(self.done) == self.number and self.number % 2:
            await self._kill()

    async def _heard(self, request: web.Request, status: int) -> None:
        reached = len(self.done) >= self.number and not self.killed.is_set()
        if reached and status < 400 and is_action(request, self.lane.stage.namespace):
            await self._kill()

    async def _kill(self) -> None:
        self.killed.set()
        await self.lane.operator.kill()


async def with_a_kill(it: Lane, number: int) -> Executioner:
    """The story, in which the operator dies at its k-th action, if there are so many, and is started again."""
    before = len(await it.reverts())
    with Executioner(it, number) as executioner:
        restart = asyncio.ensure_future(_restart(executioner))
        try:
            await bad_release(it)
        finally:
            if not executioner.killed.is_set():
                restart.cancel()
            await asyncio.gather(restart, return_exceptions=True)
    if not it.operator.running:
        await it.operator.start()
    await it.stage.until("an operator leads", _leads(it))
    # The last actions may be those at which it died: whoever comes next changes nothing.
    await until_settled(it)
    assert len(await it.reverts()) == before + 1, "the operator that was started again has reverted once more"
    return executioner


def _leads(it: Lane) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        return await it.operator.metric("coalmine_leader") == 1.0

    return holds


async def _restart(executioner: Executioner) -> None:
    await executioner.killed.wait()
    await executioner.lane.operator.start()
