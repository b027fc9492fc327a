"""kopf, tamed: it logs in, lists and watches; everything else is ours.

Measured limits of kopf that shape this file: no coalescing of events, a diff-base built for each event (switched off),
the operator task dies of a fatal watch error (a supervisor restarts it), or hangs instead of dying: a watch that
swallows its cancellation waits for a login that nobody makes any more. Deletions in a gap are never told (the sweep).
And it takes the process for its own: it replaces the handlers of signals, and whenever it ends it cancels
every task of its loop. So it gets a thread and a loop of its own, where neither can harm.
"""

import asyncio
import itertools
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import kopf

from rollout.kube.connection import Connection
from rollout.kube.resources import Resource

Json = dict[str, Any]
OnEvent = Callable[[Resource, str | None, Json], None]
log = logging.getLogger("coalmine.watches")

RESTART_SECONDS_MAX = 30.0
STOP_SECONDS_MAX = 5.0
END_SECONDS_MAX = 1.0
CANCELLATIONS_MAX = 5
IDLE_SECONDS = 0.5
"""How long kopf keeps a task and a queue for an object without events; its 5 seconds keep all those of a burst."""


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
    configured.queueing.idle_timeout = IDLE_SECONDS
    configured.networking.error_backoffs = _Endless()
    for resource, selector in selectors.items():
        key = (resource.group, resource.version, resource.plural)
        configured.watching.label_selectors[key] = selector
    return configured


class _Endless(Iterable[float]):
    """Backoffs that never run out: an API server that is away for an hour must not end the operator."""

    def __iter__(self) -> Iterator[float]:
        return itertools.chain((0.2, 0.5, 1, 2, 5), itertools.repeat(10))


@dataclass(frozen=True)
class Watches:
    """What is watched, and who is told.

    Attributes:
        connect: makes a connection; called in kopf's loop.
        resources: what is watched.
        namespaces: where; none: everywhere.
        settings: kopf's.
        on_event: told of each event, in the loop of whoever supervises.
    """

    connect: Callable[[], Connection]
    resources: tuple[Resource, ...]
    namespaces: tuple[str, ...]
    settings: kopf.OperatorSettings
    on_event: OnEvent

    async def supervise(self, restarted: Callable[[], None]) -> None:
        """Watch, and watch again whenever a fatal watch error has ended it; `restarted` is told of that."""
        delay = 0.2
        while True:
            started = asyncio.get_running_loop().time()
            try:
                await self._watch()
                log.warning("the watches ended; they begin again")
            except Exception as error:  # noqa: BLE001  kopf ends with whatever its tasks raised, and must run again
                log.warning("the watches failed: %s; they begin again", error)
            restarted()
            delay = 0.2 if asyncio.get_running_loop().time() - started > RESTART_SECONDS_MAX else delay
            await asyncio.sleep(delay)
            delay = min(delay * 2, RESTART_SECONDS_MAX)

    async def _watch(self) -> None:
        """Run kopf in its thread until it ends; when this task is cancelled, ask it to end."""
        loop, stop, result = asyncio.get_running_loop(), threading.Event(), Future[None]()

        def tell(resource: Resource, kind: str | None, obj: Json) -> None:
            if not stop.is_set():
                loop.call_soon_threadsafe(self.on_event, resource, kind, obj)

        def run() -> None:
            try:
                asyncio.run(self._run_kopf(stop, tell))
            except Exception as error:  # noqa: BLE001  handed over to the loop that waits
                result.set_exception(error)
            except BaseException as error:  # noqa: BLE001  a cancellation over there is none of the task that waits here
                result.set_exception(RuntimeError(f"kopf ended by {type(error).__name__}"))
            else:
                result.set_result(None)

        threading.Thread(target=run, name="kopf", daemon=True).start()
        ended = asyncio.wrap_future(result)
        try:
            await asyncio.shield(ended)
        finally:
            stop.set()
            await asyncio.wait([ended], timeout=STOP_SECONDS_MAX)
            # How it ended is of interest to nobody who was told to end, and is none that nobody has asked for.
            ended.add_done_callback(lambda late: late.cancelled() or late.exception())

    async def _run_kopf(self, stop: threading.Event, tell: OnEvent) -> None:
        connection, ending = self.connect(), asyncio.Event()
        scope: dict[str, Any] = {"namespaces": list(self.namespaces)} if self.namespaces else {"clusterwide": True}
        handlers = _registry(connection, self.resources, tell, ending)
        running = asyncio.ensure_future(
            kopf.operator(registry=handlers, settings=self.settings, stop_flag=stop, **scope)
        )
        told = asyncio.ensure_future(ending.wait())
        try:
            await asyncio.wait([running, told], return_when=asyncio.FIRST_COMPLETED)
            # It hears nothing from here on, so whether it manages to end is of no interest for long.
            await asyncio.wait([running], timeout=END_SECONDS_MAX)
            if not running.done():
                raise RuntimeError("kopf gave up, and does not end")
            await running
        finally:
            stop.set()  # A thread of this loop waits for it, and would hold the loop's end up.
            await _cancel_all()
            await connection.close()


async def _cancel_all() -> None:
    """Cancel what is left in kopf's loop, again and again: its watches swallow a cancellation and go on."""
    ours = asyncio.current_task()
    for _ in range(CANCELLATIONS_MAX):
        left = [task for task in asyncio.all_tasks() if task is not ours]
        if not left:
            return
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=END_SECONDS_MAX)


def _registry(
    connection: Connection, resources: Iterable[Resource], on_event: OnEvent, ending: asyncio.Event
) -> kopf.OperatorRegistry:
    """Handlers for the events of all resources, over a session that we log in ourselves; `ending` is set at its end."""
    handlers = kopf.OperatorRegistry()

    @kopf.on.cleanup(registry=handlers)
    async def end(**_: Any) -> None:
        ending.set()

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
