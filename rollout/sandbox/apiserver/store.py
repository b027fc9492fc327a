"""Objects, their revisions and a bounded history of changes, in memory."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from rollout.sandbox.apiserver.kinds import GroupResource

Object = dict[str, Any]
ChangeType = Literal["ADDED", "MODIFIED", "DELETED"]
encode_json = msgspec.json.Encoder().encode
FIRST_REVISION = 1000


@dataclass(frozen=True)
class Ref:
    """Where an object is."""

    resource: GroupResource
    namespace: str
    name: str


@dataclass(frozen=True)
class Change:
    """One write. `obj` of a deletion is its last state, with the deletion's resourceVersion."""

    revision: int
    type: ChangeType
    ref: Ref
    obj: Object
    previous: Object | None
    raw: bytes


@dataclass
class Table:
    """The objects of one resource and what happened to them lately."""

    objects: dict[tuple[str, str], Change] = field(default_factory=dict)
    history: deque[Change] = field(default_factory=deque)
    compacted: int = 0


Listener = Callable[[Change], None]


class Store:
    """All objects. Stored objects are shared and never changed: a write replaces them.

    Args:
        window: how many changes of each resource are kept for watches that start in the past.
    """

    def __init__(self, window: int = 10_000) -> None:
        self.revision = FIRST_REVISION
        self._window = window
        self.compacted = FIRST_REVISION
        self._tables: dict[GroupResource, Table] = {}
        self._owned: dict[str, set[Ref]] = {}
        self._by_uid: dict[str, Ref] = {}
        self.listeners: list[Listener] = []

    def table(self, resource: GroupResource) -> Table:
        if resource not in self._tables:
            self._tables[resource] = Table(compacted=self.compacted)
        return self._tables[resource]

    def get(self, ref: Ref) -> Object | None:
        found = self.table(ref.resource).objects.get((ref.namespace, ref.name))
        return found.obj if found else None

    def raw(self, ref: Ref) -> bytes | None:
        """The object as JSON, encoded once a write."""
        found = self.table(ref.resource).objects.get((ref.namespace, ref.name))
        return found.raw if found else None

    def select(self, resource: GroupResource, namespace: str = "") -> list[Change]:
        """The last changes of the objects that exist, by namespace and name; all namespaces if empty."""
        objects = self.table(resource).objects
        return [objects[key] for key in sorted(objects) if not namespace or key[0] == namespace]

    def owned_by(self, uid: str) -> list[Ref]:
        return sorted(self._owned.get(uid, ()), key=lambda ref: (ref.resource, ref.namespace, ref.name))

    def by_uid(self, uid: str) -> Ref | None:
        return self._by_uid.get(uid)

    def everything(self) -> Iterator[Change]:
        for table in list(self._tables.values()):
            yield from list(table.objects.values())

    def put(self, ref: Ref, obj: Object) -> Object:
        """Write an object; its resourceVersion is set here. Returns what is stored."""
        previous = self.get(ref)
        stored = self._stamped(obj)
        return self._record(ref, "MODIFIED" if previous else "ADDED", stored, previous)

    def remove(self, ref: Ref) -> Object:
        """Take an object away; returns its last state."""
        previous = self.get(ref)
        if previous is None:
            raise KeyError(ref)
        return self._record(ref, "DELETED", self._stamped(previous), previous)

    def restore(self, ref: Ref, obj: Object | None) -> None:
        """Put an object back as it was, or take it away, when data are loaded: nobody is told."""
        objects = self.table(ref.resource).objects
        key = (ref.namespace, ref.name)
        previous = objects.pop(key).obj if key in objects else None
        if obj is not None:
            revision = int(obj["metadata"]["resourceVersion"])
            self.revision = max(self.revision, revision)
            objects[key] = Change(revision, "ADDED", ref, obj, None, encode_json(obj))
        self._index(ref, previous, obj)

    def forget_history(self) -> None:
        """Forget the history: watches from before now get 410."""
        self.compacted = self.revision
        for table in self._tables.values():
            table.history.clear()
            table.compacted = self.revision

    def _stamped(self, obj: Object) -> Object:
        self.revision += 1
        return {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.revision)}}

    def _record(self, ref: Ref, change_type: ChangeType, obj: Object, previous: Object | None) -> Object:
        change = Change(self.revision, change_type, ref, obj, previous, encode_json(obj))
        table = self.table(ref.resource)
        if change_type == "DELETED":
            del table.objects[ref.namespace, ref.name]
        else:
            table.objects[ref.namespace, ref.name] = change
        self._index(ref, previous, None if change_type == "DELETED" else obj)
        table.history.append(change)
        if len(table.history) > self._window:
            table.compacted = table.history.popleft().revision
        for listener in self.listeners:
            listener(change)
        return obj

    def _index(self, ref: Ref, previous: Object | None, obj: Object | None) -> None:
        for uid in _owner_uids(previous):
            self._owned.get(uid, set()).discard(ref)
            if not self._owned.get(uid):
                self._owned.pop(uid, None)
        for uid in _owner_uids(obj):
            self._owned.setdefault(uid, set()).add(ref)
        if previous:
            self._by_uid.pop(previous["metadata"].get("uid", ""), None)
        if obj:
            self._by_uid[obj["metadata"].get("uid", "")] = ref


def _owner_uids(obj: Object | None) -> list[str]:
    references = obj["metadata"].get("ownerReferences") or () if obj else ()
    return [reference["uid"] for reference in references if "uid" in reference]
