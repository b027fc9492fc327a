"""JSON of strangers: one reading only, in bounded memory and time.

Plain parsers take the last of two equal keys, read NaN, and build millions of empty lists from a few megabytes. What
is read here has one meaning, so that its digest names one thing.
"""

import json
import math
import re
from collections.abc import Sequence
from typing import Any

from analysis.errors import InvalidSpec

MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 16
MAX_PIECES = 100_000

# The end of a string is optional: with a quote that never ends, every later quote would be tried anew.
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
# Integers beyond these are no exact floats; RFC 7493 (I-JSON) forbids them too.
_LARGEST_INTEGER = 2**53 - 1
_LONGEST_INTEGER = len(str(_LARGEST_INTEGER)) + 1
_DEEPER = {"[": 1, "{": 1, "]": -1, "}": -1}


def read_json(data: bytes, field: str) -> Any:
    """Return the value of JSON text that has exactly one reading.

    Args:
        data: UTF-8, at most MAX_BYTES, MAX_DEPTH deep, with at most MAX_PIECES strings and brackets.
        field: where the text stands, for errors.

    Raises:
        InvalidSpec: it is too large or too deep, is no JSON, has a key twice, or a number that is not finite or exact.
    """
    if len(data) > MAX_BYTES:
        raise InvalidSpec(field, f"has {len(data)} bytes, at most {MAX_BYTES} are read", "fit a smaller model")
    try:
        text = data.decode()
        _check_shape(text, field)
        return json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_int=_integer, parse_float=_decimal
        )
    except ValueError as error:
        raise InvalidSpec(
            field, f"is no JSON with one reading: {str(error)[:200]}", "export the model again"
        ) from error


def _check_shape(text: str, field: str) -> None:
    depth = 0
    for piece, match in enumerate(_STRING_OR_BRACKET.finditer(text)):
        depth += _DEEPER.get(text[match.start()], 0)
        if depth > MAX_DEPTH:
            raise InvalidSpec(field, f"is more than {MAX_DEPTH} levels deep", "export the model again")
        # A number in memory is ten times its text; an empty list or string can be thirty times.
        if piece >= MAX_PIECES:
            raise InvalidSpec(field, f"has more than {MAX_PIECES} strings and brackets", "fit a smaller model")


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    read: dict[str, Any] = {}
    for key, value in pairs:
        if key in read:
            raise ValueError(f"the key {key[:64]!r} is there twice")
        read[key] = value
    return read


def _constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _integer(text: str) -> int:
    number = int(text) if len(text) <= _LONGEST_INTEGER else _LARGEST_INTEGER + 1
    if abs(number) > _LARGEST_INTEGER:
        raise ValueError(f"the integer {text[:32]} is larger than {_LARGEST_INTEGER}")
    return number


def _decimal(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text[:32]} is too large")
    return number
