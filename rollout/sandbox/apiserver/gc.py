"""What follows from deletions: dependents of owners, contents of namespaces. Driven by changes."""

import asyncio
from collections.abc import Iterator

from rollout.sandbox.apiserver.deleter import FOREGROUND, ORPHAN, DeleteOptions, delete_quietly
from rollout.sandbox.apiserver.errors import StatusError
from rollout.sandbox.apiserver.store import Change, Object, Ref
from rollout.sandbox.apiserver.writer import NAMESPACES, Writer


class GarbageCollector:
    """One task that settles objects whose owners, finalizers or namespaces changed.

    The set of waiting references is bounded by the objects that exist: each is in it at most once.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer, self._store = writer, writer.store
        self._waiting: dict[Ref, None] = {}
        self._wake = asyncio.Event()
        self._store.listeners.append(self._heard)

    def settle_all(self) -> None:
        """Look at everything once, after data were loaded."""
        for change in self._store.everything():
            self._add(change.ref)

    async def run(self) -> None:
        """Work for ever; other requests are served between two objects."""
        while True:
            await self._wake.wait()
            while self._waiting:
                ref = next(iter(self._waiting))
                del self._waiting[ref]
                self._settle(ref)
                await asyncio.sleep(0)
            self._wake.clear()

    def _add(self, ref: Ref) -> None:
        self._waiting[ref] = None
        self._wake.set()

    def _heard(self, change: Change) -> None:
        metadata = change.obj["metadata"]
        if change.type == "DELETED":
            self._add_all(self._store.owned_by(metadata["uid"]))
            self._add_all(_owners(self._writer, change.obj))
            self._add_namespace(change.ref.namespace)
        elif metadata.get("deletionTimestamp") or metadata.get("ownerReferences"):
            self._add(change.ref)

    def _add_all(self, refs: "list[Ref] | Iterator[Ref]") -> None:
        for ref in refs:
            self._add(ref)

    def _add_namespace(self, name: str) -> None:
        ref = Ref(NAMESPACES, "", name)
        namespace = self._store.get(ref) if name else None
        if namespace and namespace["metadata"].get("deletionTimestamp"):
            self._add(ref)

    def _settle(self, ref: Ref) -> None:
        obj = self._store.get(ref)
        if obj is None:
            return
        if obj["metadata"].get("deletionTimestamp"):
            if ref.resource == NAMESPACES:
                self._empty_namespace(ref, obj)
            self._finish(ref, obj)
        elif obj["metadata"].get("ownerReferences"):
            self._collect(ref, obj)

    def _collect(self, ref: Ref, obj: Object) -> None:
        """Delete what has lost all its owners; forget owners that are gone while others remain."""
        references = obj["metadata"]["ownerReferences"]
        live = [one for one in references if self._owner_state(one, ref) != "gone"]
        waiting = [one for one in live if self._owner_state(one, ref) == "waiting"]
        if not live:
            finalizers = obj["metadata"].get("finalizers") or ()
            policy = ORPHAN if ORPHAN in finalizers else ""
            delete_quietly(self._writer, ref, DeleteOptions(finalizer=policy))
        elif len(waiting) == len(live):
            delete_quietly(self._writer, ref, DeleteOptions(finalizer=FOREGROUND))
        elif len(live) < len(references):
            self._write_owners(ref, obj, live)

    def _owner_state(self, reference: Object, dependent: Ref) -> str:
        """`live`, `gone`, or `waiting` for its dependents to go first."""
        resource = self._writer.registry.of_kind(reference["apiVersion"], reference["kind"])
        if resource is None:
            return "live"  # An unknown kind proves nothing.
        namespace = dependent.namespace if resource.namespaced else ""
        owner = self._store.get(Ref(resource.key, namespace, reference["name"]))
        if owner is None or owner["metadata"]["uid"] != reference["uid"]:
            return "gone"
        metadata = owner["metadata"]
        foreground = metadata.get("deletionTimestamp") and FOREGROUND in (metadata.get("finalizers") or ())
        return "waiting" if foreground else "live"

    def _write_owners(self, ref: Ref, obj: Object, owners: list[Object]) -> None:
        metadata = {key: value for key, value in obj["metadata"].items() if key != "ownerReferences"}
        if owners:
            metadata["ownerReferences"] = owners
        self._store.put(ref, {**obj, "metadata": metadata})

    def _finish(self, ref: Ref, obj: Object) -> None:
        """Do what the finalizers of propagation policies stand for, then take them off."""
        uid, finalizers = obj["metadata"]["uid"], obj["metadata"].get("finalizers") or ()
        dependents = [(one, found) for one in self._store.owned_by(uid) if (found := self._store.get(one))]
        if ORPHAN in finalizers:
            for one, found in dependents:
                owners = [owner for owner in found["metadata"]["ownerReferences"] if owner["uid"] != uid]
                self._write_owners(one, found, owners)
            self._release(ref, obj, ORPHAN)
        elif FOREGROUND in finalizers:
            self._add_all(one for one, found in dependents if not found["metadata"].get("deletionTimestamp"))
            if not any(_blocks(found, uid) for _, found in dependents):
                self._release(ref, obj, FOREGROUND)

    def _release(self, ref: Ref, obj: Object, finalizer: str) -> None:
        kept = [one for one in obj["metadata"]["finalizers"] if one != finalizer]
        metadata = {key: value for key, value in obj["metadata"].items() if key != "finalizers"}
        if kept:
            metadata["finalizers"] = kept
        self._writer.settle(ref, {**obj, "metadata": metadata})

    def _empty_namespace(self, ref: Ref, obj: Object) -> None:
        """Delete the contents, then let the namespace go."""
        left = False
        for resource in self._writer.registry:
            if resource.namespaced and "delete" in resource.verbs:
                for change in self._store.select(resource.key, ref.name):
                    left = True
                    self._try_delete(change.ref)
        if left and any(self._store.select(one.key, ref.name) for one in self._writer.registry if one.namespaced):
            return
        self._writer.settle(ref, {**obj, "spec": {}})

    def _try_delete(self, ref: Ref) -> None:
        try:
            delete_quietly(self._writer, ref, DeleteOptions())
        except StatusError:
            self._add(ref)


def _owners(writer: Writer, obj: Object) -> Iterator[Ref]:
    """The owners of an object that still exist."""
    for reference in obj["metadata"].get("ownerReferences") or ():
        ref = writer.store.by_uid(reference.get("uid", ""))
        if ref:
            yield ref


def _blocks(dependent: Object, uid: str) -> bool:
    references = dependent["metadata"].get("ownerReferences") or ()
    return any(one["uid"] == uid and one.get("blockOwnerDeletion") for one in references)
