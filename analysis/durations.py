"""Durations as Go writes them ("10m", "1h30m", "500ms"), times as Kubernetes writes them (RFC 3339)."""

import re
from datetime import UTC, datetime

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
# Go keeps durations in 64 bits of nanoseconds.
_LIMIT_SECONDS = 2**63 / 1e9


def parse_duration(value: int | str) -> float:
    """Return the seconds of a Go duration, or of an integer number of seconds.

    Raises:
        ValueError: with a sentence that names the text.
    """
    if isinstance(value, int):
        return float(value)
    text = value.lstrip("+-")
    sign = -1.0 if value.startswith("-") else 1.0
    if len(value) - len(text) > 1 or len(value) > 64:
        raise ValueError(f"{value[:64]!r} is no duration; write it like 90s, 10m or 1h30m")
    if text == "0":
        return 0.0
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{value!r} is no duration; write it like 90s, 10m or 1h30m")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if seconds >= _LIMIT_SECONDS:
        raise ValueError(f"{value!r} is longer than a duration can be")
    return sign * seconds


def parse_time(text: str) -> float:
    """Return the epoch seconds of an RFC 3339 time; raises ValueError, also where the zone is missing."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; write it like 2026-11-22T10:00:10Z")
    return moment.timestamp()


def format_time(epoch: float) -> str:
    """Return the epoch seconds as RFC 3339 in UTC, rounded down to whole seconds as Kubernetes does."""
    return datetime.fromtimestamp(int(epoch // 1), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
