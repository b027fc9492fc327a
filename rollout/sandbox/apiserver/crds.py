"""CustomResourceDefinitions: they add resources to the registry, and say so in their status."""

from pathlib import Path
from typing import Any

import yaml

from rollout.sandbox.apiserver.builtin.strategies import CRDS
from rollout.sandbox.apiserver.clock import timestamp
from rollout.sandbox.apiserver.deleter import DeleteOptions, delete_quietly
from rollout.sandbox.apiserver.kinds import custom_resource
from rollout.sandbox.apiserver.requests import Target, WriteOptions
from rollout.sandbox.apiserver.store import Change, Object, Ref
from rollout.sandbox.apiserver.typedsl import DATA
from rollout.sandbox.apiserver.writer import Writer

MANAGER = "coalmine-sandbox"


class Definitions:
    """Keeps the registry in step with the stored definitions."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._store, self._registry = writer.store, writer.registry
        self._store.listeners.append(self._heard)

    def restore(self) -> None:
        """Serve what was stored before."""
        for change in self._store.select(CRDS):
            self._registry.add(custom_resource(change.obj))

    def _heard(self, change: Change) -> None:
        if change.ref.resource != CRDS:
            return
        if change.type == "DELETED":
            self._withdraw(change.obj)
        elif change.previous is None or change.previous["spec"] != change.obj["spec"]:
            self._registry.add(custom_resource(change.obj))
            self._establish(change.ref, change.obj)

    def _withdraw(self, definition: Object) -> None:
        key = (definition["spec"]["group"], definition["spec"]["names"]["plural"])
        for change in self._store.select(key):
            delete_quietly(self._writer, change.ref, DeleteOptions())
        self._registry.remove(key)

    def _establish(self, ref: Ref, definition: Object) -> None:
        spec, now = definition["spec"], timestamp()
        before = {one["type"]: one for one in (definition.get("status") or {}).get("conditions") or ()}
        conditions = [
            before.get("NamesAccepted") or _condition("NamesAccepted", "NoConflicts", "no conflicts found", now),
            before.get("Established")
            or _condition("Established", "InitialNamesAccepted", "the initial names have been accepted", now),
        ]
        stored = (definition.get("status") or {}).get("storedVersions") or []
        storage = next(version["name"] for version in spec["versions"] if version["storage"])
        status = {
            "acceptedNames": spec["names"],
            "conditions": conditions,
            "storedVersions": stored if storage in stored else [*stored, storage],
        }
        self._store.put(ref, {**definition, "status": status})


def _condition(kind: str, reason: str, message: str, now: str) -> Object:
    return {"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": now}


def load_definitions(writer: Writer, paths: list[Path]) -> None:
    """Create or update definitions from YAML files, or all YAML files of folders.

    Raises:
        StatusError: a definition is invalid.
    """
    for path in [DATA / "gateway.yaml", *paths]:
        files = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
        for file in files:
            for document in yaml.safe_load_all(file.read_text()):
                if document and document.get("kind") == "CustomResourceDefinition":
                    _install(writer, document)


def _install(writer: Writer, document: dict[str, Any]) -> None:
    resource = writer.registry.resources[CRDS]
    target = Target(resource, resource.storage, "", document["metadata"]["name"])
    options = WriteOptions(MANAGER)
    old = writer.store.get(target.ref)
    if old is None:
        writer.create(target, document, options)
    else:
        writer.replace(target, old, {**document, "metadata": {**document["metadata"]}}, options)
