"""Content-hash names for plain ConfigMaps and Secrets of a Rollout.

A Rollout's pods that read a ConfigMap by a fixed name would all see its new contents at once, without a canary.
With the hash of the contents in the name, a change of configuration is a change of the pod template, and is shifted in
steps like every other. Names are rewritten in every pod template of the same render.
"""

import copy
from collections.abc import Callable, Iterator
from typing import Any

from rollout.domain.sync.digest import digest
from rollout.domain.sync.objects import ROLLOUT_GROUPS, Json

ORIGINAL_NAME = "coalmine.dev/config-name"
_HASH_LENGTH = 10
_NAME_LENGTH_MAX = 253
_KINDS = {"ConfigMap", "Secret"}
# Kustomize's generators already put a hash there, and say so in no other way than the name.
_ALREADY_HASHED_LENGTH = 10
_KUSTOMIZE_ALPHABET = frozenset("bcdfghkmt2456789")

Reference = tuple[str, str, str]  # kind, namespace, name
Rename = Callable[[str, str], str]


def hash_config_names(objects: list[tuple[Json, str]], namespace: str) -> tuple[list[tuple[Json, str]], list[str]]:
    """The objects with hashed names where a Rollout reads them, and warnings for what cannot be hashed.

    Args:
        objects: rendered objects with their files; not modified.
        namespace: of objects that name none.
    """
    used = {ref for obj, _ in objects if _is_rollout(obj) for ref in _references_of(obj, namespace)}
    rendered = {_key(obj, namespace): obj for obj, _ in objects if obj["kind"] in _KINDS}
    renames = {ref: _hashed_name(rendered[ref]) for ref in used & rendered.keys() if not _has_hash(ref[2])}
    warnings = [
        f"{kind} {where}/{name} is read by a Rollout but not rendered here: its changes reach all pods at once"
        for kind, where, name in sorted(used - rendered.keys())
    ]
    if not renames:
        return objects, warnings
    return [(_renamed(obj, namespace, renames), path) for obj, path in objects], warnings


def _renamed(obj: Json, namespace: str, renames: dict[Reference, str]) -> Json:
    """A copy with its own name, or its references, replaced."""
    own = renames.get(_key(obj, namespace)) if obj["kind"] in _KINDS else None
    if own is not None:
        metadata = obj["metadata"]
        annotations = {**(metadata.get("annotations") or {}), ORIGINAL_NAME: metadata["name"]}
        return {**obj, "metadata": {**metadata, "name": own, "annotations": annotations}}
    where = obj["metadata"].get("namespace") or namespace
    fresh = copy.deepcopy(obj)
    for holder, key, kind in _slots(fresh):
        holder[key] = renames.get((kind, where, holder[key]), holder[key])
    return fresh


def _references_of(obj: Json, namespace: str) -> Iterator[Reference]:
    where = obj["metadata"].get("namespace") or namespace
    return ((kind, where, holder[key]) for holder, key, kind in _slots(obj))


def _slots(obj: Json) -> Iterator[tuple[dict[str, Any], str, str]]:
    """Where a pod template names ConfigMaps and Secrets: (map, key, kind)."""
    spec = _pod_spec(obj)
    for container in (*_maps(spec, "initContainers"), *_maps(spec, "containers")):
        for variable in _maps(container, "env"):
            source = _map(variable, "valueFrom")
            yield from _named(source, "configMapKeyRef", "name", "ConfigMap")
            yield from _named(source, "secretKeyRef", "name", "Secret")
        for source in _maps(container, "envFrom"):
            yield from _named(source, "configMapRef", "name", "ConfigMap")
            yield from _named(source, "secretRef", "name", "Secret")
    for volume in _maps(spec, "volumes"):
        yield from _named(volume, "configMap", "name", "ConfigMap")
        yield from _named(volume, "secret", "secretName", "Secret")
        for source in _maps(_map(volume, "projected"), "sources"):
            yield from _named(source, "configMap", "name", "ConfigMap")
            yield from _named(source, "secret", "name", "Secret")


def _named(holder: Json, field: str, key: str, kind: str) -> Iterator[tuple[dict[str, Any], str, str]]:
    target = _map(holder, field)
    if isinstance(target.get(key), str) and target.get("optional") is not True:
        yield target, key, kind


def _pod_spec(obj: Json) -> Json:
    spec = _map(obj, "spec")
    if obj["kind"] == "CronJob":
        spec = _map(_map(spec, "jobTemplate"), "spec")
    return _map(obj, "spec") if obj["kind"] == "Pod" else _map(_map(spec, "template"), "spec")


def _map(holder: Json, key: str) -> dict[str, Any]:
    value = holder.get(key)
    return value if isinstance(value, dict) else {}


def _maps(holder: Json, key: str) -> list[dict[str, Any]]:
    values = holder.get(key)
    return [v for v in values if isinstance(v, dict)] if isinstance(values, list) else []


def _is_rollout(obj: Json) -> bool:
    return obj["kind"] == "Rollout" and obj["apiVersion"].partition("/")[0] in ROLLOUT_GROUPS


def _key(obj: Json, namespace: str) -> Reference:
    return obj["kind"], obj["metadata"].get("namespace") or namespace, obj["metadata"]["name"]


def _hashed_name(obj: Json) -> str:
    content = {key: obj.get(key) for key in ("data", "binaryData", "stringData", "type", "immutable") if obj.get(key)}
    suffix = digest(content).removeprefix("sha256:")[:_HASH_LENGTH]
    return f"{obj['metadata']['name'][: _NAME_LENGTH_MAX - _HASH_LENGTH - 1]}-{suffix}"


def _has_hash(name: str) -> bool:
    """Whether the name ends as kustomize's generators end it."""
    tail = name.rpartition("-")[2]
    return len(tail) == _ALREADY_HASHED_LENGTH and set(tail) <= _KUSTOMIZE_ALPHABET
