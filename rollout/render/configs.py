"""Content-hash names for plain ConfigMaps and Secrets of a Rollout.

A Rollout's pods that read a ConfigMap by a fixed name would all see its new contents at once, without a canary.
With the hash of the contents in the name, a change of configuration is a change of the pod template, and is shifted in
steps like every other. Names are rewritten in every pod template of the same render.
"""

import copy

from rollout.domain.sync.digest import digest
from rollout.domain.sync.objects import ROLLOUT_GROUPS, Json
from rollout.domain.sync.references import Reference, config_references, config_slots

ORIGINAL_NAME = "coalmine.dev/config-name"
_HASH_LENGTH = 10
_NAME_LENGTH_MAX = 253
_KINDS = {"ConfigMap", "Secret"}
# Kustomize's generators already put a hash there, and say so in no other way than the name.
_ALREADY_HASHED_LENGTH = 10
_KUSTOMIZE_ALPHABET = frozenset("bcdfghkmt2456789")


def hash_config_names(objects: list[tuple[Json, str]], namespace: str) -> tuple[list[tuple[Json, str]], list[str]]:
    """The objects with hashed names where a Rollout reads them, and warnings for what cannot be hashed.

    Args:
        objects: rendered objects with their files; not modified.
        namespace: of objects that name none.
    """
    used = {ref for obj, _ in objects if _is_rollout(obj) for ref in config_references(obj, namespace)}
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
    for holder, key, kind in config_slots(fresh):
        holder[key] = renames.get((kind, where, holder[key]), holder[key])
    return fresh


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
