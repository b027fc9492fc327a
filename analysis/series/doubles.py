"""One counter in several series: a pod that is relabelled, or scraped twice, counts once.

Series that differ only by who scraped them are told apart as their samples come, looking ahead for no more than a
scrape and a half. So what was decided stays decided, however much is known later.
"""

from bisect import bisect_right
from dataclasses import dataclass

from analysis.series.presence import Pace

COMPARED_MAX = 64
"""Of more series of one counter than this each is taken for a counter of its own."""
OVER = 0
"""Of a series that another one continues."""

# Instead of the row that a sample is compared with.
UNCOUNTED, FROM_ZERO = -1, -2


@dataclass
class Double:
    """One of the series that may be the same counter.

    Attributes:
        key: number of the label set.
        rows: its rows, in order of time.
        state: the key of the series it repeats, OVER, or None for a counter of its own.
        known: whether it had samples before those that are still to be judged.
    """

    key: int
    rows: list[int]
    times: list[int]
    values: list[float]
    state: int | None
    known: bool


class Untangled:
    """Goes through the samples of some series in order of time.

    Args:
        doubles: in the order of their keys.
        cut: samples up to here have been judged already.
        until: samples after this wait.
        born: until when the first sample of a series counts from zero, because its place was just born.
    """

    def __init__(self, doubles: list[Double], pace: Pace, cut: int, born: int) -> None:
        self._doubles, self._pace, self._cut, self._born = doubles, pace, cut, born
        self.compared_with: dict[int, int] = {}
        """By row: the row it is compared with, or UNCOUNTED, or FROM_ZERO."""

    def until(self, time: int) -> None:
        """Judge the samples up to a time."""
        events = [
            (moment, number, place)
            for number, double in enumerate(self._doubles)
            for place, moment in enumerate(double.times)
            if self._cut < moment <= time
        ]
        for moment, number, place in sorted(events):
            self._judge(self._doubles[number], place, moment)

    def _judge(self, double: Double, place: int, moment: int) -> None:
        row = double.rows[place]
        if double.known and double.state is None:
            self.compared_with[row] = double.rows[place - 1] if place else UNCOUNTED
            return
        if not any(one.known for one in self._doubles):
            double.known = True
            self.compared_with[row] = FROM_ZERO
            return
        repeated, ended = self._alike(double, moment, double.values[place])
        was_repeating = double.known and double.state != OVER
        double.known = True
        if repeated is not None:
            double.state = repeated.key
            self.compared_with[row] = UNCOUNTED
            return
        double.state = None
        if ended is not None:
            ended.state = OVER
            self.compared_with[row] = ended.rows[_newest(ended, moment)]
        elif was_repeating and place:
            self.compared_with[row] = double.rows[place - 1]
        else:
            self.compared_with[row] = FROM_ZERO if moment <= self._born else UNCOUNTED

    def _alike(self, double: Double, moment: int, value: float) -> tuple[Double | None, Double | None]:
        """Return the counter that the sample repeats, and the one that it continues."""
        ended: Double | None = None
        own = [one for one in self._doubles if one is not double and one.known and one.state is None]
        for other in own:
            newest = _newest(other, moment)
            if newest < 0:
                continue
            following = newest + 1
            goes_on = following < len(other.times) and other.times[following] <= moment + self._pace.soon_ms
            if other.times[newest] == moment:
                if other.values[newest] == value:
                    return other, None
            elif goes_on:
                if _between(value, other.values[newest], other.values[following]):
                    return other, None
            elif ended is None or other.times[newest] > ended.times[_newest(ended, moment)]:
                ended = other
        return None, ended


def _newest(double: Double, moment: int) -> int:
    return bisect_right(double.times, moment) - 1


def _between(value: float, before: float, after: float) -> bool:
    if before <= after:
        return before <= value <= after
    # The process restarted between the two.
    return value >= before or value <= after
