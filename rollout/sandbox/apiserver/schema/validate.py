"""Validation of values by structural schemas, with the API server's words."""

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from rollout.sandbox.apiserver.errors import Cause
from rollout.sandbox.apiserver.fields.paths import compact_json
from rollout.sandbox.apiserver.schema import rules
from rollout.sandbox.apiserver.typedsl import Schema

MAX_CAUSES = 100
_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,), "array": (list,), "string": (str,), "boolean": (bool,),
    "integer": (int,), "number": (int, float),
}  # fmt: skip


def cause(reason: str, field: str, message: str) -> Cause:
    return {"reason": reason, "message": message, "field": field}


def shown(value: Any) -> str:
    """A value as messages quote it: JSON, or the type's name for what is too long to read."""
    match value:
        case dict():
            return '"object"'
        case list():
            return '"array"'
        case _:
            return json.dumps(value, ensure_ascii=False)


def invalid_value(field: str, value: Any, problem: str) -> Cause:
    return cause("FieldValueInvalid", field, f"Invalid value: {shown(value)}: {problem}")


def required(field: str, detail: str = "") -> Cause:
    return cause("FieldValueRequired", field, f"Required value{': ' + detail if detail else ''}")


def not_supported(field: str, value: Any, allowed: list[Any]) -> Cause:
    listed = ", ".join(json.dumps(one) for one in allowed)
    return cause("FieldValueNotSupported", field, f"Unsupported value: {shown(value)}: supported values: {listed}")


def validate(value: Any, schema: Schema, path: str = "", old: Any = None) -> list[Cause]:
    """Everything that is wrong with a value, at most 100 causes.

    Args:
        value: after pruning and defaulting.
        schema: a structural schema (OpenAPI v3 with the Kubernetes extensions).
        path: of the value, for messages; empty for a whole object.
        old: the value that is replaced, for transition rules; None on create.
    """
    found: list[Cause] = []
    for one in _validate(value, schema, path, old):
        found.append(one)
        if len(found) == MAX_CAUSES:
            break
    return found


def _validate(value: Any, schema: Schema, path: str, old: Any) -> Iterator[Cause]:
    if value is None and (schema.get("nullable") or not schema.get("type")):
        return
    problem = _type_problem(value, schema, path)
    if problem:
        yield problem
        return
    match value:
        case dict():
            yield from _validate_object(value, schema, path, old)
        case list():
            yield from _validate_array(value, schema, path, old)
        case _:
            yield from _validate_scalar(value, schema, path)
    yield from rules.check(value, schema, path, old)


def _type_problem(value: Any, schema: Schema, path: str) -> Cause | None:
    if schema.get("x-kubernetes-int-or-string"):
        quantity = schema.get("format") == "quantity"
        allowed = isinstance(value, (int, str, float) if quantity else (int, str))
        wanted, right = "integer,string", allowed and not isinstance(value, bool)
    else:
        wanted = schema.get("type", "")
        right = not wanted or isinstance(value, _PYTHON_TYPES[wanted])
        if isinstance(value, bool) and wanted in {"integer", "number"}:
            right = False
        if isinstance(value, float) and wanted == "integer":
            right = value.is_integer()
    if right:
        return None
    kind = _json_type(value)
    field = path or "<nil>"
    in_words = json.dumps(kind)
    words = f"Invalid value: {in_words}: {path} in body must be of type {wanted}: {in_words}"
    return cause("FieldValueTypeInvalid", field, words)


def _json_type(value: Any) -> str:
    if value is None:
        return "null"
    for name, types in _PYTHON_TYPES.items():
        if isinstance(value, types):
            return name
    return type(value).__name__


def _validate_object(value: dict[str, Any], schema: Schema, path: str, old: Any) -> Iterator[Cause]:
    before = old if isinstance(old, dict) else {}
    declared, values = schema.get("properties") or {}, schema.get("additionalProperties")
    for key in schema.get("required") or ():
        if key not in value:
            yield required(f"{path}.{key}" if path else key)
    for key, child in value.items():
        below = declared.get(key, values if isinstance(values, dict) else None)
        if below is not None:
            dotted = f"{path}.{key}" if path else key
            yield from _validate(child, below, dotted if key in declared else f"{path}.{key}", before.get(key))
    yield from _sizes(len(value), schema, path, ("minProperties", "maxProperties", "properties"))


