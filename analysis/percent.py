"""Percentages and decimals as manifests write them: strings, so that every program reads the same digits."""

import math
import re

_PERCENT = re.compile(r"\d{1,9}(\.\d{1,12})?%")


def parse_percent(text: str) -> float:
    """Return the ratio of a percentage: `0.5%` is 0.005; raises ValueError."""
    if not _PERCENT.fullmatch(text):
        raise ValueError(f"{text[:64]!r} is no percentage; write it like 0.5% or 20%")
    return float(text[:-1]) / 100


def format_percent(ratio: float) -> str:
    """Return a ratio as a percentage with three significant digits: 0.0102 is `1.02%`."""
    return f"{ratio * 100:.3g}%" if ratio * 100 < 1e6 else f"{ratio * 100:.0f}%"


def format_decimal(number: float) -> str:
    """Return a number with three significant digits, or all its whole ones: `2.14`, `137`, `12345`."""
    if not math.isfinite(number):
        return str(number)
    if abs(number) >= 100:
        return str(round(number))
    shortest = f"{number:.3g}"
    return shortest if "e" not in shortest else f"{float(shortest):.12f}".rstrip("0").rstrip(".")
