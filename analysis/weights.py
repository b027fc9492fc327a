"""The timeline of the canary's weight, as the annotation of an AnalysisRun keeps it."""

from collections.abc import Sequence

from analysis.durations import parse_time
from analysis.judgement import WeightChange

MAX_CHANGES = 1000


def parse_weights(annotation: str) -> tuple[WeightChange, ...]:
    """Return the timeline of `2026-11-22T10:00:10Z=5,2026-11-22T10:14:02Z=25`, sorted by time.

    Raises:
        ValueError: the text is no timeline, or has more than 1000 changes.
    """
    entries = [entry.strip() for entry in annotation.split(",") if entry.strip()]
    if len(entries) > MAX_CHANGES:
        raise ValueError(f"the timeline of weights has {len(entries)} changes; at most {MAX_CHANGES} are kept")
    changes = []
    for entry in entries:
        moment, _, percent = entry.rpartition("=")
        changes.append(WeightChange(parse_time(moment), int(percent)))
    return tuple(sorted(changes, key=lambda change: change.at))


def weight_at(changes: Sequence[WeightChange], at: float) -> int | None:
    """Return the weight in percent at a moment; None before the first change."""
    past = [change.percent for change in changes if change.at <= at]
    return past[-1] if past else None


def increases(changes: Sequence[WeightChange], until: float) -> tuple[float, ...]:
    """Return the moments up to `until` at which the weight rose, from 0 too, in epoch seconds."""
    moments: list[float] = []
    before = 0
    for change in changes:
        if change.at > until:
            break
        if change.percent > before:
            moments.append(change.at)
        before = change.percent
    return tuple(moments)
