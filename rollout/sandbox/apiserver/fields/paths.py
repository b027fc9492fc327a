"""Paths of fields, and their `FieldsV1` form in managedFields.

A path is a tuple of elements as FieldsV1 writes them: `f:name` for a field, `k:{"name":"app"}` for
the item of a list with keys, `v:"x"` for the item of a set. Sets of fields are frozensets of paths.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from rollout.sandbox.apiserver.typedsl import Schema

Path = tuple[str, ...]
Fields = frozenset[Path]
NOTHING: Fields = frozenset()

_encode = msgspec.json.Encoder(order="sorted").encode


def compact_json(value: Any) -> str:
    return _encode(value).decode()


def item_element(item: Any, schema: Schema) -> str | None:
    """The element of one list item; None if the item lacks its keys."""
    if schema.get("x-kubernetes-list-type") == "set":
        return f"v:{compact_json(item)}"
    if not isinstance(item, dict):
        return None
    properties = (schema.get("items") or {}).get("properties") or {}
    keys: dict[str, Any] = {}
    for key in schema["x-kubernetes-list-map-keys"]:
        value = item.get(key, (properties.get(key) or {}).get("default"))
        if value is not None:
            keys[key] = value
    return f"k:{compact_json(keys)}" if keys else None


def to_fields_v1(fields: Iterable[Path]) -> dict[str, Any]:
    """The nested FieldsV1 object; a parent that is itself a member has a `.` entry."""
    root: dict[str, Any] = {}
    members = set(fields)
    for path in sorted(members):
        node = root
        for element in path:
            node = node.setdefault(element, {})
    for path in members:
        node = root
        for element in path:
            node = node[element]
        if node:
            node["."] = {}
    return _sorted(root)


def _sorted(node: dict[str, Any]) -> dict[str, Any]:
    return {key: _sorted(node[key]) for key in sorted(node)}


def from_fields_v1(node: dict[str, Any]) -> Fields:
    """The inverse of to_fields_v1."""
    found: set[Path] = set()
    _collect(node, (), found)
    return frozenset(found)


def _collect(node: dict[str, Any], path: Path, found: set[Path]) -> None:
    if path and (not node or "." in node):
        found.add(path)
    for element, child in node.items():
        if element != ".":
            _collect(child if isinstance(child, dict) else {}, (*path, element), found)


def with_named_parents(fields: Fields) -> Fields:
    """The fields and every struct field above one of them, so that a parent outlives its children."""
    found = set(fields)
    for path in fields:
        for length in range(1, len(path)):
            if path[length - 1].startswith("f:"):
                found.add(path[:length])
    return frozenset(found)


def display(path: Path) -> str:
    """`.spec.template.spec.containers[name="app"].image`, as conflicts are printed."""
    return "".join(_display_element(element) for element in path)


def _display_element(element: str) -> str:
    kind, _, rest = element.partition(":")
    match kind:
        case "f":
            return f".{rest}"
        case "k":
            keys = msgspec.json.decode(rest)
            return f"[{','.join(f'{key}={compact_json(value)}' for key, value in keys.items())}]"
        case "v":
            return f"[={rest}]"
        case _:
            return f"[{rest}]"
