"""Resource quantities in the canonical form the API server stores."""

import re
from decimal import Decimal
from typing import Any

from rollout.sandbox.apiserver.typedsl import Schema

_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {name: 1024**power for power, name in enumerate(["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"])}


def canonical(text: str) -> str:
    """`1024Mi` -> `1Gi`, `0.5` -> `500m`, `1000m` -> `1`: no fraction, the largest suffix that fits.

    Raises:
        ValueError: the text is no quantity.
    """
    matched = _QUANTITY.fullmatch(text)
    if not matched:
        raise ValueError("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")
    number, suffix = Decimal(matched[1]), matched[2] or ""
    if suffix.endswith("i"):
        return _binary(number * _BINARY[suffix], text)
    if len(suffix) > 1:
        return _exponent(number.scaleb(int(suffix[1:])))
    return _decimal(number.scaleb(_DECIMAL[suffix]))


def _binary(value: Decimal, text: str) -> str:
    if value != value.to_integral_value():
        return text
    for name in reversed(_BINARY):
        if value % _BINARY[name] == 0 and (value or not name):
            return f"{int(value) // _BINARY[name]}{name}"
    return str(int(value))


def _decimal(value: Decimal) -> str:
    if not value:
        return "0"
    for name, power in sorted(_DECIMAL.items(), key=lambda item: -item[1]):
        scaled = value.scaleb(-power)
        if scaled == scaled.to_integral_value():
            return f"{int(scaled)}{name}"
    return f"{int(value.scaleb(9).to_integral_value(rounding='ROUND_UP'))}n"


def _exponent(value: Decimal) -> str:
    for power in (18, 15, 12, 9, 6, 3, 0, -3, -6, -9):
        scaled = value.scaleb(-power)
        if scaled == scaled.to_integral_value():
            return f"{int(scaled)}{f'e{power}' if power else ''}"
    return str(value)


def normalise(value: Any, schema: Schema) -> Any:
    """The value with every quantity in canonical form. Containers are changed in place."""
    if schema.get("format") == "quantity":
        return canonical(str(value))
    if isinstance(value, dict):
        declared, values = schema.get("properties") or {}, schema.get("additionalProperties")
        for key, child in value.items():
            below = declared.get(key, values if isinstance(values, dict) else None)
            if below:
                value[key] = normalise(child, below)
    elif isinstance(value, list) and schema.get("items"):
        value[:] = [normalise(item, schema["items"]) for item in value]
    return value
