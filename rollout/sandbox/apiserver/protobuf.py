"""Requests in Kubernetes' protobuf form, for the few kinds that kubectl sends so.

kubectl's `create` sends typed objects as protobuf and knows no way back when that is refused. The
table in data/protobuf.yaml names the fields that are read here; a field outside of it is refused,
so nothing a client says is ever lost in silence. Answers are always JSON.
"""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from rollout.sandbox.apiserver.errors import StatusError, bad_request, unsupported_media_type
from rollout.sandbox.apiserver.typedsl import DATA

CONTENT_TYPE = "application/vnd.kubernetes.protobuf"
MAGIC = b"k8s\x00"
MAX_DEPTH = 32
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
Wire = tuple[int, int | bytes]


@dataclass(frozen=True)
class Field:
    """One field of a message: its JSON name and how it is read."""

    name: str
    type: str
    repeated: bool
    keeps_zero: bool


@cache
def _messages() -> dict[str, dict[int, Field]]:
    table = yaml.safe_load((DATA / "protobuf.yaml").read_text())
    return {message: dict(_field(*item) for item in fields.items()) for message, fields in table.items()}


def _field(name: str, notation: str) -> tuple[int, Field]:
    number, _, kind = notation.partition(" ")
    bare = kind.removeprefix("list ").removesuffix(" kept")
    return int(number), Field(name, bare, kind.startswith("list "), kind.endswith(" kept"))


def decode(content: bytes) -> dict[str, Any]:
    """The object in a protobuf request.

    Raises:
        StatusError: 400 for what is no protobuf, 415 for kinds and fields that are not read here.
    """
    if not content.startswith(MAGIC):
        raise bad_request("the body is not in Kubernetes' protobuf form")
    envelope = dict(_fields(content[len(MAGIC) :]))
    meta = dict(_fields(_as_bytes(envelope.get(1, b""))))
    api_version, kind = (_as_bytes(meta.get(number, b"")).decode() for number in (1, 2))
    if kind not in _messages():
        raise _unread(kind)
    body = _message(_as_bytes(envelope.get(2, b"")), kind, 0)
    return {**body, "apiVersion": api_version, "kind": kind}


def _unread(what: str) -> StatusError:
    refused = unsupported_media_type(["application/json", "application/yaml"])
    refused.message += f" ({what} is not read from protobuf here)"
    return refused


def _as_bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise bad_request("malformed protobuf")
    return value


def _message(content: bytes, name: str, depth: int) -> dict[str, Any]:
    if depth > MAX_DEPTH:
        raise bad_request("protobuf is nested too deeply")
    result: dict[str, Any] = {}
    for number, wire in _fields(content):
        field = _messages()[name].get(number)
        if field is None:
            raise _unread(f"field {number} of {name}")
        if field.type.startswith("map "):
            key, value = _entry(_as_bytes(wire), field.type)
            result.setdefault(field.name, {})[key] = value
        elif field.type != "skip":
            _set(result, field, _value(wire, field.type, depth))
    return result


def _set(result: dict[str, Any], field: Field, value: Any) -> None:
    if field.repeated:
        result.setdefault(field.name, []).append(value)
    elif field.keeps_zero or value not in ("", 0, False):
        result[field.name] = value


def _entry(content: bytes, kind: str) -> tuple[str, str]:
    parts = dict(_fields(content))
    key, value = (_as_bytes(parts.get(number, b"")) for number in (1, 2))
    return key.decode(), base64.b64encode(value).decode() if kind == "map bytes" else value.decode()


def _value(wire: int | bytes, kind: str, depth: int) -> Any:
    match kind:
        case "string":
            return _as_bytes(wire).decode()
        case "int" | "bool":
            if not isinstance(wire, int):
                raise bad_request("malformed protobuf")
            signed = wire - (1 << 64) if wire >= 1 << 63 else wire
            return bool(wire) if kind == "bool" else signed
        case "IntOrString":
            parts = _message(_as_bytes(wire), kind, depth + 1)
            return parts.get("strVal", "") if parts.get("type") else parts.get("intVal", 0)
        case _:
            return _message(_as_bytes(wire), kind, depth + 1)


def _fields(content: bytes) -> Iterator[Wire]:
    """(field number, value) of each field; a value is a number, or bytes."""
    position = 0
    while position < len(content):
        tag, position = _varint(content, position)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, position = _varint(content, position)
            yield number, value
            continue
        if kind == _BYTES:
            length, position = _varint(content, position)
        elif kind in {_FIXED64, _FIXED32}:
            length = 8 if kind == _FIXED64 else 4
        else:
            raise bad_request("malformed protobuf")
        if position + length > len(content):
            raise bad_request("malformed protobuf")
        yield number, content[position : position + length]
        position += length


def _varint(content: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(content) and shift < 70:
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, position
        shift += 7
    raise bad_request("malformed protobuf")
