"""Argo's counts and limits of one metric, with their defaults."""

from dataclasses import dataclass

from analysis.durations import parse_duration
from analysis.errors import InvalidSpec
from analysis.spec import Metric

ERROR_RETRY_SECONDS = 10.0
CONSECUTIVE_ERROR_LIMIT = 4
MEASUREMENTS_KEPT = 10


@dataclass(frozen=True)
class Limits:
    """Limits with defaults applied; None means unlimited or off.

    Attributes:
        count: measurements to take; None for as long as the run lives.
        interval_seconds: time between measurements; None where only one is taken.
        failure: failed measurements allowed; None disables the limit.
        consecutive_success: successes in a row that end the metric; None where off.
    """

    count: int | None
    interval_seconds: float | None
    initial_delay_seconds: float
    failure: int | None
    inconclusive: int
    consecutive_error: int
    consecutive_success: int | None


def integer(value: int | str | None, field: str) -> int | None:
    """Return an IntOrString's number; raises InvalidSpec naming the field."""
    if value is None or isinstance(value, int):
        return value
    if value.strip().lstrip("-").isdecimal():
        return int(value)
    raise InvalidSpec(field, f"{value[:64]!r} is no whole number", "write a number or one {{args.x}}")


def duration(value: str, field: str) -> float | None:
    """Return a duration's seconds, None where it is empty; raises InvalidSpec naming the field."""
    if not value:
        return None
    try:
        seconds = parse_duration(value)
    except ValueError as error:
        raise InvalidSpec(field, str(error)) from error
    if seconds < 0:
        raise InvalidSpec(field, f"{value!r} is negative", "write a duration from 0s on")
    return seconds


def limits_of(metric: Metric, field: str) -> Limits:
    """Return the limits of a metric whose arguments are filled in; raises InvalidSpec."""
    interval = duration(metric.interval, f"{field}.interval")
    count = integer(metric.count, f"{field}.count")
    if not count:
        count = 1 if interval is None else None
    failure = integer(metric.failure_limit, f"{field}.failureLimit") or 0
    errors = integer(metric.consecutive_error_limit, f"{field}.consecutiveErrorLimit")
    successes = integer(metric.consecutive_success_limit, f"{field}.consecutiveSuccessLimit") or 0
    return Limits(
        count=count,
        interval_seconds=interval,
        initial_delay_seconds=duration(metric.initial_delay, f"{field}.initialDelay") or 0.0,
        failure=None if failure < 0 else failure,
        inconclusive=integer(metric.inconclusive_limit, f"{field}.inconclusiveLimit") or 0,
        consecutive_error=CONSECUTIVE_ERROR_LIMIT if errors is None else errors,
        consecutive_success=successes if successes > 0 else None,
    )
