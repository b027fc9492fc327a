"""Decimals as a FailureModel writes them: text, so that every program reads the same digits."""

import math
import re
from decimal import Decimal

from analysis.errors import InvalidSpec

_DECIMAL = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,18})?")
_SIGNIFICANT_DIGITS = 6
_TOO_LARGE = Decimal("1e15")
_NOTHING = Decimal("1e-12")


def decimal_text(number: float, field: str) -> str:
    """Return a number with six significant digits and no exponent; raises InvalidSpec where it cannot be written so.

    >>> decimal_text(0.4651234567, "omegaSquared"), decimal_text(2.5e-7, "x"), decimal_text(-0.0, "x")
    ('0.465123', '0.00000025', '0')
    """
    rounded = Decimal(f"{number:.{_SIGNIFICANT_DIGITS}g}")
    if not math.isfinite(number) or abs(rounded) >= _TOO_LARGE:
        raise InvalidSpec(field, f"{number} cannot be written as a decimal", "learn from a longer history")
    if abs(rounded) < _NOTHING:
        return "0"
    text = f"{rounded:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def parse_decimal(text: str, field: str, least: float = -math.inf, most: float = math.inf) -> float:
    """Return the number of a decimal; raises InvalidSpec where the text is none, or out of bounds.

    >>> parse_decimal("0.465", "omegaSquared", least=0)
    0.465
    """
    if not _DECIMAL.fullmatch(text):
        raise InvalidSpec(field, f"{text[:64]!r} is no decimal", "write it like 0.465")
    number = float(text)
    if not least <= number <= most:
        raise InvalidSpec(field, f"{text} is out of bounds", f"write a decimal {_between(least, most)}")
    return number


def _between(least: float, most: float) -> str:
    return f"from {least:g} on" if math.isinf(most) else f"from {least:g} to {most:g}"
