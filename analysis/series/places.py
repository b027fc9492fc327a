"""What was scraped: pods, or targets where series carry no pod; a few facts about each, kept for good."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from analysis.series.clock import IntArray

CANARY, STABLE = 0, 1
SIDES = ("canary", "stable")

ArmOf = Callable[[str], int | None]
"""The arm that a pod's name belongs to; None where it is of neither."""

NEVER = 1 << 62
"""Later than any time."""


@dataclass
class Places:
    """Places by number, in the order in which they were seen first; a metric's roles share them.

    Attributes:
        row: of each place, the row it belongs to: its pod, or its arm where series carry no pod.
        arm: of each row.
        names: of each row, the pod.
        first: of each place, the time of its first sample of all.
        last: of each place, the time of its newest sample.
        present_since: of each place, since when it is scraped without a long gap.
    """

    row: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    arm: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    names: list[str] = field(default_factory=list)
    first: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    last: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    present_since: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    _places: dict[int, int] = field(default_factory=dict)
    _rows: dict[tuple[int, str], int] = field(default_factory=dict)

    def place(self, number: int, arm: int, pod: str) -> int:
        """Return the index of a place, which may be new."""
        known = self._places.get(number)
        if known is not None:
            return known
        self.row = np.append(self.row, self._row(arm, pod))
        self.first = np.append(self.first, NEVER)
        self.last = np.append(self.last, -NEVER)
        self.present_since = np.append(self.present_since, NEVER)
        return self._places.setdefault(number, self.row.size - 1)

    def _row(self, arm: int, pod: str) -> int:
        known = self._rows.get((arm, pod))
        if known is not None:
            return known
        self.arm = np.append(self.arm, arm)
        # The other metrics of a run name the same pods.
        self.names.append(sys.intern(pod))
        return self._rows.setdefault((arm, pod), self.arm.size - 1)

    def first_of(self, arm: int) -> int | None:
        """Return the time of an arm's first sample; None without any."""
        of_arm = self.first[self.arm[self.row] == arm]
        return int(of_arm.min()) if of_arm.size else None
