"""Which ConfigMaps and Secrets a pod template reads."""

from collections.abc import Iterator
from typing import Any

from rollout.domain.sync.objects import Json

Reference = tuple[str, str, str]
"""Kind, namespace, name."""


def config_references(obj: Json, namespace: str) -> Iterator[Reference]:
    """What the pods of an object read; `namespace` is for objects that name none."""
    where = obj["metadata"].get("namespace") or namespace
    return ((kind, where, holder[key]) for holder, key, kind in config_slots(obj))


def config_slots(obj: Json) -> Iterator[tuple[dict[str, Any], str, str]]:
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
    if obj.get("kind") == "CronJob":
        spec = _map(_map(spec, "jobTemplate"), "spec")
    return _map(obj, "spec") if obj.get("kind") == "Pod" else _map(_map(spec, "template"), "spec")


def _map(holder: Json, key: str) -> dict[str, Any]:
    value = holder.get(key)
    return value if isinstance(value, dict) else {}


def _maps(holder: Json, key: str) -> list[dict[str, Any]]:
    values = holder.get(key)
    return [v for v in values if isinstance(v, dict)] if isinstance(values, list) else []
