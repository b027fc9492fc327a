"""Structural schemas from manifest structs: what the API server checks, prunes and explains.

Types come from msgspec, descriptions from the string literals below the fields.
"""

import ast
import inspect
import textwrap
from functools import cache
from itertools import pairwise
from typing import Any

import msgspec
import msgspec.inspect as mi

from rollout.api.podtemplate import pod_template_schema

Schema = dict[str, Any]

_INT_OR_STRING: Schema = {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True}
_ANY_OBJECT: Schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_CONSTRAINTS = {
    "ge": "minimum",
    "le": "maximum",
    "pattern": "pattern",
    "min_length": "minLength",
    "max_length": "maxLength",
}


def kind_schema(kind: type[msgspec.Struct], api_version: str) -> Schema:
    """The openAPIV3Schema of a kind: its spec and status, beside what every object has."""
    described = describe(kind)
    properties: Schema = {
        "apiVersion": {"type": "string", "description": f"Version of the API, {api_version}."},
        "kind": {"type": "string", "description": f"Kind of the object, {kind.__name__}."},
        "metadata": {"type": "object"},
    }
    for field in msgspec.structs.fields(kind):
        if field.name != "metadata":
            schema = _schema(mi.type_info(field.type), (kind.__name__, field.encode_name))
            properties[field.encode_name] = {"description": described[field.name], **schema}
    return {"type": "object", "description": inspect.getdoc(kind) or "", "required": ["spec"], "properties": properties}


@cache
def describe(kind: type) -> dict[str, str]:
    """The string literals below the fields of a struct and of its bases, by field name."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__[:-1]):
        if not issubclass(base, msgspec.Struct) or base is msgspec.Struct:
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
        statements = body.body if isinstance(body, ast.ClassDef) else []
        for field, text in pairwise(statements):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and _is_text(text):
                found[field.target.id] = " ".join(ast.literal_eval(text.value).split())  # type: ignore[attr-defined]
    return found


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _schema(kind: mi.Type, path: tuple[str, ...]) -> Schema:
    if special := _special(path):
        return special
    match kind:
        case mi.StructType():
            return _struct(kind, path)
        case mi.VarTupleType() | mi.ListType():
            return _list(_schema(kind.item_type, (*path, "[]")))
        case mi.DictType():
            if isinstance(kind.value_type, mi.AnyType):
                return dict(_ANY_OBJECT)
            return {"type": "object", "additionalProperties": _schema(kind.value_type, (*path, "{}"))}
        case mi.UnionType():
            return _union(kind, path)
        case mi.LiteralType():
            return {"type": "string", "enum": list(kind.values)}
        case mi.EnumType():
            return {"type": "string", "enum": [member.value for member in kind.cls]}
        case _:
            return _leaf(kind)


def _special(path: tuple[str, ...]) -> Schema | None:
    """Places where a type alone does not say enough."""
    if path[-1] == "template" and path[0] in {"Rollout", "Experiment"}:
        return pod_template_schema()
    return None


def _struct(kind: mi.StructType, path: tuple[str, ...]) -> Schema:
    described = describe(kind.cls)
    properties = {
        field.encode_name: {
            "description": described[field.name],
            **_schema(field.type, (*path, field.encode_name)),
        }
        for field in kind.fields
    }
    required = [field.encode_name for field in kind.fields if field.required]
    schema: Schema = {"type": "object", "properties": properties}
    if path == ("Rollout", "spec", "selector"):
        message = "cannot be changed; make a new Rollout"
        schema["x-kubernetes-validations"] = [{"rule": "self == oldSelf", "message": message}]
    return schema | ({"required": required} if required else {})


def _list(items: Schema) -> Schema:
    schema: Schema = {"type": "array", "items": items}
    properties = items.get("properties") or {}
    if {"type", "status", "lastTransitionTime"} <= set(properties):
        schema |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
    return schema


def _union(kind: mi.UnionType, path: tuple[str, ...]) -> Schema:
    types = [t for t in kind.types if not isinstance(t, mi.NoneType)]
    if {type(t) for t in types} == {mi.IntType, mi.StrType}:
        return dict(_INT_OR_STRING)
    if len(types) != 1:
        raise TypeError(f"{'.'.join(path)}: {types} is no structural type")
    return _schema(types[0], path)


def _leaf(kind: mi.Type) -> Schema:
    names = {mi.StrType: "string", mi.IntType: "integer", mi.BoolType: "boolean", mi.FloatType: "number"}
    if isinstance(kind, mi.AnyType):
        return {"x-kubernetes-preserve-unknown-fields": True}
    if isinstance(kind, mi.Metadata):
        return _leaf(kind.type)
    schema: Schema = {"type": names[type(kind)]}
    for ours, theirs in _CONSTRAINTS.items():
        value = getattr(kind, ours, None)
        if value is not None:
            schema[theirs] = value
    return schema
