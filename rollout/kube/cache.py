"""Our own caches of objects: the newest resourceVersion wins, owners and terms are indexed, missed deletions are swept.

Events and the answers of our own writes go through the same door, so every turn reads its own writes.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

Json = dict[str, Any]
Key = tuple[str, str]
"""Namespace (empty where there is none) and name."""


def key_of(obj: Json) -> Key:
    """The key of an object."""
    metadata = obj["metadata"]
    return metadata.get("namespace") or "", metadata["name"]


def version_of(obj: Json) -> int:
    """The resourceVersion: within a kind it grows with every write (promised since Kubernetes 1.35, KEP-5504)."""
    return int(obj["metadata"].get("resourceVersion") or 0)


def slim(obj: Json) -> Json:
    """The object without what no decision reads."""
    metadata = {k: v for k, v in obj["metadata"].items() if k != "managedFields"}
    return {**obj, "metadata": metadata}


class Cache:
    """Objects of one kind.

    Args:
        changed: told of every object that was taken in, by a watch or by an answer to a write of ours: the watch's own
            event of that write comes later, is no news any more, and wakes nobody.
        terms: words by which objects of this kind are looked for, beside their owners' uids.
        slimmed: an object without what nobody reads, as a new one.
    """

    def __init__(
        self,
        changed: Callable[[Json], None] = lambda _: None,
        terms: Callable[[Json], Iterable[str]] = lambda _: (),
        slimmed: Callable[[Json], Json] = slim,
    ) -> None:
        self._changed, self._terms, self._slimmed = changed, terms, slimmed
        self._objects: dict[Key, Json] = {}
        self._index: dict[str, set[Key]] = defaultdict(set)
        self._gone: dict[str, int] = {}
        self.synced = False

    def put(self, obj: Json) -> bool:
        """Take an object in; False where a newer one is known, or where it is known to be gone."""
        key, metadata = key_of(obj), obj["metadata"]
        version = version_of(obj)
        known = self._objects.get(key)
        # Versions of a kind are one sequence: a late event of a deleted object is older than its successor in name.
        if known is not None and version_of(known) >= version:
            return False
        if self._gone.get(metadata.get("uid", ""), -1) >= version:
            return False
        self._unindex(known)
        self._objects[key] = self._slimmed(obj)
        for term in self._terms_of(self._objects[key]):
            self._index[term].add(key)
        self._changed(self._objects[key])
        return True

    def drop(self, obj: Json) -> bool:
        """Take an object out; a younger object of the same name stays."""
        key, metadata = key_of(obj), obj["metadata"]
        self._remember_gone(metadata.get("uid", ""), version_of(obj))
        known = self._objects.get(key)
        if known is None or known["metadata"].get("uid") != metadata.get("uid"):
            return False
        self._unindex(known)
        del self._objects[key]
        return True

    def get(self, key: Key) -> Json | None:
        """The object of a key."""
        return self._objects.get(key)

    def keys(self) -> list[Key]:
        """All keys."""
        return list(self._objects)

    def all(self, namespace: str | None = None) -> list[Json]:
        """All objects, or those of a namespace."""
        return [obj for (ns, _), obj in self._objects.items() if namespace is None or ns == namespace]

    def owned(self, uid: str) -> list[Json]:
        """The objects that name this owner."""
        return self.find(uid)

    def find(self, term: str) -> list[Json]:
        """The objects that a term stands for; costs what it finds, not what exists."""
        found = (self._objects.get(key) for key in sorted(self._index.get(term, ())))
        return [obj for obj in found if obj is not None]

    def sweep(
        self, live: Iterable[Json], version: int, missed: Callable[[Json], None], namespace: str | None = None
    ) -> int:
        """Drop what a full list no longer has: a watch that was interrupted never tells of deletions.

        Args:
            live: metadata of all objects that existed at `version`.
            version: resourceVersion of the list; what the cache has from later is no ghost, but younger than the list.
            missed: told of every object that is dropped.
            namespace: the one that was listed; None: all.

        Returns the number of dropped objects.
        """
        uids = {entry["metadata"]["uid"] for entry in live}
        ghosts = [
            obj for obj in self.all(namespace) if obj["metadata"].get("uid") not in uids and version_of(obj) <= version
        ]
        for ghost in ghosts:
            self.drop(ghost)
            missed(ghost)
        return len(ghosts)

    def behind(self, live: Iterable[Json]) -> bool:
        """Whether a list has something that the cache has not, or has an older state of: an event was lost."""
        for entry in live:
            known = self._objects.get(key_of(entry))
            if known is None or version_of(known) < version_of(entry):
                return True
        return False

    def __len__(self) -> int:
        return len(self._objects)

    def _unindex(self, obj: Json | None) -> None:
        if obj is None:
            return
        key = key_of(obj)
        for term in self._terms_of(obj):
            keys = self._index.get(term)
            if keys is not None:
                keys.discard(key)
                if not keys:
                    del self._index[term]

    def _terms_of(self, obj: Json) -> set[str]:
        owners = obj["metadata"].get("ownerReferences") or []
        return {*(owner["uid"] for owner in owners), *self._terms(obj)}

    def _remember_gone(self, uid: str, version: int) -> None:
        """Late answers and events of a deleted object must not bring it back; the memory is bounded."""
        self._gone[uid] = version
        while len(self._gone) > 1000:
            self._gone.pop(next(iter(self._gone)))
