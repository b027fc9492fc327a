"""Waiting for changes in the cluster: watches wake us, and then everything is read afresh."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp

from rollout.cli.target import Cluster, tell
from rollout.errors import ApiUnavailable
from rollout.kube.resources import Resource

T = TypeVar("T")

RESYNC_SECONDS = 20.0
RETRY_SECONDS = 2.0
GATHER_SECONDS = 0.3
LINE_BYTES_MAX = 8 * 1024 * 1024
WATCH_SECONDS = 240


@dataclass(frozen=True, slots=True)
class Watched:
    """A collection, or one object of it.

    Attributes:
        resource: the kind.
        namespace: None for all.
        name: one object's; empty for all.
        labels: a label selector.
    """

    resource: Resource
    namespace: str | None
    name: str = ""
    labels: str = ""


class Changes:
    """Tells that something changed; what it is now is for the reader to look up.

    A watch that ends, or that the server refuses, begins again; every so often a reader is woken without an event, so
    that nothing depends on a connection that died in silence.
    """

    def __init__(self, cluster: Cluster, watched: Iterable[Watched]) -> None:
        self._cluster, self._watched = cluster, tuple(watched)
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.ensure_future(self._keep(watched)) for watched in self._watched]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def next(self, seconds_max: float = RESYNC_SECONDS) -> None:
        """Wait for a change, at most this long; changes that come together count as one."""
        try:
            async with asyncio.timeout(seconds_max):
                await self._changed.wait()
                await asyncio.sleep(GATHER_SECONDS)
        except TimeoutError:
            pass
        self._changed.clear()

    async def until(self, look: Callable[[], Awaitable[T | None]], every_seconds: float = RESYNC_SECONDS) -> T:
        """Look now and after every change, until there is an answer; a server that fails for a while is forgiven."""
        while True:
            try:
                answer = await look()
                if answer is not None:
                    return answer
            except ApiUnavailable as error:
                tell(f"the API server does not answer ({error}); trying again")
                await asyncio.sleep(RETRY_SECONDS)
                self._changed.set()
            await self.next(every_seconds)

    async def _keep(self, watched: Watched) -> None:
        while True:
            try:
                await self._watch(watched)
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
                await asyncio.sleep(RETRY_SECONDS)
            self._changed.set()

    async def _watch(self, watched: Watched) -> None:
        """One watch until the server ends it."""
        params = {"watch": "1", "timeoutSeconds": str(WATCH_SECONDS)}
        params |= {"labelSelector": watched.labels} if watched.labels else {}
        params |= {"fieldSelector": f"metadata.name={watched.name}"} if watched.name else {}
        connection = self._cluster.connection
        url = connection.server + watched.resource.path(watched.namespace)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=WATCH_SECONDS + 30)
        async with connection.session.get(url, params=params, timeout=timeout, read_bufsize=LINE_BYTES_MAX) as response:
            if response.status != 200:
                raise ValueError(response.status)
            async for line in response.content:
                event: dict[str, Any] = json.loads(line)
                if event.get("type") == "ERROR":
                    raise ValueError(event)
                if event.get("type") != "BOOKMARK":
                    self._changed.set()
