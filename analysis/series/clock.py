"""The windows of a metric, in whole milliseconds as scrape times are, so that no rounding moves a sample."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class WindowClock:
    """Windows of `interval_ms` from a run's start on; all other times here are milliseconds since that start.

    Attributes:
        start_ms: of the run, in milliseconds of the epoch.
    """

    start_ms: int
    interval_ms: int

    @classmethod
    def of(cls, started_at: float, interval_seconds: float) -> "WindowClock":
        """Return the clock of a run that began at an epoch second."""
        return cls(milliseconds(started_at), max(milliseconds(interval_seconds), 1))

    def since_start(self, epoch_seconds: float) -> int:
        """Return a moment in milliseconds since the run's start."""
        return milliseconds(epoch_seconds) - self.start_ms

    def epoch_seconds(self, time_ms: int) -> float:
        """Return the epoch seconds of a moment."""
        return (time_ms + self.start_ms) / 1000

    def window(self, times: IntArray) -> IntArray:
        """Return the window of each moment; one on a border belongs to the window that it ends."""
        return (times - 1) // self.interval_ms

    def windows_before(self, time_ms: int) -> int:
        """Return how many windows have ended by a moment."""
        return max(time_ms // self.interval_ms, 0)


def milliseconds(seconds: float) -> int:
    """Return the nearest whole millisecond."""
    return round(seconds * 1000)
