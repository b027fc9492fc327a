"""`meta.k8s.io` Tables: what `kubectl get` prints."""

import calendar
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rollout.sandbox.apiserver import jsonpath
from rollout.sandbox.apiserver.kinds import Resource, Version

Object = dict[str, Any]
Cell = Callable[[Object], Any]


@dataclass(frozen=True)
class Column:
    """A column: its title, its cells, and priority 1 for those of `-o wide`."""

    name: str
    cell: Cell
    type: str = "string"
    priority: int = 0
    format: str = ""
    description: str = ""

    def definition(self) -> Object:
        return {
            "name": self.name, "type": self.type, "format": self.format,
            "description": self.description, "priority": self.priority,
        }  # fmt: skip


def age(moment: str | None, now: float | None = None) -> str:
    """Time since an RFC 3339 moment as kubectl shortens it: `5s`, `3m20s`, `7h`, `12d`."""
    if not moment:
        return "<unknown>"
    then = calendar.timegm(time.strptime(moment[:19], "%Y-%m-%dT%H:%M:%S"))
    return duration((time.time() if now is None else now) - then)


def duration(seconds: float) -> str:
    """A duration as kubectl shortens it."""
    total = int(seconds)
    if total < -1:
        return "<invalid>"
    minutes, hours, days = total // 60, total // 3600, total // 86400
    if total < 120:
        return f"{max(total, 0)}s"
    if minutes < 10:
        return f"{minutes}m{total % 60}s" if total % 60 else f"{minutes}m"
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if days < 2:
        return f"{hours}h"
    if days < 8:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    return f"{days}d" if days < 730 else f"{days // 365}y{days % 365}d"


NAME = Column("Name", lambda obj: obj["metadata"]["name"], format="name")
AGE = Column("Age", lambda obj: age(obj["metadata"].get("creationTimestamp")))


def columns_of(resource: Resource, version: Version, builtin: Mapping[Any, Sequence[Column]]) -> list[Column]:
    """Name, the kind's own columns, and the age."""
    if resource.custom:
        own = [_printer_column(column) for column in version.columns]
        return [NAME, *own] if own else [NAME, AGE]
    return [NAME, *builtin.get(resource.key, (AGE,))]


def _printer_column(column: Mapping[str, Any]) -> Column:
    path, kind = column["jsonPath"], column["type"]
    return Column(
        column["name"], lambda obj: _printed(jsonpath.find(obj, path), kind), kind,
        column.get("priority", 0), column.get("format", ""), column.get("description", ""),
    )  # fmt: skip


def _printed(found: list[Any], kind: str) -> Any:
    value = found[0] if found else None
    if value is None:
        return None
    if kind == "date":
        return age(value) if isinstance(value, str) else "<unknown>"
    if kind == "string" and len(found) > 1:
        return ",".join(str(one) for one in found)
    if kind in {"integer", "number", "boolean"}:
        return value if isinstance(value, (int, float)) else None
    return str(value).lower() if isinstance(value, bool) else str(value)


def partial(obj: Object, api_version: str = "meta.k8s.io/v1") -> Object:
    """PartialObjectMetadata of an object."""
    return {"kind": "PartialObjectMetadata", "apiVersion": api_version, "metadata": obj["metadata"]}


def table(objects: Sequence[Object], columns: Sequence[Column], metadata: Object, include: str) -> Object:
    """A Table.

    Args:
        objects: one row each.
        columns: in order.
        metadata: of the list.
        include: `includeObject` of the request: None, Metadata (also if empty) or Object.
    """
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": [column.definition() for column in columns],
        "rows": [_row(obj, columns, include) for obj in objects],
    }


def _row(obj: Object, columns: Sequence[Column], include: str) -> Object:
    row: Object = {"cells": [column.cell(obj) for column in columns]}
    if include == "Object":
        row["object"] = obj
    elif include != "None":
        row["object"] = partial(obj)
    return row
