"""Defaults and rules of the smaller built-in kinds."""

import base64
import binascii
from collections.abc import Iterator
from typing import Any

from rollout.sandbox.apiserver.errors import Cause
from rollout.sandbox.apiserver.schema.validate import cause, invalid_value, required

Object = dict[str, Any]
RBAC = "rbac.authorization.k8s.io"


def default_secret(obj: Object) -> None:
    """`stringData` is only ever written: it goes into `data`, encoded."""
    plain = obj.pop("stringData", None)
    if plain:
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in plain.items()}
        obj["data"] = {**(obj.get("data") or {}), **encoded}


def default_network_policy(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    if "policyTypes" not in spec:
        spec["policyTypes"] = ["Ingress", *(["Egress"] if spec.get("egress") else [])]


def default_autoscaler(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]


def default_binding(obj: Object) -> None:
    for subject in obj.get("subjects") or ():
        if subject.get("kind") in {"User", "Group"}:
            subject.setdefault("apiGroup", RBAC)


def default_definition(obj: Object) -> None:
    """A CustomResourceDefinition names its singular and list kind by itself."""
    spec = obj.setdefault("spec", {})
    names = spec.setdefault("names", {})
    if kind := names.get("kind"):
        names.setdefault("singular", kind.lower())
        names.setdefault("listKind", f"{kind}List")
    spec.setdefault("conversion", {"strategy": "None"})


def admit_namespace(obj: Object) -> None:
    metadata = obj["metadata"]
    name = {"kubernetes.io/metadata.name": metadata["name"]}
    metadata["labels"] = {**(metadata.get("labels") or {}), **name}
    obj["spec"] = {**(obj.get("spec") or {}), "finalizers": ["kubernetes"]}
    obj["status"] = {"phase": "Active"}


def admit_claim(obj: Object) -> None:
    obj["status"] = {"phase": "Pending"}


def secret_causes(obj: Object, old: Object | None) -> Iterator[Cause]:
    for key, value in (obj.get("data") or {}).items():
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            yield cause("FieldValueInvalid", f"data[{key}]", "Invalid value: must be base64")
    if old and obj.get("type") != old.get("type"):
        yield invalid_value("type", obj.get("type"), "field is immutable")
    yield from frozen_causes(obj, old)


def frozen_causes(obj: Object, old: Object | None) -> Iterator[Cause]:
    """ConfigMaps and Secrets with `immutable: true` keep their data."""
    if old and old.get("immutable"):
        for field in ("data", "binaryData"):
            if obj.get(field) != old.get(field):
                words = "Forbidden: field is immutable when `immutable` is set"
                yield cause("FieldValueForbidden", field, words)


def definition_causes(obj: Object, _old: Object | None) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    names, versions = spec.get("names") or {}, spec.get("versions") or []
    wanted = f"{names.get('plural')}.{spec.get('group')}"
    if obj["metadata"]["name"] != wanted:
        yield invalid_value("metadata.name", obj["metadata"]["name"], 'must be spec.names.plural+"."+spec.group')
    if sum(bool(version.get("storage")) for version in versions) != 1:
        yield cause(
            "FieldValueInvalid",
            "spec.versions",
            "Invalid value: must have exactly one version marked as storage version",
        )
    for index, version in enumerate(versions):
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        path = f"spec.versions[{index}].schema.openAPIV3Schema"
        if not schema:
            yield required(path, "schemas are required")
        elif schema.get("type") != "object":
            yield required(f"{path}.type", "must be object at the root")


def binding_causes(obj: Object, old: Object | None) -> Iterator[Cause]:
    if old and obj.get("roleRef") != old.get("roleRef"):
        yield cause("FieldValueInvalid", "roleRef", 'Invalid value: "object": cannot change roleRef')
