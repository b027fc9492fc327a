"""Built-in types from a compact notation to structural schemas.

A type is a mapping of fields. A field is `name: TYPE`, `name!: TYPE` when it is required, and may
end in ` = DEFAULT`, where DEFAULT is YAML, nothing (the empty string) or `new` (an empty object,
which then takes its own defaults). TYPE is one of

    string  string(A|B)  int  int(1..65535)  bool  number  time  quantity  intstr  any  Name
    list T          replaced as a whole        list(k1,k2) T   merged by these keys
    set T           merged by value            map T           merged by key
    atomicmap T     replaced as a whole

`$object: true` adds apiVersion, kind and metadata; `$atomic: true` makes the object atomic.
"""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import yaml

Schema = dict[str, Any]
DATA = Path(__file__).parent / "data"
TYPE_FILES = ("meta.yaml", "core.yaml", "workloads.yaml", "network.yaml", "reviews.yaml")

_SCALARS: dict[str, Schema] = {
    "string": {"type": "string"},
    "int": {"type": "integer", "format": "int64"},
    "bool": {"type": "boolean"},
    "number": {"type": "number"},
    "time": {"type": "string", "format": "date-time"},
    "quantity": {"x-kubernetes-int-or-string": True, "format": "quantity"},
    "intstr": {"x-kubernetes-int-or-string": True, "format": "int-or-string"},
    "any": {"x-kubernetes-preserve-unknown-fields": True},
}
_LIST = re.compile(r"(?:list|set)(?:\(([\w,]+)\))? (.+)")
_ARGUMENTS = re.compile(r"(string|int)\((.+)\)")

Reference = Callable[[str], Schema]


class Types:
    """All named types, compiled on demand: whole, or with `$ref`s for OpenAPI documents."""

    def __init__(self, sources: dict[str, dict[str, Any]], packages: dict[str, str]) -> None:
        self._sources, self._packages = sources, packages
        self._whole: dict[str, Schema] = {}

    def names(self) -> list[str]:
        return list(self._sources)

    def full_name(self, name: str) -> str:
        """Name of the component in OpenAPI documents, such as `io.k8s.api.core.v1.PodSpec`."""
        return f"{self._packages[name]}.{name}"

    def whole(self, name: str) -> Schema:
        """The structural schema with everything in place. Shared: never change it."""
        if name not in self._whole:
            self._whole[name] = self._compile(name, self.whole)
        return self._whole[name]

    def referring(self, name: str) -> Schema:
        """The schema of one type, where other named types are `$ref`s."""
        return self._compile(name, lambda other: {"allOf": [{"$ref": f"#/components/schemas/{self.full_name(other)}"}]})

    def _compile(self, name: str, refer: Reference) -> Schema:
        source = self._sources[name]
        schema: Schema = {"type": "object", "properties": {}}
        if source.get("$atomic"):
            schema["x-kubernetes-map-type"] = "atomic"
        fields = dict(source)
        if source.get("$object"):
            fields |= {"apiVersion": "string", "kind": "string", "metadata": "ObjectMeta"}
        for field, notation in sorted(fields.items()):
            if not field.startswith("$"):
                schema["properties"][field.rstrip("!")] = _field(notation, refer)
        required = sorted(field[:-1] for field in source if field.endswith("!"))
        return {**schema, "required": required} if required else schema


def _field(notation: str, refer: Reference) -> Schema:
    notation, has_default, default = f"{notation} ".partition(" = ")
    schema = dict(_type(notation.strip(), refer))
    if has_default:
        schema["default"] = _default(default.strip())
    return schema


def _default(text: str) -> Any:
    if text == "new":
        return {}
    return yaml.safe_load(text) if text else ""


def _type(notation: str, refer: Reference) -> Schema:
    if notation in _SCALARS:
        return _SCALARS[notation]
    if matched := _LIST.fullmatch(notation):
        return _list(notation, matched, refer)
    if notation.startswith(("map ", "atomicmap ")):
        kind, _, values = notation.partition(" ")
        atomic = {"x-kubernetes-map-type": "atomic"} if kind == "atomicmap" else {}
        return {"type": "object", "additionalProperties": _type(values, refer), **atomic}
    if matched := _ARGUMENTS.fullmatch(notation):
        return _limited(matched[1], matched[2])
    return refer(notation)


def _list(notation: str, matched: re.Match[str], refer: Reference) -> Schema:
    schema: Schema = {"type": "array", "items": _type(matched[2], refer)}
    if matched[1]:
        keys = matched[1].split(",")
        merge = {"x-kubernetes-patch-merge-key": keys[0], "x-kubernetes-patch-strategy": "merge"}
        return {**schema, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys, **merge}
    if notation.startswith("set"):
        return {**schema, "x-kubernetes-list-type": "set", "x-kubernetes-patch-strategy": "merge"}
    return {**schema, "x-kubernetes-list-type": "atomic"}


def _limited(kind: str, arguments: str) -> Schema:
    if kind == "string":
        return {"type": "string", "enum": arguments.split("|")}
    low, _, high = arguments.partition("..")
    limits = {"minimum": low, "maximum": high}
    return {**_SCALARS["int"], **{key: int(value) for key, value in limits.items() if value}}


@cache
def load_types() -> Types:
    """The built-in types of the data files."""
    sources: dict[str, dict[str, Any]] = {}
    packages: dict[str, str] = {}
    for name in TYPE_FILES:
        for document in yaml.safe_load_all((DATA / name).read_text()):
            sources |= document["types"]
            packages |= dict.fromkeys(document["types"], document["package"])
    return Types(sources, packages)
