"""Sees the story from outside: what the API server's objects were, one after the other, by its own watches.

The observer asks the API server itself, never through a proxy, so nothing is hidden from it. All kinds share one
sequence of resourceVersions, so what came after what is a fact.
"""

import asyncio
import json
from types import TracebackType
from typing import Any, Self

import aiohttp

from rollout.kube.connection import Connection
from rollout.kube.resources import ANALYSIS_RUNS, HTTP_ROUTES, ROLLOUTS, Resource

Json = dict[str, Any]
LINE_BYTES_MAX = 4 * 1024 * 1024
RETRY_SECONDS = 0.2


class Observer:
    """Watches a namespace from now on, as an asynchronous context."""

    def __init__(self, connection: Connection, namespace: str) -> None:
        self._connection, self._namespace = connection, namespace
        self.seen: dict[Resource, list[Json]] = {ANALYSIS_RUNS: [], HTTP_ROUTES: [], ROLLOUTS: []}
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        for resource in self.seen:
            version = await self._version(resource)
            self._tasks.append(asyncio.ensure_future(self._watch(resource, version)))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def verdict(self) -> int | None:
        """The resourceVersion at which an analysis had failed, if one has."""
        failed = [version_of(run) for run in self.seen[ANALYSIS_RUNS] if _phase(run) == "Failed"]
        return min(failed, default=None)

    def weights(self) -> list[tuple[int, int]]:
        """The canary's weights in the route, each with its resourceVersion."""
        return sorted((version_of(route), weight_of(route)) for route in self.seen[HTTP_ROUTES])

    def weights_after_verdict(self) -> list[int]:
        """The weights that were written once the verdict was out."""
        verdict = self.verdict()
        return [] if verdict is None else [weight for version, weight in self.weights() if version > verdict]

    def aborted(self) -> bool:
        """Whether the Rollout has said that its update was given up, with no traffic on it."""
        return any(
            _phase(live) == "Degraded" and (live.get("status") or {}).get("abort") for live in self.seen[ROLLOUTS]
        )

    async def _version(self, resource: Resource) -> str:
        url = self._connection.server + resource.path(self._namespace)
        async with self._connection.session.get(url, params={"limit": "1"}) as response:
            return str(json.loads(await response.read())["metadata"]["resourceVersion"])

    async def _watch(self, resource: Resource, version: str) -> None:
        url = self._connection.server + resource.path(self._namespace)
        while True:
            params = {"watch": "true", "resourceVersion": version}
            try:
                async with self._connection.session.get(url, params=params, read_bufsize=LINE_BYTES_MAX) as response:
                    async for line in response.content:
                        event = json.loads(line)
                        if event["type"] == "ERROR":
                            raise AssertionError(f"the observer has missed something: {event['object']}")
                        version = str(version_of(event["object"]))
                        self.seen[resource].append(event["object"])
            except (aiohttp.ClientError, OSError, TimeoutError):
                await asyncio.sleep(RETRY_SECONDS)


def version_of(obj: Json) -> int:
    return int(obj["metadata"]["resourceVersion"])


def weight_of(route: Json) -> int:
    """The canary's weight as a route has it."""
    references = {r["name"]: r.get("weight", 1) for r in route["spec"]["rules"][0]["backendRefs"]}
    return int(references["canary"])


def _phase(obj: Json) -> str:
    return str((obj.get("status") or {}).get("phase") or "")
