"""The pod template's part of a CRD: types and list-map keys, no prose.

Without it `containers` would be one atomic list under server-side apply. The shapes are those of the hash
(`gojson`); the list-map keys that differ from the merge keys are facts of the API server's /openapi/v3.
"""

from functools import cache
from typing import Any

from rollout.api.gojson import TEMPLATE_034, Shapes, shapes

Schema = dict[str, Any]

_KEYS = {
    ("Container", "ports"): ["containerPort", "protocol"],
    ("EphemeralContainer", "ports"): ["containerPort", "protocol"],
    ("PodSpec", "topologySpreadConstraints"): ["topologyKey", "whenUnsatisfiable"],
    ("ResourceRequirements", "claims"): ["name"],
    ("VolumeResourceRequirements", "claims"): ["name"],
}
_ATOMIC = {"LabelSelector", "ObjectFieldSelector", "SecretKeySelector", "ConfigMapKeySelector", "LocalObjectReference"}
_ATOMIC |= {"ResourceFieldSelector", "NodeSelector", "NodeSelectorTerm", "TypedLocalObjectReference"}
_SETS = {("ObjectMeta", "finalizers")}
_LEFT_OUT = {("ObjectMeta", "managedFields"), ("ObjectMeta", "selfLink")}
_LEAVES: dict[str, Schema] = {
    "string": {"type": "string"},
    "int": {"type": "integer", "format": "int64"},
    "bool": {"type": "boolean"},
    "bytes": {"type": "string", "format": "byte"},
    "raw": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    "time": {"type": "string", "format": "date-time", "nullable": True},
    "quantity": {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True},
    "intorstring": {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True},
}


@cache
def pod_template_schema() -> Schema:
    """The structural schema of a PodTemplateSpec."""
    return _struct("PodTemplateSpec", shapes(TEMPLATE_034))


def _struct(name: str, known: Shapes, required: tuple[str, ...] = ()) -> Schema:
    properties = {
        key: _field(name, key, kind, merge_key, known)
        for key, kind, _, merge_key in known[name]
        if (name, key) not in _LEFT_OUT
    }
    schema: Schema = {"type": "object", "properties": properties}
    if name in _ATOMIC:
        schema["x-kubernetes-map-type"] = "atomic"
    if "protocol" in required:
        properties["protocol"] = {"type": "string", "default": "TCP"}
        required = tuple(key for key in required if key != "protocol")
    return schema | ({"required": list(required)} if required else {})


def _field(owner: str, key: str, kind: str, merge_key: str, known: Shapes) -> Schema:
    if kind.startswith("[]#"):
        keys = _KEYS.get((owner, key), [merge_key] if merge_key else [])
        schema: Schema = {"type": "array", "items": _struct(kind[3:], known, tuple(keys))}
        if keys:
            return schema | {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys}
        return schema | {"x-kubernetes-list-type": "atomic"}
    if (owner, key) == ("PodSpec", "nodeSelector"):
        return {**_type(kind, known), "x-kubernetes-map-type": "atomic"}
    schema = _type(kind, known)
    if kind.startswith("[]"):
        schema["x-kubernetes-list-type"] = "set" if (owner, key) in _SETS else "atomic"
    return schema


def _type(kind: str, known: Shapes) -> Schema:
    if kind.startswith("*"):
        return _type(kind[1:], known)
    if kind.startswith("#"):
        return _struct(kind[1:], known)
    if kind.startswith("[]"):
        return {"type": "array", "items": _type(kind[2:], known)}
    if kind.startswith("{}"):
        return {"type": "object", "additionalProperties": _type(kind[2:], known)}
    return dict(_LEAVES[kind])
