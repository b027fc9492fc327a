"""What counters gained between scrapes, with resets, births, late counters and gaps."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from analysis.evidence.special import FloatArray
from analysis.series.clock import IntArray
from analysis.series.doubles import COMPARED_MAX, FROM_ZERO, UNCOUNTED, Double, Untangled
from analysis.series.places import NEVER
from analysis.series.presence import NONE, Pace, Presence
from analysis.series.samples import BoolArray, Rows, Samples


@dataclass(frozen=True)
class Gains:
    """Increases, from `starts` to `ends`.

    Attributes:
        row: of each, the row of the table.
        amounts: (increases, columns).
        is_reset: whether the counter began again in between, so that a part is lost.
        is_first: whether it is the first of the counter, from 0.
    """

    row: IntArray
    starts: IntArray
    ends: IntArray
    amounts: FloatArray
    is_reset: BoolArray
    is_first: BoolArray


def gains_of(rows: Rows, presence: Callable[[], Presence], pace: Pace, born: IntArray) -> Gains:
    """Return the increases of all counters of a selector.

    A drop of the last column is a reset: the counters began again at 0. A counter that appears while its place has
    been scraped for a while began at 0 after the scrape before, such as the first error of a pod. The first of all
    samples of a place is an increase from 0 only if the place was born under watch. A gap of missed scrapes is one
    increase, unless it is too long.

    Args:
        rows: of the selector.
        presence: gives that of the places, by all selectors of the metric; seldom needed.
        pace: of the metric.
        born: of each place, when it was born, if that was under watch; else NEVER.
    """
    before = _compared_with(rows)
    _untangle(before, rows, pace, born, until=NEVER)
    starts, counted = _starts(before, rows, presence, pace, born)
    values = rows.values
    former = np.where((before >= 0)[:, None], values[np.maximum(before, 0)], 0.0)
    is_reset = (values[:, -1] < former[:, -1]) if values.shape[1] else np.zeros(before.size, dtype=np.bool_)
    gained = values - former
    if is_reset.any():
        gained[is_reset] = values[is_reset]
    counted &= starts < rows.time
    return Gains(
        row=rows.row[counted],
        starts=starts[counted],
        ends=rows.time[counted],
        amounts=np.maximum(gained[counted], 0.0),
        is_reset=is_reset[counted],
        is_first=before[counted] == FROM_ZERO,
    )


def _compared_with(rows: Rows) -> IntArray:
    """Return of each row the one before it of the same source, FROM_ZERO for the first of all."""
    before = np.arange(-1, rows.source.size - 1)
    begins = np.ones(rows.source.size, dtype=np.bool_)
    begins[1:] = rows.source[1:] != rows.source[:-1]
    first = np.flatnonzero(begins)
    ever = rows.samples.sources.first[rows.source[first]]
    before[first] = np.where(rows.time[first] == ever, FROM_ZERO, UNCOUNTED)
    return before


def _starts(
    before: IntArray, rows: Rows, presence: Callable[[], Presence], pace: Pace, born: IntArray
) -> tuple[IntArray, BoolArray]:
    """Return when each increase began, and whether it counts."""
    time = rows.time
    starts = np.where(before >= 0, time[np.maximum(before, 0)], NONE)
    counted = before != UNCOUNTED
    # What ends at the cut or before it is in no window any more.
    open_ = np.flatnonzero(counted & (time - starts > pace.gap_max_ms) & (time > rows.samples.cut))
    if open_.size:
        new, at, where = before[open_] == FROM_ZERO, time[open_], rows.place[open_]
        scrape, since = presence().scrape_before(where, at), presence().since(where, at)
        born_at = np.where(since == rows.samples.roster.places.first[where], born[where], NEVER)
        late = (at - scrape <= pace.gap_max_ms) & (since <= np.where(new, at - pace.soon_ms, starts[open_]))
        from_birth = new & (born_at != NEVER)
        counted[open_] = late | from_birth
        starts[open_] = np.where(from_birth & (scrape == NONE), born_at, scrape)
    return starts, counted


def _untangle(before: IntArray, rows: Rows, pace: Pace, born: IntArray, until: int) -> dict[int, int]:
    """Correct what rows are compared with where several series are one counter; returns what repeats what."""
    facts = rows.samples.sources
    if not facts.doubled:
        return {}
    _, inverse, count = np.unique(facts.counter, return_inverse=True, return_counts=True)
    states: dict[int, int] = {}
    order = np.argsort(inverse, kind="stable")
    begins = np.concatenate([[0], np.cumsum(count)])
    for number in np.flatnonzero(count > 1).tolist():
        members = order[begins[number] : begins[number + 1]]
        if members.size > COMPARED_MAX:
            before[np.isin(rows.source, members) & (before == FROM_ZERO)] = UNCOUNTED
            continue
        doubles = [_double(rows, member) for member in members.tolist()]
        untangled = Untangled(doubles, pace, rows.samples.cut, _birth(rows, members, pace, born))
        untangled.until(until)
        for row, compared in untangled.compared_with.items():
            before[row] = compared
        states |= {double.key: double.state for double in doubles if double.state is not None}
    return states


def _double(rows: Rows, member: int) -> Double:
    begins, ends = np.searchsorted(rows.source, [member, member + 1]).tolist()
    times = rows.time[begins:ends].tolist()
    key = int(rows.samples.sources.key[member])
    known = bool(times) and times[0] <= rows.samples.cut
    values = rows.values[begins:ends, -1].tolist()
    return Double(key, [*range(begins, ends)], times, values, rows.samples.repeated.get(key), known)


def _birth(rows: Rows, members: IntArray, pace: Pace, born: IntArray) -> int:
    place = int(rows.samples.sources.place[members[0]])
    return int(rows.samples.roster.places.first[place]) + pace.soon_ms if born[place] != NEVER else NONE


def keep_states(samples: Samples, pace: Pace, born: IntArray, until: int) -> None:
    """Note which series repeat others, as of a moment up to which samples are about to be forgotten."""
    if samples.sources.doubled:
        rows = samples.taken_apart()
        samples.repeated = _untangle(np.zeros(rows.source.size, dtype=np.int64), rows, pace, born, until)