def _sizes(size: int, schema: Schema, path: str, names: tuple[str, str, str]) -> Iterator[Cause]:
    low, high, noun = names
    if high in schema and size > schema[high]:
        many = f"Too many: {size}: must have at most {schema[high]} items"
        yield cause("FieldValueTooMany", path, many)
    if low in schema and size < schema[low]:
        yield invalid_value(path, size, f"{path} in body should have at least {schema[low]} {noun}")


def _validate_array(value: list[Any], schema: Schema, path: str, old: Any) -> Iterator[Cause]:
    items = schema.get("items") or {}
    before = _old_items(old, schema)
    for index, item in enumerate(value):
        key = _item_key(item, schema)
        yield from _validate(item, items, f"{path}[{index}]", before.get(key) if key is not None else None)
    yield from _duplicates(value, schema, path)
    yield from _sizes(len(value), schema, path, ("minItems", "maxItems", "items"))


def _old_items(old: Any, schema: Schema) -> dict[str, Any]:
    if not isinstance(old, list) or schema.get("x-kubernetes-list-type") != "map":
        return {}
    return {key: item for item in old if (key := _item_key(item, schema)) is not None}


def _item_key(item: Any, schema: Schema) -> str | None:
    match schema.get("x-kubernetes-list-type"):
        case "set":
            return compact_json(item)
        case "map" if isinstance(item, dict):
            keys = {key: item[key] for key in schema["x-kubernetes-list-map-keys"] if key in item}
            return compact_json(keys)
        case _:
            return None


def _duplicates(value: list[Any], schema: Schema, path: str) -> Iterator[Cause]:
    seen: set[str] = set()
    for index, item in enumerate(value):
        key = _item_key(item, schema)
        if key is not None and key in seen:
            yield cause("FieldValueDuplicate", f"{path}[{index}]", f"Duplicate value: {key}")
        if key is not None:
            seen.add(key)


def _validate_scalar(value: Any, schema: Schema, path: str) -> Iterator[Cause]:
    if "enum" in schema and value not in schema["enum"]:
        yield not_supported(path, value, schema["enum"])
    if isinstance(value, str):
        yield from _validate_string(value, schema, path)
    elif isinstance(value, (int, float)):
        yield from _validate_number(value, schema, path)


def _validate_string(value: str, schema: Schema, path: str) -> Iterator[Cause]:
    if len(value) > schema.get("maxLength", len(value)):
        longest = schema["maxLength"]
        yield cause("FieldValueTooLong", path, f"Too long: may not be more than {longest} bytes")
    if len(value) < schema.get("minLength", 0):
        yield invalid_value(path, value, f"{path} in body should be at least {schema['minLength']} chars long")
    pattern = schema.get("pattern")
    if pattern and not _compiled(pattern).search(value):
        yield invalid_value(path, value, f"{path} in body should match '{pattern}'")
    if schema.get("format") == "date-time" and not _DATE_TIME.fullmatch(value):
        yield invalid_value(path, value, f"{path} in body must be of type date-time: {json.dumps(value)}")


_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    # Schemas are written for Go's RE2; what Python reads differently at their ends is \z.
    return re.compile(pattern.replace(r"\z", r"\Z"))


def _validate_number(value: float, schema: Schema, path: str) -> Iterator[Cause]:
    low, high, step = schema.get("minimum"), schema.get("maximum"), schema.get("multipleOf")
    if low is not None and (value < low or (schema.get("exclusiveMinimum") and value == low)):
        words = "greater than" if schema.get("exclusiveMinimum") else "greater than or equal to"
        yield invalid_value(path, value, f"{path} in body should be {words} {low}")
    if high is not None and (value > high or (schema.get("exclusiveMaximum") and value == high)):
        words = "less than" if schema.get("exclusiveMaximum") else "less than or equal to"
        yield invalid_value(path, value, f"{path} in body should be {words} {high}")
    if step and value % step:
        yield invalid_value(path, value, f"{path} in body should be a multiple of {step}")
