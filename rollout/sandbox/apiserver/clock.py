"""Time as the API writes it."""

import time


def timestamp(seconds: float | None = None) -> str:
    """RFC 3339 in UTC with whole seconds; now if `seconds` since the epoch is None."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def micro_timestamp(seconds: float | None = None) -> str:
    """RFC 3339 in UTC with microseconds, as Leases, Events and the audit log have it."""
    moment = time.time() if seconds is None else seconds
    whole = int(moment)
    return f"{timestamp(whole)[:-1]}.{int((moment - whole) * 1_000_000):06d}Z"
