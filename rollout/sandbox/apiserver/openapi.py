"""OpenAPI documents: what `kubectl explain`, validation and server-side apply look at."""

import hashlib
import operator
from typing import Any

from rollout.sandbox.apiserver.errors import unknown_path
from rollout.sandbox.apiserver.kinds import Registry, Resource, Version
from rollout.sandbox.apiserver.store import encode_json
from rollout.sandbox.apiserver.typedsl import Schema, load_types

Object = dict[str, Any]
_GVK = "x-kubernetes-group-version-kind"
_PATCH_TYPES = (
    "application/json-patch+json", "application/merge-patch+json",
    "application/strategic-merge-patch+json", "application/apply-patch+yaml",
)  # fmt: skip


class Documents:
    """Encoded documents, made anew when the served resources change."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._served: list[Resource] = []
        self._encoded: dict[str, bytes] = {}

    def answer(self, rest: list[str]) -> bytes:
        """The body for /openapi/v3 followed by these parts.

        Raises:
            StatusError: 404.
        """
        self._refresh()
        path = "/".join(rest)
        if not path:
            return encode_json({"paths": {path: {"serverRelativeURL": self._url(path)} for path in self._encoded}})
        if path not in self._encoded:
            raise unknown_path()
        return self._encoded[path]

    def _refresh(self) -> None:
        served = list(self._registry)
        if len(served) == len(self._served) and all(map(operator.is_, served, self._served)):
            return
        self._served, self._encoded = served, {}
        for group, versions in self._registry.group_versions().items():
            for version in versions:
                path = f"apis/{group}/{version}" if group else f"api/{version}"
                self._encoded[path] = encode_json(document(self._registry, group, version))

    def _url(self, path: str) -> str:
        # Clients keep a document for as long as this hash does not change.
        digest = hashlib.sha256(self._encoded[path]).hexdigest()[:32].upper()
        return f"/openapi/v3/{path}?hash={digest}"


def document(registry: Registry, group: str, version: str) -> Object:
    """The OpenAPI v3 document of one group and version.

    Raises:
        StatusError: 404.
    """
    served = registry.group_versions().get(group, {}).get(version)
    if served is None:
        raise unknown_path()
    paths: Object = {}
    schemas: dict[str, Schema] = {}
    for resource, one in served:
        name = _component(resource, one)
        schemas[name] = {**_schema(resource, one, schemas), _GVK: [_gvk(resource, one)]}
        schemas[f"{name}List"] = _list_schema(resource, one, name)
        paths |= _paths(resource, one, name)
    info = {"title": "Kubernetes", "version": "v1.36.0"}
    return {"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": schemas}}


def _gvk(resource: Resource, version: Version) -> Object:
    return {"group": resource.group, "version": version.name, "kind": resource.kind}


def _component(resource: Resource, version: Version) -> str:
    if resource.custom:
        return ".".join([*reversed(resource.group.split(".")), version.name, resource.kind])
    return load_types().full_name(version.type_name)


def _schema(resource: Resource, version: Version, schemas: dict[str, Schema]) -> Schema:
    if resource.custom:
        _add_named("ObjectMeta", schemas)
        metadata = {"allOf": [{"$ref": f"#/components/schemas/{load_types().full_name('ObjectMeta')}"}]}
        properties = {**version.schema["properties"], "metadata": metadata}
        return {**version.schema, "properties": properties}
    return _add_named(version.type_name, schemas)


def _add_named(name: str, schemas: dict[str, Schema]) -> Schema:
    """Put a built-in type and all it refers to among the components."""
    types = load_types()
    full = types.full_name(name)
    if full not in schemas:
        schemas[full] = types.referring(name)
        for other in sorted(_references(schemas[full])):
            _add_named(other.rpartition(".")[2], schemas)
    return schemas[full]


def _references(schema: Any) -> set[str]:
    if isinstance(schema, list):
        return {name for item in schema for name in _references(item)}
    if not isinstance(schema, dict):
        return set()
    found = {name for value in schema.values() for name in _references(value)}
    ref = schema.get("$ref")
    return found | {ref} if isinstance(ref, str) else found


def _list_schema(resource: Resource, version: Version, name: str) -> Schema:
    gvk = {**_gvk(resource, version), "kind": resource.list_kind}
    items = {"type": "array", "items": {"allOf": [{"$ref": f"#/components/schemas/{name}"}]}}
    texts = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}}
    properties = {**texts, "metadata": {"type": "object"}, "items": items}
    return {"type": "object", "required": ["items"], "properties": properties, _GVK: [gvk]}


def _paths(resource: Resource, version: Version, name: str) -> Object:
    base = f"/apis/{resource.group}/{version.name}" if resource.group else f"/api/{version.name}"
    if resource.namespaced:
        base += "/namespaces/{namespace}"
    collection, gvk = f"{base}/{resource.plural}", _gvk(resource, version)
    body = {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}}
    paths = {collection: {"post": _operation("post", gvk, body)}}
    if "get" in resource.verbs:
        paths[collection]["get"] = _operation("list", gvk, body)
        verbs = {"get": "get", "put": "put", "patch": "patch", "delete": "delete"}
        one = {verb: _operation(action, gvk, body) for verb, action in verbs.items()}
        one["patch"]["requestBody"] = _patch_body(custom=resource.custom)
        paths[f"{collection}/{{name}}"] = one
    return paths


def _operation(action: str, gvk: Object, body: Object) -> Object:
    operation: Object = {
        "x-kubernetes-action": action,
        _GVK: gvk,
        "responses": {"200": {"description": "OK", **body}},
    }
    if action in {"post", "put", "patch"}:
        names = ("dryRun", "fieldManager", "fieldValidation")
        text = {"type": "string", "uniqueItems": True}
        operation["parameters"] = [{"name": one, "in": "query", "schema": text} for one in names]
        operation["requestBody"] = body
    return operation


def _patch_body(*, custom: bool) -> Object:
    # kubectl sends a strategic patch wherever this list offers it.
    kinds = [kind for kind in _PATCH_TYPES if not (custom and "strategic" in kind)]
    return {"content": {kind: {"schema": {"type": "object"}} for kind in kinds}}


def minimal_v2() -> Object:
    """/openapi/v2 for clients that insist on it; schemas are only in v3."""
    info = {"title": "Kubernetes", "version": "v1.36.0"}
    return {"swagger": "2.0", "info": info, "paths": {}, "definitions": {}}
