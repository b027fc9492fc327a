"""What counters gained between scrapes, with resets, births, late counters and gaps."""

from dataclasses import dataclass

import numpy as np

from analysis.evidence.special import FloatArray
from analysis.series.clock import IntArray
from analysis.series.doubles import COMPARED_MAX, FROM_ZERO, UNCOUNTED, Double, Untangled
from analysis.series.places import NEVER
from analysis.series.presence import NONE, Pace, Presence
from analysis.series.samples import BoolArray, Samples


@dataclass(frozen=True)
class Gains:
    """Increases, from `starts` to `ends`.

    Attributes:
        row: of each, the row of the table.
        amounts: (increases, columns).
        is_reset: whether the counter began again in between, so that a part is lost.
    """

    row: IntArray
    starts: IntArray
    ends: IntArray
    amounts: FloatArray
    is_reset: BoolArray


def gains_of(samples: Samples, presence: Presence, pace: Pace, born: IntArray) -> Gains:
    """Return the increases of all counters of a selector.

    A drop of the last column is a reset: the counters began again at 0. A counter that appears while its place has
    been scraped for a while began at 0 after the scrape before, such as the first error of a pod. The first of all
    samples of a place is an increase from 0 only if the place was born under watch. A gap of missed scrapes is one
    increase, unless it is too long.

    Args:
        samples: of the selector.
        presence: of the places, by all selectors of the metric.
        pace: of the metric.
        born: of each place, when it was born, if that was under watch; else NEVER.
    """
    usable = np.flatnonzero(samples.complete)
    source, time = samples.source[usable], samples.time[usable]
    values = samples.values[np.ix_(usable, samples.needed_columns)]
    place = samples.sources.place[source]
    before = _compared_with(samples, source, time)
    _untangle(before, samples, usable, pace, born, until=NEVER)
    starts, counted = _starts(before, time, place, presence, pace, born)
    former = np.where((before >= 0)[:, None], values[np.maximum(before, 0)], 0.0)
    is_reset = (values[:, -1] < former[:, -1]) if values.shape[1] else np.zeros(time.size, dtype=np.bool_)
    amounts = np.maximum(np.where(is_reset[:, None], values, values - former), 0.0)
    counted &= starts < time
    rows = presence.places.rows_of(place) if place.size else place
    return Gains(rows[counted], starts[counted], time[counted], amounts[counted], is_reset[counted])


def _compared_with(samples: Samples, source: IntArray, time: IntArray) -> IntArray:
    """Return of each row the one before it of the same source, FROM_ZERO for the first of all."""
    before = np.arange(-1, source.size - 1)
    first = np.ones(source.size, dtype=np.bool_)
    first[1:] = source[1:] != source[:-1]
    before[first] = np.where(time[first] == samples.sources.first[source[first]], FROM_ZERO, UNCOUNTED)
    return before


def _starts(
    before: IntArray, time: IntArray, place: IntArray, presence: Presence, pace: Pace, born: IntArray
) -> tuple[IntArray, BoolArray]:
    """Return when each increase began, and whether it counts."""
    starts = np.where(before >= 0, time[np.maximum(before, 0)], NONE)
    counted = before != UNCOUNTED
    open_ = np.flatnonzero(counted & ((before == FROM_ZERO) | (time - starts > pace.gap_max_ms)))
    if open_.size:
        new, at, where = before[open_] == FROM_ZERO, time[open_], place[open_]
        scrape, since = presence.scrape_before(where, at), presence.since(where, at)
        born_at = np.where(since == presence.places.first[where], born[where], NEVER)
        late = (at - scrape <= pace.gap_max_ms) & (since <= np.where(new, at - pace.soon_ms, starts[open_]))
        from_birth = new & (born_at != NEVER)
        counted[open_] = late | from_birth
        starts[open_] = np.where(from_birth & (scrape == NONE), born_at, scrape)
    return starts, counted


def _untangle(
    before: IntArray, samples: Samples, usable: IntArray, pace: Pace, born: IntArray, until: int
) -> dict[int, int]:
    """Correct what rows are compared with where several series are one counter; returns what repeats what."""
    counters, inverse, count = np.unique(samples.sources.counter, return_inverse=True, return_counts=True)
    if counters.size == inverse.size:
        return {}
    states: dict[int, int] = {}
    times, source = samples.time[usable], samples.source[usable]
    order = np.argsort(inverse, kind="stable")
    begins = np.concatenate([[0], np.cumsum(count)])
    for number in np.flatnonzero(count > 1).tolist():
        members = order[begins[number] : begins[number + 1]]
        if members.size > COMPARED_MAX:
            before[np.isin(source, members) & (before == FROM_ZERO)] = UNCOUNTED
            continue
        doubles = [_double(samples, usable, source, times, member) for member in members.tolist()]
        untangled = Untangled(doubles, pace, samples.cut, _birth(samples, members, pace, born))
        untangled.until(until)
        for row, compared in untangled.compared_with.items():
            before[row] = compared
        states |= {double.key: double.state for double in doubles if double.state is not None}
    return states


def _double(samples: Samples, usable: IntArray, source: IntArray, time: IntArray, member: int) -> Double:
    begins, ends = np.searchsorted(source, [member, member + 1]).tolist()
    times = time[begins:ends].tolist()
    values = samples.values[usable[begins:ends], samples.needed_columns[-1]].tolist()
    key = int(samples.sources.key[member])
    known = bool(times) and times[0] <= samples.cut
    return Double(key, [*range(begins, ends)], times, values, samples.repeated.get(key), known)


def _birth(samples: Samples, members: IntArray, pace: Pace, born: IntArray) -> int:
    place = int(samples.sources.place[members[0]])
    return int(samples.places.first[place]) + pace.soon_ms if born[place] != NEVER else NONE


def keep_states(samples: Samples, pace: Pace, born: IntArray, until: int) -> None:
    """Note which series repeat others, as of a moment up to which samples are about to be forgotten."""
    usable = np.flatnonzero(samples.complete)
    before = np.zeros(usable.size, dtype=np.int64)
    samples.repeated = _untangle(before, samples, usable, pace, born, until)
