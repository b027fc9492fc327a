"""How old pods were: young ones do not count, and only pods born under watch count from zero."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from analysis.series.clock import IntArray, WindowClock
from analysis.series.places import CANARY, NEVER, Places
from analysis.series.presence import Pace
from analysis.series.samples import BoolArray

STARTS_MAX = 32
_SAME_START_SECONDS = 1.0
_LATE_SCRAPES = 2
_LONG_AGO = -(1 << 50)


@dataclass
class PodStarts:
    """When the processes of pods were seen to start, in epoch seconds; the newest 32 of each pod are kept."""

    by_pod: dict[str, tuple[float, ...]] = field(default_factory=dict)

    def see(self, pod: str, started_at: float) -> None:
        """Take in when a pod's process started; a later start than the known ones is a restart."""
        known = self.by_pod.get(pod, ())
        if not known or started_at > known[-1] + _SAME_START_SECONDS:
            self.by_pod[pod] = (*known, started_at)[-STARTS_MAX:]


@dataclass(frozen=True)
class Ages:
    """Starts in milliseconds since the run's start.

    Attributes:
        born: of each place, when it was born, if that was under watch; else NEVER.
        starts: of each row, when processes started, ascending.
    """

    born: IntArray
    starts: Sequence[tuple[int, ...]]
    warm_up_ms: int

    @classmethod
    def of(
        cls, places: Places, clock: WindowClock, pace: Pace, known: Mapping[str, tuple[float, ...]], warm_up_ms: int
    ) -> "Ages":
        """Return the ages of pods.

        A pod of unknown start counts as born at its first sample if it is the canary's, or if that sample came
        clearly after the watch began. Places that are no pods have no age.
        """
        born = np.full(len(places.row), NEVER, dtype=np.int64)
        starts: list[tuple[int, ...]] = [()] * len(places.arm)
        late = _LATE_SCRAPES * max(pace.scrape_ms, clock.interval_ms)
        for place, row in enumerate(places.row):
            if not places.names[row]:
                continue
            first = int(places.first[place])
            is_new = places.arm[row] == CANARY or first > late
            told = tuple(clock.since_start(start) for start in known.get(places.names[row], ()))
            starts[row] = _starts(told, first, 2 * pace.scrape_ms, is_new=is_new)
            begun = min(starts[row], default=NEVER)
            if 0 < begun <= first:
                # A pod cannot have been scraped before it started; clocks of nodes may differ a little.
                born[place] = min(begun, first - 1)
        return cls(born, starts, warm_up_ms)

    @property
    def lives(self) -> int:
        """The most starts that a pod has."""
        return max((len(one) for one in self.starts), default=0)

    def young(self, row: IntArray, begins: IntArray, ends: IntArray) -> BoolArray:
        """Return for which rows and times the process was young."""
        young = np.zeros(row.size, dtype=np.bool_)
        for number in range(self.lives):
            start = np.asarray([one[number] if number < len(one) else NEVER for one in self.starts], dtype=np.int64)
            young |= (ends > start[row]) & (begins < start[row] + self.warm_up_ms)
        return young

    def life(self, row: IntArray, time: IntArray) -> IntArray:
        """Return in which life of its pod each time lies, from 0."""
        life = np.zeros(row.size, dtype=np.int64)
        for number in range(1, self.lives):
            start = np.asarray([one[number] if number < len(one) else NEVER for one in self.starts], dtype=np.int64)
            life += time > start[row]
        return life


def _starts(told: tuple[int, ...], first: int, slack: int, *, is_new: bool) -> tuple[int, ...]:
    unknown = (first - 1,) if is_new else ()
    if not told:
        return unknown
    if first < told[0] - slack:
        # It was there before what the API server still knows of.
        return (*(unknown or (_LONG_AGO,)), *told)
    return (min(told[0], first - 1), *told[1:]) if first < told[0] else told
