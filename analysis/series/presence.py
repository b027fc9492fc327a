"""When places were scraped, and since when without a long gap."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from analysis.series.clock import IntArray
from analysis.series.packed import index_of, packed, time_of
from analysis.series.places import NEVER, Places
from analysis.series.samples import Samples

NONE = -NEVER
"""No time."""
_GAP_SCRAPES = 10


@dataclass(frozen=True)
class Pace:
    """How fast samples come.

    Attributes:
        scrape_ms: usual time between two scrapes.
        gap_max_ms: an increase over a longer gap is not counted: it says nothing of any window.
    """

    scrape_ms: int
    gap_max_ms: int

    @classmethod
    def of(cls, scrape_ms: int, interval_ms: int) -> "Pace":
        """Return the pace of a metric."""
        return cls(scrape_ms, _GAP_SCRAPES * max(scrape_ms, interval_ms))

    @property
    def soon_ms(self) -> int:
        """Within this time a counter that still exists is scraped again."""
        return self.scrape_ms * 3 // 2


@dataclass(frozen=True)
class Presence:
    """Scrapes of all places as packed (place, time), sorted; `begins` are those after a long gap."""

    places: Places
    scrapes: IntArray
    begins: IntArray

    @classmethod
    def of(cls, places: Places, samples: Iterable[Samples], pace: Pace) -> "Presence":
        """Return the scrapes that the selectors of a metric show together."""
        every = [*samples]
        scrapes = np.unique(np.concatenate([packed(one.sources.place[one.source], one.time) for one in every]))
        place, time = index_of(scrapes), time_of(scrapes)
        begins = np.ones(scrapes.size, dtype=np.bool_)
        begins[1:] = (place[1:] != place[:-1]) | (time[1:] - time[:-1] > pace.gap_max_ms)
        # What is older than the cut is the last of many.
        return cls(places, scrapes, scrapes[begins & (time > every[0].cut)])

    def scrape_before(self, place: IntArray, time: IntArray) -> IntArray:
        """Return the scrape of each place before a time, NONE where none is held."""
        return _before(self.scrapes, place, time - 1)

    def since(self, place: IntArray, time: IntArray) -> IntArray:
        """Return since when each place has been scraped without a long gap, as of a time."""
        begun = _before(self.begins, place, time)
        known = self.places.present_since[place]
        known = np.where(known == NEVER, self.places.first[place], known)
        return np.where(begun == NONE, known, begun)

    def keep(self, cut: int) -> None:
        """Note in the places what will be forgotten: since when each was present at the cut."""
        place = np.arange(self.places.row.size)
        seen = self.places.first <= cut
        since = self.since(place, np.full(place.size, cut))
        self.places.present_since[seen] = since[seen]


def _before(pairs: IntArray, index: IntArray, time: IntArray) -> IntArray:
    """Return of each index the last time that is not after another, NONE where there is none."""
    if pairs.size == 0:
        return np.full(index.size, NONE, dtype=np.int64)
    found = np.searchsorted(pairs, packed(index, time), side="right") - 1
    hit = pairs[np.maximum(found, 0)]
    return np.where((found >= 0) & (index_of(hit) == index), time_of(hit), NONE)


def scrape_ms(samples: Iterable[Samples], until: int) -> int | None:
    """Return the usual time between two scrapes up to a moment, the median; None where it cannot be known."""
    gaps = []
    for one in samples:
        source, time = one.source, one.time
        near = (source[1:] == source[:-1]) & (time[1:] <= until)
        gaps.append((time[1:] - time[:-1])[near])
    every = np.concatenate(gaps) if gaps else np.zeros(0)
    return max(int(np.median(every)), 1) if every.size else None
