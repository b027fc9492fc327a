"""kopf, tamed: it logs in, lists and watches; everything else is ours.

Measured limits of kopf that shape this file: no coalescing of events, a diff-base built for each event (switched off),
the operator task dies of a fatal watch error (a supervisor restarts it), deletions in a gap are never told (the sweep).
"""

import asyncio
import itertools
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import kopf

from rollout.kube.connection import Connection
from rollout.kube.resources import Resource

Json = dict[str, Any]
OnEvent = Callable[[Resource, str | None, Json], None]
log = logging.getLogger("coalmine.watches")

RESTART_SECONDS_MAX = 30.0


class _NoDiffBase(kopf.DiffBaseStorage):
    """We use no handlers that need differences, and building the essence costs half the CPU of an event."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence({})

    def fetch(self, **_: Any) -> kopf.BodyEssence | None:
        return None

    def store(self, **_: Any) -> None:
        return None


def settings(selectors: dict[Resource, str]) -> kopf.OperatorSettings:
    """Kopf's settings: no annotations, no posts, no scans, endless patience with the API server."""
    configured = kopf.OperatorSettings()
    configured.persistence.diffbase_storage = _NoDiffBase()
    configured.scanning.disabled = True
    configured.peering.standalone = True
    configured.posting.enabled = False
    configured.watching.chunk_size = 500
    configured.networking.error_backoffs = _Endless()
    for resource, selector in selectors.items():
        key = (resource.group, resource.version, resource.plural)
        configured.watching.label_selectors[key] = selector
    return configured


class _Endless(Iterable[float]):
    """Backoffs that never run out: an API server that is away for an hour must not end the operator."""

    def __iter__(self) -> Iterator[float]:
        return itertools.chain((0.2, 0.5, 1, 2, 5), itertools.repeat(10))


def registry(connection: Connection, resources: Iterable[Resource], on_event: OnEvent) -> kopf.OperatorRegistry:
    """Handlers for the events of all resources, over the one session that we log in ourselves."""
    handlers = kopf.OperatorRegistry()

    @kopf.on.login(registry=handlers)
    async def log_in(**_: Any) -> kopf.AiohttpSession:
        return kopf.AiohttpSession(server=connection.server, aiohttp_session=connection.session)

    for resource in resources:
        _listen(handlers, resource, on_event)
    return handlers


def _listen(handlers: kopf.OperatorRegistry, resource: Resource, on_event: OnEvent) -> None:
    @kopf.on.event(resource.group, resource.version, resource.plural, registry=handlers, id=resource.plural)
    async def take(event: kopf.RawEvent, **_: Any) -> None:
        on_event(resource, event["type"], dict(event["object"]))


async def supervise(
    handlers: kopf.OperatorRegistry,
    configured: kopf.OperatorSettings,
    namespaces: tuple[str, ...],
    restarted: Callable[[], None],
) -> None:
    """Run kopf, and run it again whenever a fatal watch error has ended it."""
    delay = 0.2
    while True:
        started = asyncio.get_running_loop().time()
        try:
            scope: dict[str, Any] = {"namespaces": list(namespaces)} if namespaces else {"clusterwide": True}
            await kopf.operator(registry=handlers, settings=configured, **scope)
            log.warning("the watches ended; they begin again")
        except Exception as error:  # noqa: BLE001  kopf ends with whatever its tasks raised, and must run again
            log.warning("the watches failed: %s; they begin again", error)
        restarted()
        delay = 0.2 if asyncio.get_running_loop().time() - started > RESTART_SECONDS_MAX else delay
        await asyncio.sleep(delay)
        delay = min(delay * 2, RESTART_SECONDS_MAX)
