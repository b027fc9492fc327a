"""List and watch for the sandbox's own controllers: small, and good enough for a server on this machine."""

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import aiohttp

from rollout.errors import CoalmineError
from rollout.kube.cache import Cache
from rollout.kube.client import KubeClient
from rollout.kube.connection import Connection
from rollout.kube.resources import Resource

Json = dict[str, Any]
log = logging.getLogger("coalmine.sandbox")

LINE_BYTES_MAX = 4 * 1024 * 1024
RETRY_SECONDS = 0.5


class Informer:
    """Keeps one kind in a cache, and tells of every change.

    Args:
        connection, client: where the server is.
        resource: the kind.
        changed: called with each object that came, changed or went.
    """

    def __init__(
        self, connection: Connection, client: KubeClient, resource: Resource, changed: Callable[[Json], None]
    ) -> None:
        self._connection, self._client, self.resource, self._changed = connection, client, resource, changed
        self.cache = Cache()

    async def run(self) -> None:
        """List, watch, and begin again when the watch ends."""
        while True:
            try:
                version = await self._list()
                await self._watch(version)
            except (CoalmineError, aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                log.debug("watching %s: %s", self.resource.plural, error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _list(self) -> str:
        """A list with its own version: everything before it is told, everything after it is watched."""
        async with self._connection.session.get(self._connection.server + self.resource.path()) as response:
            page = json.loads(await response.read())
        if response.status != 200:
            raise ValueError(page.get("message"))
        items = page.get("items") or []
        self.cache.sweep(items, int(page["metadata"]["resourceVersion"]), self._changed)
        for item in items:
            if self.cache.put(item):
                self._changed(item)
        self.cache.synced = True
        return str(page["metadata"]["resourceVersion"])

    async def _watch(self, version: str) -> None:
        params = {"watch": "1", "resourceVersion": version, "allowWatchBookmarks": "true"}
        url = self._connection.server + self.resource.path()
        async with self._connection.session.get(url, params=params, read_bufsize=LINE_BYTES_MAX) as response:
            async for line in response.content:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise ValueError(event["object"].get("message"))
                self._take(event["type"], event["object"])

    def _take(self, kind: str, obj: Json) -> None:
        if kind == "BOOKMARK":
            return
        if kind == "DELETED":
            self.cache.drop(obj)
            self._changed(obj)
        elif self.cache.put(obj):
            self._changed(obj)
