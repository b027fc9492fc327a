"""Artefacts of a model: canonical JSON, its digest, and the way in for bytes that anybody may have written.

A model is named by what it says. Equal models have equal bytes, so a digest in Git, in a status and in a record mean
the same model wherever it was stored, and however a ConfigMap was indented.
"""

import hashlib
import json
import math
from typing import Any, TypeVar

import msgspec

from analysis.errors import InvalidSpec
from analysis.model.strict_json import read_json

T = TypeVar("T", bound=msgspec.Struct)


def canonical(value: msgspec.Struct, field: str = "artefact") -> bytes:
    """Return the one JSON text of a struct: sorted keys, no spaces, UTF-8.

    Floats are written as Python's repr writes them (the shortest digits that read back to the same float), and -0.0 as
    0.0. Decimals of manifests are strings already. Defaults are left out where the struct says so.

    Raises:
        InvalidSpec: a number is not finite, or a text is no Unicode.
    """
    # Whoever wrote 1 into a field of floats meant 1.0; read once more, the field's type decides.
    typed = msgspec.convert(msgspec.to_builtins(value), type(value))
    plain = _plain(msgspec.to_builtins(typed), field)
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise InvalidSpec(field, "holds half of a surrogate pair", "write Unicode text") from error


def digest(value: msgspec.Struct) -> str:
    """Return `sha256:` and the hexadecimal digest of the canonical JSON; raises InvalidSpec as `canonical` does."""
    return f"sha256:{hashlib.sha256(canonical(value)).hexdigest()}"


def parse_artefact(data: bytes, kind: type[T], expected_digest: str = "", field: str = "artefact") -> T:
    """Return the artefact that somebody wrote as JSON.

    Args:
        data: JSON text, in any order and indentation.
        kind: struct to read; what its `__post_init__` refuses is refused here.
        expected_digest: digest that a manifest names; empty where there is none to compare with.
        field: where the artefact is named, for errors.

    Raises:
        InvalidSpec: the JSON is refused by `read_json`, has a wrong shape, or is not what the digest names.
    """
    plain = read_json(data, field)
    try:
        artefact = msgspec.convert(plain, kind)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at `")
        place = field + path.rstrip("`").removeprefix("$") if path.startswith("$") else field
        raise InvalidSpec(place, problem[:200], "export the model again") from error
    found = digest(artefact)
    if expected_digest and found != expected_digest:
        remedy = "take the artefact and its digest from the same export"
        raise InvalidSpec(f"{field}.digest", f"is {expected_digest[:80]!r}, but the artefact's is {found}", remedy)
    return artefact


def _plain(value: Any, field: str) -> Any:
    """Return the value with one spelling for each number; names the first one that is not finite."""
    match value:
        case float():
            if not math.isfinite(value):
                raise InvalidSpec(field, f"{value} is no number", "leave out what was not measured")
            return value + 0.0
        case dict():
            return {key: _plain(child, f"{field}.{key}") for key, child in value.items()}
        case list() | tuple():
            return [_plain(child, f"{field}[{index}]") for index, child in enumerate(value)]
    return value
