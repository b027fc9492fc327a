"""Walks over values with their schemas: which fields a value sets, what changed, merge and removal.

The rules are those of Kubernetes' structured merge: maps and lists with keys are walked, atomic maps
and lists are single fields, what has no schema is walked when it is a map and atomic when it is a list.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from rollout.sandbox.apiserver.fields.paths import Fields, Path, item_element
from rollout.sandbox.apiserver.typedsl import Schema

MISSING: Final[Any] = object()


@dataclass
class Comparison:
    """What turned one value into another."""

    added: set[Path] = field(default_factory=set)
    modified: set[Path] = field(default_factory=set)
    removed: set[Path] = field(default_factory=set)


def child_schema(schema: Schema, key: str) -> tuple[Schema, bool]:
    """Schema of a map's entry, and whether it is a declared field."""
    declared = (schema.get("properties") or {}).get(key)
    if declared is not None:
        return declared, True
    values = schema.get("additionalProperties")
    return (values if isinstance(values, dict) else {}), False


def is_leaf(value: Any, schema: Schema) -> bool:
    """True for scalars and for what is replaced as a whole."""
    if isinstance(value, dict):
        return schema.get("x-kubernetes-map-type") == "atomic"
    if isinstance(value, list):
        return schema.get("x-kubernetes-list-type") not in {"map", "set"}
    return True


def children(value: Any, schema: Schema) -> Iterator[tuple[str, Any, Schema]]:
    """(element, child, its schema) of a map or an associative list; duplicates keep the first."""
    if isinstance(value, dict):
        for key, child in value.items():
            yield f"f:{key}", child, child_schema(schema, key)[0]
        return
    items = schema.get("items") or {}
    for item in value:
        element = item_element(item, schema)
        if element is not None:
            yield element, item, items


def field_set(value: Any, schema: Schema) -> Fields:
    """The fields that an applied configuration sets."""
    found: set[Path] = set()
    _walk_set(value, schema, (), found)
    return frozenset(found)


def _walk_set(value: Any, schema: Schema, path: Path, found: set[Path]) -> None:
    if is_leaf(value, schema):
        found.add(path)
        return
    for element, child, below in children(value, schema):
        here = (*path, element)
        _walk_set(child, below, here, found)
        if not element.startswith("f:") or not child_schema(schema, element[2:])[1] or child in (None, {}):
            found.add(here)


def compare(old: Any, new: Any, schema: Schema) -> Comparison:
    """The fields that differ between two values of one schema."""
    result = Comparison()
    _walk_compare(old, new, schema, (), result)
    return result


def _walk_compare(old: Any, new: Any, schema: Schema, path: Path, result: Comparison) -> None:
    if old is not MISSING and new is not MISSING and (old is new or old == new):
        return
    if path and old is MISSING:
        result.added.add(path)
    elif path and new is MISSING:
        result.removed.add(path)
    elif is_leaf(old, schema) or is_leaf(new, schema) or type(old) is not type(new):
        result.modified.add(path)
        return
    before, after = _by_element(old, schema), _by_element(new, schema)
    for element in before | after:
        then, below = before.get(element, (MISSING, {}))
        now, newer = after.get(element, (MISSING, {}))
        _walk_compare(then, now, newer or below, (*path, element), result)


def _by_element(value: Any, schema: Schema) -> dict[str, tuple[Any, Schema]]:
    if value is MISSING or is_leaf(value, schema):
        return {}
    found: dict[str, tuple[Any, Schema]] = {}
    for element, child, below in children(value, schema):
        found.setdefault(element, (child, below))
    return found


def merge(live: Any, config: Any, schema: Schema) -> Any:
    """The live value with an applied configuration laid over it. Neither argument is changed."""
    if is_leaf(config, schema) or type(live) is not type(config):
        return config
    if isinstance(config, dict):
        merged = dict(live)
        for key, value in config.items():
            merged[key] = merge(live[key], value, child_schema(schema, key)[0]) if key in live else value
        return merged
    return _merge_lists(live, config, schema)


def _merge_lists(live: list[Any], config: list[Any], schema: Schema) -> list[Any]:
    """Items of the configuration in its order; items of others stay where they stood among them."""
    theirs, ours = _by_element(live, schema), _by_element(config, schema)
    items, merged, waiting = schema.get("items") or {}, [], list(theirs)
    for element, (item, _) in ours.items():
        while waiting and waiting[0] not in ours:
            merged.append(theirs[waiting.pop(0)][0])
        if element in theirs:
            merged.append(merge(theirs[element][0], item, items))
            waiting = [other for other in waiting if other != element]
        else:
            merged.append(item)
    return merged + [theirs[element][0] for element in waiting]


def remove(value: Any, fields: Fields, schema: Schema) -> Any:
    """The value without these fields; containers above them stay."""
    if not fields or is_leaf(value, schema):
        return value
    whole = {path[0] for path in fields if len(path) == 1}
    below: dict[str, set[Path]] = {}
    for path in fields:
        if len(path) > 1 and path[0] not in whole:
            below.setdefault(path[0], set()).add(path[1:])
    kept = [
        (element, remove(child, frozenset(below.get(element, ())), inner))
        for element, child, inner in children(value, schema)
        if element not in whole
    ]
    if isinstance(value, dict):
        return {element[2:]: child for element, child in kept}
    return [child for _, child in kept]
