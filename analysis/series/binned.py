"""Increases and samples by row and window."""

from dataclasses import dataclass

import numpy as np

from analysis.evidence.special import FloatArray
from analysis.series.ages import Ages
from analysis.series.clock import IntArray, WindowClock
from analysis.series.gains import Gains
from analysis.series.packed import index_of, packed, time_of
from analysis.series.places import NEVER
from analysis.series.presence import Pace
from analysis.series.samples import BoolArray, Samples


@dataclass(frozen=True)
class Frame:
    """What a table covers: rows, and the windows from `first` on.

    Attributes:
        rows: how many.
        counted_from: moment before which nothing counts, for a metric that waits.
    """

    clock: WindowClock
    first: int
    windows: int
    rows: int
    counted_from: int

    def cells(self, row: IntArray, time: IntArray) -> tuple[IntArray, BoolArray]:
        """Return the number of the cell that each moment falls in, and whether it is in the frame."""
        window = self.clock.window(time) - self.first
        return row * self.windows + window, (window >= 0) & (window < self.windows)

    def empty(self, columns: int) -> FloatArray:
        """Return zeros, (rows, windows, columns)."""
        return np.zeros((self.rows, self.windows, columns))


def binned(gains: Gains, frame: Frame, ages: Ages | None) -> FloatArray:
    """Return increases by row and window, (rows, windows, columns); without young ones where ages are given."""
    cells, used = frame.cells(gains.row, gains.ends)
    used &= gains.starts >= frame.counted_from
    if ages is not None:
        used &= ~ages.young(gains.row, gains.starts, gains.ends)
    cells, amounts = cells[used], gains.amounts[used]
    size = frame.rows * frame.windows
    if not size:
        return frame.empty(amounts.shape[1])
    columns = [np.bincount(cells, weights=amounts[:, k], minlength=size) for k in range(amounts.shape[1])]
    table = np.stack(columns, axis=1).reshape(frame.rows, frame.windows, len(columns))
    return np.asarray(table, dtype=np.float64)


def watched(samples: Samples, pace: Pace, ages: Ages) -> Gains:
    """Return the seconds between scrapes by row, as increases of one column."""
    usable = samples.complete
    place = samples.sources.place[samples.source[usable]]
    scrapes = np.unique(packed(samples.places.rows_of(place), samples.time[usable]))
    row, time = index_of(scrapes), time_of(scrapes)
    starts = np.full(time.size, NEVER)
    same = row[1:] == row[:-1]
    starts[1:][same] = time[:-1][same]
    _since_birth(starts, row, time, samples, ages)
    counted = (starts < time) & ((time - starts <= pace.gap_max_ms) | _follows_nothing(row))
    amounts = ((time - starts)[counted] / 1000)[:, None]
    return Gains(row[counted], starts[counted], time[counted], amounts, np.zeros(amounts.shape[0], dtype=np.bool_))


def _since_birth(starts: IntArray, row: IntArray, time: IntArray, samples: Samples, ages: Ages) -> None:
    """A place that was born under watch was there before its first scrape."""
    for place in np.flatnonzero(ages.born != NEVER).tolist():
        first = (row == samples.places.row[place]) & (time == samples.places.first[place]) & (starts == NEVER)
        starts[first] = ages.born[place]


def _follows_nothing(row: IntArray) -> BoolArray:
    alone = np.ones(row.size, dtype=np.bool_)
    alone[1:] = row[1:] != row[:-1]
    return alone
