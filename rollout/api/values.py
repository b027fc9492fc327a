"""Values that manifests write in several ways: durations, and numbers of pods."""

from math import ceil, floor

from analysis.durations import parse_duration
from analysis.errors import InvalidSpec


def duration_seconds(value: int | str) -> float:
    """Seconds of an Argo duration: a number of seconds, digits, or a Go duration such as "1h30m"; raises ValueError."""
    if isinstance(value, str) and value.isdigit():
        return float(value)
    return parse_duration(value)


def int_or_percent(value: int | str | None, total: int, *, default: str, round_up: bool, field: str) -> int:
    """A number of pods, given as such or as a percentage of `total`; raises InvalidSpec."""
    value = default if value is None else value
    if isinstance(value, str) and value.endswith("%") and value[:-1].isdigit():
        exact = int(value[:-1]) * total / 100
        return ceil(exact) if round_up else floor(exact)
    if isinstance(value, int) and value >= 0:
        return value
    if isinstance(value, str) and value.isdigit():
        return int(value)
    raise InvalidSpec(field, f"{value!r} is neither a number of pods nor a percentage", 'write 1 or "25%"')
