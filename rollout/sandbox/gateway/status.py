"""What the gateway says about routes and Gateways, and the task that writes it: never twice the same."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from rollout.domain.clock import rfc3339
from rollout.errors import CoalmineError, Conflict, NotFound
from rollout.kube.cache import Key
from rollout.kube.client import KubeClient
from rollout.kube.resources import HTTP_ROUTES, Resource
from rollout.sandbox.gateway.model import Json, Route

CONTROLLER = "coalmine.dev/sandbox-gateway"
GATEWAYS = Resource("gateway.networking.k8s.io", "v1", "gateways", "Gateway")
RETRY_SECONDS = 0.2
ATTEMPTS_MAX = 50
log = logging.getLogger("coalmine.sandbox.gateway")

Conditions = list[Json]
Change = Callable[[Json], Json | None]
"""From the live object to its new status; None: nothing to write."""


def route_change(route: Route) -> Change:
    """The status of an HTTPRoute as far as it is ours; entries of other controllers stay."""

    def change(live: Json) -> Json | None:
        if int(live["metadata"].get("generation") or 0) != route.generation:
            return None  # A newer spec is on its way through Envoy, and will be answered for.
        before = (live.get("status") or {}).get("parents") or []
        others = [parent for parent in before if parent["controllerName"] != CONTROLLER]
        ours = [parent for parent in before if parent["controllerName"] == CONTROLLER]
        after = [*others, *(_parent(route, reference, ours) for reference in route.parents)]
        return None if after == before else {"parents": after}

    return change


def _parent(route: Route, reference: Json, before: list[Json]) -> Json:
    known: Conditions = next((p["conditions"] for p in before if p["parentRef"] == reference), [])
    accepted = ("UnsupportedValue", route.refusal) if route.refusal else None
    conditions = [
        _condition("Accepted", accepted, route.generation, known),
        _condition("ResolvedRefs", route.unresolved, route.generation, known),
    ]
    return {"controllerName": CONTROLLER, "parentRef": reference, "conditions": conditions}


def gateway_change(gateway: Json) -> Json | None:
    """The status of a Gateway: accepted and programmed, at 127.0.0.1."""
    before = gateway.get("status") or {}
    known, generation = before.get("conditions") or [], int(gateway["metadata"].get("generation") or 0)
    ours = [_condition(kind, None, generation, known) for kind in ("Accepted", "Programmed")]
    after = {"addresses": [{"type": "IPAddress", "value": "127.0.0.1"}], "conditions": ours}
    return None if {key: before.get(key) for key in after} == after else after


def _condition(kind: str, problem: tuple[str, str] | None, generation: int, known: Conditions) -> Json:
    status = "True" if problem is None else "False"
    reason, message = problem or (kind, "")
    before: Json = next((c for c in known if c["type"] == kind), {})
    since = before["lastTransitionTime"] if before.get("status") == status else rfc3339(time.time())
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message[:1024],
        "observedGeneration": generation,
        "lastTransitionTime": since,
    }


class StatusWriter:
    """Writes statuses in the background, the newest wish of each object."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self._wanted: dict[tuple[Resource, Key], tuple[Json, Change]] = {}
        self._news = asyncio.Event()

    def route(self, live: Json, route: Route) -> None:
        """Wish for the status of a route."""
        self._want(HTTP_ROUTES, route.key, live, route_change(route))

    def gateway(self, live: Json) -> None:
        """Wish for the status of a Gateway."""
        key = (live["metadata"]["namespace"], live["metadata"]["name"])
        self._want(GATEWAYS, key, live, gateway_change)

    def _want(self, resource: Resource, key: Key, live: Json, change: Change) -> None:
        if change(live) is None:
            self._wanted.pop((resource, key), None)
            return
        self._wanted[resource, key] = (live, change)
        self._news.set()

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._wanted:
                wish = next(iter(self._wanted))
                await self._write(*wish, *self._wanted.pop(wish))

    async def _write(self, resource: Resource, key: Key, live: Json, change: Change) -> None:
        seen: Json | None = live
        for _ in range(ATTEMPTS_MAX):
            status = None if seen is None else change(seen)
            if seen is None or status is None or (resource, key) in self._wanted:
                return
            patch: dict[str, Any] = {"metadata": {"resourceVersion": seen["metadata"]["resourceVersion"]}}
            try:
                await self._client.merge_patch(resource, *key, {**patch, "status": status}, subresource="status")
            except (Conflict, NotFound):
                seen = await self._again(resource, key, seen)
            except CoalmineError as error:
                log.warning("status of %s %s: %s", resource.kind, "/".join(key), error)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return

    async def _again(self, resource: Resource, key: Key, seen: Json) -> Json | None:
        try:
            return await self._client.get(resource, *key)
        except CoalmineError as error:
            log.debug("reading %s: %s", "/".join(key), error)
            await asyncio.sleep(RETRY_SECONDS)
            return seen
