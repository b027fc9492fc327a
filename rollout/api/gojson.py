"""Pod templates as Go's encoder writes them: typed, undefaulted, in the order of the struct fields.

Argo's pod-template-hash is taken over that text. The shapes (field order, omitempty, merge keys) are read from
k8s.io/api by reflection (`tests/golden/podtemplate`), one file for each form of the hash that is known.
"""

import json
from decimal import ROUND_UP, Decimal, InvalidOperation
from functools import cache
from importlib import resources
from typing import Any

Shapes = dict[str, list[list[str]]]
"""Struct name -> fields: JSON name, type, omission ("e" omitempty, "z" omitzero), merge key.

Types: string int bool bytes raw quantity intorstring time, `#Struct`, and `*T`, `[]T`, `{}T` of them.
"""

TEMPLATE_034 = "podtemplate-v034.json"
"""k8s.io/api v0.34.1: without `"creationTimestamp":null`."""
TEMPLATE_029 = "podtemplate-v029.json"
"""k8s.io/api v0.29.3: with it, and without newer fields."""

_ESCAPES = {
    ord("<"): "\\u003c",
    ord(">"): "\\u003e",
    ord("&"): "\\u0026",
    0x2028: "\\u2028",
    0x2029: "\\u2029",
}


@cache
def shapes(name: str) -> Shapes:
    """The shapes of one version of k8s.io/api."""
    text = resources.files("rollout.api").joinpath("data", name).read_text()
    loaded: Shapes = json.loads(text)
    return loaded


def encode(template: dict[str, Any], version: str) -> bytes:
    """Go's JSON of a PodTemplateSpec.

    Args:
        template: as stored by the API server; fields that the version does not know are left out, as Go does.
        version: TEMPLATE_034 or TEMPLATE_029.
    """
    return _struct(template, "PodTemplateSpec", shapes(version)).encode()


def _struct(value: Any, name: str, known: Shapes) -> str:
    source = value if isinstance(value, dict) else {}
    parts = []
    for key, kind, omit, _ in known[name]:
        child = source.get(key)
        if not _omitted(child, kind, omit, known):
            parts.append(f'"{key}":{_value(child, kind, known)}')
    return "{" + ",".join(parts) + "}"


def _omitted(value: Any, kind: str, omit: str, known: Shapes) -> bool:
    if "z" in omit and (kind == "time" or kind.startswith("#")):
        return value is None or (kind.startswith("#") and _struct(value, kind[1:], known) == "{}")
    if "e" not in omit:
        return False
    if kind.startswith("*"):
        return value is None
    if kind.startswith("#") or kind in {"time", "quantity", "intorstring"}:
        return False
    return value in (None, "", 0, False) or value in ([], {})


def _value(value: Any, kind: str, known: Shapes) -> str:
    if kind.startswith("*"):
        return "null" if value is None else _value(value, kind[1:], known)
    if kind.startswith("#"):
        return _struct(value, kind[1:], known)
    if kind.startswith("[]"):
        return "null" if value is None else "[" + ",".join(_value(v, kind[2:], known) for v in value) + "]"
    if kind.startswith("{}"):
        return "null" if value is None else _map(value, kind[2:], known)
    return _leaf(value, kind)


def _map(value: dict[str, Any], kind: str, known: Shapes) -> str:
    keys = sorted(value, key=lambda key: key.encode())
    return "{" + ",".join(f"{_string(key)}:{_value(value[key], kind, known)}" for key in keys) + "}"


def _leaf(value: Any, kind: str) -> str:
    match kind:
        case "bool":
            return "true" if value else "false"
        case "int":
            return str(int(value or 0))
        case "quantity":
            return f'"{canonical_quantity(str(value if value is not None else 0))}"'
        case "intorstring":
            return _string(value) if isinstance(value, str) else str(int(value or 0))
        case "time":
            return "null" if value is None else _string(value)
        case "raw":
            return json.dumps(value, separators=(",", ":"))
        case _:
            return _string(value or "")


def _string(value: Any) -> str:
    return json.dumps(str(value), ensure_ascii=False).translate(_ESCAPES)


_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BY_EXPONENT = {exponent: suffix for suffix, exponent in _DECIMAL.items()}


def canonical_quantity(text: str) -> str:
    """The canonical form of a resource.Quantity: no fraction, and the largest suffix of its own format.

    Source: k8s.io/apimachinery pkg/api/resource (Quantity.CanonicalizeBytes). Text that is no quantity stays as it is.
    """
    number, suffix = _split(text)
    if _kept(number, suffix):
        return text
    try:
        mantissa = Decimal(number)
    except InvalidOperation:
        return text
    if suffix in _BINARY[1:]:
        exact = mantissa * 1024 ** _BINARY.index(suffix)
        return _decimal(exact, "") if abs(exact) < 1024 else _binary(exact)
    if suffix in _DECIMAL:
        return _decimal(mantissa.scaleb(_DECIMAL[suffix]), "")
    exponent = _exponent(suffix)
    return text if exponent is None else _decimal(mantissa.scaleb(exponent), "e")


def _kept(number: str, suffix: str) -> bool:
    """Whether Go keeps the text as written: its parser's fast path takes it to be canonical (ParseQuantity)."""
    whole, _, fraction = number.lstrip("+-").partition(".")
    digits = (whole.lstrip("0") or "0") + fraction
    if suffix in _BINARY[1:]:
        exact = 14 - len(digits) - _BINARY.index(suffix) * 3 >= 0
        return exact and not fraction and digits.isdigit() and int(digits) % 8 != 0
    exponent = _DECIMAL.get(suffix, _exponent(suffix))
    if exponent is None or not digits.isdigit() or len(digits) > _FAST_DIGITS:
        return False
    scale = exponent - len(fraction)
    return scale >= -9 and scale % 3 == 0 and not digits.endswith("000") and digits[0] != "0"


_FAST_DIGITS = 18


def _exponent(suffix: str) -> int | None:
    if suffix[:1] in {"e", "E"} and suffix[1:].lstrip("+-").isdigit():
        return int(suffix[1:])
    return None


def _split(text: str) -> tuple[str, str]:
    end = next((i for i, c in enumerate(text) if c not in "+-.0123456789"), len(text))
    return text[:end], text[end:]


def _binary(exact: Decimal) -> str:
    whole = int(exact.to_integral_value(ROUND_UP))
    power = 0
    while whole % 1024 == 0 and power < len(_BINARY) - 1:
        whole, power = whole // 1024, power + 1
    return f"{whole}{_BINARY[power]}"


def _decimal(exact: Decimal, style: str) -> str:
    """Decimal suffixes, or exponents of three where the user wrote one; nano is the finest, rounded away from zero."""
    nanos = int(exact.scaleb(9).to_integral_value(ROUND_UP))
    if nanos == 0:
        return "0"
    exponent = -9
    while nanos % 1000 == 0 and exponent < 18:
        nanos, exponent = nanos // 1000, exponent + 3
    if style == "e":
        return f"{nanos}e{exponent}" if exponent else str(nanos)
    return f"{nanos}{_BY_EXPONENT[exponent]}"
