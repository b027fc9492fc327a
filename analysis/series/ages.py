"""How old pods were: young ones do not count, and only pods born under watch count from zero."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

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

    by_pod: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def see(self, pod: str, started_at: float) -> None:
        """Take in when a pod's process started; a later start than the known ones is a restart."""
        known = self.by_pod.get(pod, ())
        if not known or started_at > known[-1] + _SAME_START_SECONDS:
            # A new mapping, by which others see that something changed.
            self.by_pod = {**self.by_pod, pod: (*known, started_at)[-STARTS_MAX:]}


@dataclass(frozen=True)
class Ages:
    """Starts in milliseconds since the run's start.

    Attributes:
        born: of each place, when it was born, if that was under watch; else NEVER.
        starts: (lives, rows), when processes started, ascending; NEVER where there are fewer.
    """

    born: IntArray
    starts: IntArray
    warm_up_ms: int

    @classmethod
    def of(
        cls,
        places: Places,
        clock: WindowClock,
        pace: Pace,
        known: Mapping[str, tuple[float, ...]],
        warm_up_ms: int,
        *,
        by_process: bool = True,
    ) -> "Ages":
        """Return the ages of pods.

        A pod of unknown start counts as born at its first sample if it is the canary's, or if that sample came
        clearly after the watch began. Places that are no pods have no age.

        Args:
            places: of the metric.
            clock: of the run.
            pace: of the metric.
            known: epoch seconds at which the processes of pods were seen to start.
            warm_up_ms: how long something is young.
            by_process: whether a restarted process is young again; else a pod is young once.
        """
        born = np.full(places.row.size, NEVER)
        starts: list[tuple[int, ...]] = [()] * places.arm.size
        late = _LATE_SCRAPES * max(pace.scrape_ms, clock.interval_ms)
        for place, row in enumerate(places.row.tolist()):
            if not places.names[row]:
                continue
            first = int(places.first[place])
            is_new = places.arm[row] == CANARY or first > late
            told = tuple(clock.since_start(start) for start in known.get(places.names[row], ()))
            starts[row] = _starts(told, first, 2 * pace.scrape_ms, is_new=is_new)
            starts[row] = starts[row] if by_process else starts[row][:1]
            begun = min(starts[row], default=NEVER)
            if 0 <= begun <= first:
                # A pod cannot have been scraped before it started; clocks of nodes may differ a little.
                born[place] = min(begun, first - 1)
        return cls(born, _matrix(starts), warm_up_ms)

    @property
    def lives(self) -> int:
        """The most starts that a pod has."""
        return int(self.starts.shape[0])

    @cached_property
    def _young_until(self) -> int:
        return int(self.starts[self.starts != NEVER].max(initial=-NEVER)) + self.warm_up_ms

    def young(self, row: IntArray, begins: IntArray, ends: IntArray) -> BoolArray:
        """Return for which rows and times the process was young."""
        young = np.zeros(row.size, dtype=np.bool_)
        if not row.size or int(begins.min()) >= self._young_until:
            return young
        for starts in self.starts[:, row]:
            # What ends at an unknown start was counted from 0, which nobody knows to be right.
            young |= (ends >= starts) & (begins < starts + self.warm_up_ms)
        return young

    def life(self, row: IntArray, time: IntArray) -> IntArray:
        """Return in which life of its pod each time lies, from 0."""
        return np.asarray((time > self.starts[1:, row]).sum(axis=0), dtype=np.int64)


def _matrix(starts: list[tuple[int, ...]]) -> IntArray:
    matrix = np.full((max((len(one) for one in starts), default=0), len(starts)), NEVER)
    for row, one in enumerate(starts):
        matrix[: len(one), row] = one
    return matrix


def _starts(told: tuple[int, ...], first: int, slack: int, *, is_new: bool) -> tuple[int, ...]:
    unknown = (first,) if is_new else ()
    if not told:
        return unknown
    if first < told[0] - slack:
        # It was there before what the API server still knows of.
        return (*(unknown or (_LONG_AGO,)), *told)
    return (min(told[0], first - 1), *told[1:]) if first < told[0] else told
