"""What was scraped: pods, or targets where series carry no pod; a few facts about each, kept for good."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from analysis.errors import MeasurementError
from analysis.series.clock import IntArray

CANARY, STABLE = 0, 1
SIDES = ("canary", "stable")

ArmOf = Callable[[str], int | None]
"""The arm that a pod's name belongs to; None where it is of neither."""

NEVER = 1 << 62
"""Later than any time."""
MAX_PLACES = 20_000


_NUMBER, _ROW, _FIRST, _LAST, _SINCE = range(5)


@dataclass(slots=True)
class Places:
    """Places by index, in the order in which they were seen first; a metric's roles share them.

    Attributes:
        facts: (facts, places), one array since a run has many of these.
        arm: of each row.
        names: of each row, the pod.
        by_name: of each arm, its rows in the order of their names.
    """

    facts: IntArray = field(default_factory=lambda: np.zeros((5, 0), dtype=np.int64))
    arm: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    names: list[str] = field(default_factory=list)
    by_name: tuple[Sequence[int], Sequence[int]] = ((), ())

    def _fact(self, number: int) -> IntArray:
        found: IntArray = self.facts[number]
        return found

    @property
    def row(self) -> IntArray:
        """Of each place, the row it belongs to: its pod, or its arm where series carry no pod."""
        return self._fact(_ROW)

    @property
    def first(self) -> IntArray:
        """Of each place, the time of its first sample of all."""
        return self._fact(_FIRST)

    @property
    def last(self) -> IntArray:
        """Of each place, the time of its newest sample."""
        return self._fact(_LAST)

    @property
    def present_since(self) -> IntArray:
        """Of each place, since when it is scraped without a long gap; NEVER where nothing was forgotten yet."""
        return self._fact(_SINCE)

    def first_of(self, arm: int) -> int | None:
        """Return the time of an arm's first sample; None without any."""
        of_arm = self.first[self.arm[self.row] == arm]
        return int(of_arm.min()) if of_arm.size else None


class PlaceBook:
    """Finds places by number and adds new ones, for as long as it is open."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._index = {number: index for index, number in enumerate(places.facts[_NUMBER].tolist())}
        names = zip(places.arm.tolist(), places.names, strict=True)
        self._rows = {key: row for row, key in enumerate(names)}
        self._new: list[tuple[int, int, int, int, int]] = []
        self._arms: list[int] = []
        self._names: list[str] = []

    def place(self, number: int, arm: int, pod: str) -> int:
        """Return the index of a place, which may be new."""
        if number not in self._index:
            self._index[number] = len(self._index)
            self._new.append((number, self._row(arm, pod), NEVER, -NEVER, NEVER))
        return self._index[number]

    def _row(self, arm: int, pod: str) -> int:
        if (arm, pod) not in self._rows:
            self._rows[arm, pod] = len(self._rows)
            self._arms.append(arm)
            # The other metrics of a run name the same pods.
            self._names.append(sys.intern(pod))
        return self._rows[arm, pod]

    def close(self) -> None:
        """Write the new places down; raises MeasurementError where there are too many, dead ones too."""
        if len(self._index) > MAX_PLACES:
            raise MeasurementError(
                f"the run has seen more than {MAX_PLACES} pods, more than it may keep in mind;"
                " select the pods of one service, and look at why so many come and go"
            )
        if self._new:
            more = np.asarray(self._new, dtype=np.int64).T
            self._places.facts = np.concatenate([self._places.facts, more], axis=1)
            self._places.arm = np.concatenate([self._places.arm, np.asarray(self._arms, dtype=np.int64)])
            self._places.names += self._names
            self._places.by_name = self._sorted(CANARY), self._sorted(STABLE)

    def _sorted(self, arm: int) -> list[int]:
        return sorted(np.flatnonzero(self._places.arm == arm).tolist(), key=self._places.names.__getitem__)
