"""Times as manifests write them. The core gets `now`; it never reads a clock."""

from datetime import UTC, datetime
from functools import lru_cache


def rfc3339(now: float) -> str:
    """Epoch seconds as RFC 3339 in UTC, whole seconds (rounded down)."""
    return _text(int(now))


@lru_cache(maxsize=256)  # A turn writes the same second many times.
def _text(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def epoch(text: str) -> float:
    """RFC 3339 as epoch seconds; raises ValueError."""
    return datetime.fromisoformat(text).timestamp()
