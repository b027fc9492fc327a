"""Times as manifests write them. The core gets `now`; it never reads a clock."""

from datetime import UTC, datetime

from analysis.durations import parse_duration

__all__ = ["duration_seconds", "epoch", "rfc3339"]


def rfc3339(now: float) -> str:
    """Epoch seconds as RFC 3339 in UTC, whole seconds (rounded down)."""
    return datetime.fromtimestamp(int(now), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def epoch(text: str) -> float:
    """RFC 3339 as epoch seconds; raises ValueError."""
    return datetime.fromisoformat(text).timestamp()


def duration_seconds(value: int | str) -> float:
    """Seconds of an Argo duration: a number of seconds, digits, or a Go duration such as "1h30m"."""
    if isinstance(value, str) and value.isdigit():
        return float(value)
    return parse_duration(value)
