"""Watches: from a revision, with selectors, bookmarks and bounded queues."""

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from rollout.sandbox.apiserver.convert import from_storage, is_same_form, storage_key
from rollout.sandbox.apiserver.errors import StatusError, gone
from rollout.sandbox.apiserver.requests import Target
from rollout.sandbox.apiserver.selectors import FieldTest, LabelTest
from rollout.sandbox.apiserver.store import Change, ChangeType, Object, Store, encode_json

MAX_QUEUED = 20_000


@dataclass(frozen=True)
class Selection:
    """Which objects a list or watch is about."""

    target: Target
    labels: LabelTest | None = None
    fields: FieldTest | None = None

    def holds(self, obj: Object | None) -> bool:
        if obj is None:
            return False
        metadata = obj["metadata"]
        namespace, name = self.target.namespace, self.target.name
        return (
            (not namespace or metadata.get("namespace", "") == namespace)
            and (not name or metadata["name"] == name)
            and (self.labels is None or self.labels(metadata.get("labels") or {}))
            and (self.fields is None or self.fields(self.shown(obj)))
        )

    def shown(self, obj: Object) -> Object:
        """The object in the version that the client asked for."""
        return from_storage(self.target.resource, self.target.version, obj)

    def encoded(self, change: Change) -> bytes:
        if is_same_form(self.target.resource, self.target.version):
            return change.raw
        return encode_json(self.shown(change.obj))

    def event_type(self, change: Change) -> ChangeType | None:
        """What a change means to a client that sees only this selection."""
        before, after = self.holds(change.previous), self.holds(change.obj)
        if change.type == "DELETED":
            return "DELETED" if before or after else None
        if before and after:
            return "MODIFIED"
        if after:
            return "ADDED"
        return "DELETED" if before else None


Event = tuple[ChangeType, Change]


class Watcher:
    """One client's queue. A client that reads too slowly is cut off, and comes back by itself."""

    def __init__(self, selection: Selection) -> None:
        self.selection = selection
        self._queue: deque[Event] = deque()
        self._wake = asyncio.Event()
        self.overflown = False

    def feed(self, change: Change) -> None:
        kind = self.selection.event_type(change)
        if kind is None or self.overflown:
            return
        if len(self._queue) >= MAX_QUEUED:
            self.overflown = True
        else:
            self._queue.append((kind, change))
        self._wake.set()

    def close(self) -> None:
        """End the watch from the server's side."""
        self.overflown = True
        self._wake.set()

    def take(self) -> list[Event]:
        events = list(self._queue)
        self._queue.clear()
        self._wake.clear()
        return events

    async def wait(self, timeout_seconds: float) -> None:
        """Until there are events, the watch ends, or time is up."""
        if self.overflown or self._queue:
            return
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._wake.wait()
        except TimeoutError:
            return


class WatchHub:
    """Hands each change of the store to the watchers of its resource."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._watchers: dict[tuple[str, str], set[Watcher]] = {}
        store.listeners.append(self._heard)

    def _heard(self, change: Change) -> None:
        for watcher in self._watchers.get(change.ref.resource, ()):
            watcher.feed(change)

    def add(self, watcher: Watcher) -> None:
        self._watchers.setdefault(storage_key(watcher.selection.target.resource), set()).add(watcher)

    def discard(self, watcher: Watcher) -> None:
        self._watchers.get(storage_key(watcher.selection.target.resource), set()).discard(watcher)

    def close_all(self) -> None:
        """End every watch, as a stopping or partitioned server does."""
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.close()


def replay(store: Store, selection: Selection, revision: int) -> Iterator[Event]:
    """The events after a revision.

    Raises:
        StatusError: 410 when the history no longer reaches back to it, 504 when it is in the future.
    """
    table = store.table(storage_key(selection.target.resource))
    if revision < table.compacted:
        raise gone(f"too old resource version: {revision} ({table.compacted})")
    refuse_future(store, revision)
    for change in table.history:
        if change.revision > revision and (kind := selection.event_type(change)):
            yield kind, change


def refuse_future(store: Store, revision: int) -> None:
    """Nobody can wait here for a revision that was never handed out."""
    if revision > store.revision:
        causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
        message = f"Too large resource version: {revision}, current: {store.revision}"
        raise StatusError(504, "Timeout", message, {"causes": causes, "retryAfterSeconds": 1})


def initial(store: Store, selection: Selection) -> Iterator[Event]:
    """An ADDED event for everything that exists."""
    for change in store.select(storage_key(selection.target.resource), selection.target.namespace):
        if selection.holds(change.obj):
            yield "ADDED", change
