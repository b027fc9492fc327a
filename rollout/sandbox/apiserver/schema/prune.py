"""Unknown fields, nulls and defaults, in that order, as the API server treats a decoded object."""

import copy
from collections.abc import Iterator
from typing import Any

from rollout.sandbox.apiserver.typedsl import Schema

TYPE_META: Schema = {"properties": {"apiVersion": {"type": "string"}, "kind": {"type": "string"}}}


def is_open(schema: Schema) -> bool:
    """True if fields that the schema does not name are kept."""
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return True
    if schema.get("additionalProperties"):
        return True
    return "properties" not in schema and schema.get("type") != "object"


def prune(value: Any, schema: Schema, path: str = "") -> list[str]:
    """Remove unknown fields from the value in place; returns their paths."""
    return list(_prune(value, schema, path))


def _prune(value: Any, schema: Schema, path: str) -> Iterator[str]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _prune(item, schema.get("items") or {}, f"{path}[{index}]")
    elif isinstance(value, dict):
        yield from _prune_fields(value, schema, path)


def _prune_fields(value: dict[str, Any], schema: Schema, path: str) -> Iterator[str]:
    declared = schema.get("properties") or {}
    if schema.get("x-kubernetes-embedded-resource"):
        declared = {"apiVersion": {}, "kind": {}, "metadata": {}} | declared
    values = schema.get("additionalProperties")
    for key in list(value):
        here = f"{path}.{key}" if path else key
        if key in declared:
            yield from _prune(value[key], declared[key], here)
        elif isinstance(values, dict):
            yield from _prune(value[key], values, here)
        elif not is_open(schema):
            del value[key]
            yield here


def drop_nulls(value: Any) -> None:
    """Built-in types know no null: such a field is absent. In place."""
    if isinstance(value, dict):
        for key in [key for key, child in value.items() if child is None]:
            del value[key]
        for child in value.values():
            drop_nulls(child)
    elif isinstance(value, list):
        for item in value:
            drop_nulls(item)


def apply_defaults(value: Any, schema: Schema) -> None:
    """Fill absent fields, and nulls where null is not allowed, with their defaults. In place."""
    if isinstance(value, dict):
        _default_fields(value, schema.get("properties") or {})
        values = schema.get("additionalProperties")
        if isinstance(values, dict):
            for key, child in value.items():
                if key not in (schema.get("properties") or {}):
                    apply_defaults(child, values)
    elif isinstance(value, list) and "items" in schema:
        for item in value:
            apply_defaults(item, schema["items"])


def _default_fields(value: dict[str, Any], declared: dict[str, Schema]) -> None:
    for key, below in declared.items():
        absent = key not in value or (value[key] is None and not below.get("nullable"))
        if "default" in below and absent:
            value[key] = copy.deepcopy(below["default"])
        if key in value:
            apply_defaults(value[key], below)
