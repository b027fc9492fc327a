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
from analysis.series.samples import BoolArray, Rows, Samples


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


def binned(gains: Gains, frame: Frame, left_out: BoolArray | None) -> FloatArray:
    """Return increases by row and window, (rows, windows, columns), without those that are left out."""
    cells, used = frame.cells(gains.row, gains.ends)
    used &= gains.starts >= frame.counted_from
    if left_out is not None:
        used &= ~left_out
    cells, amounts = cells[used], gains.amounts[used]
    size = frame.rows * frame.windows
    columns = amounts.shape[1]
    if not size:
        return frame.empty(columns)
    # One count for all columns: cell by cell, a column a number.
    flat = (cells[:, None] * columns + np.arange(columns)).ravel()
    table = np.bincount(flat, weights=amounts.ravel(), minlength=size * columns)
    return np.asarray(table.reshape(frame.rows, frame.windows, columns), dtype=np.float64)


def watched(rows: Rows, pace: Pace, ages: Ages) -> Gains:
    """Return the seconds between scrapes by row, as increases of one column."""
    scrapes = np.unique(packed(rows.row, rows.time))
    row, time = index_of(scrapes), time_of(scrapes)
    starts = np.full(time.size, NEVER)
    same = row[1:] == row[:-1]
    starts[1:][same] = time[:-1][same]
    starts[time - starts > pace.gap_max_ms] = NEVER
    _since_birth(starts, row, time, rows.samples, ages)
    counted = starts < time
    amounts = ((time - starts)[counted] / 1000)[:, None]
    never = np.zeros(amounts.shape[0], dtype=np.bool_)
    return Gains(row[counted], starts[counted], time[counted], amounts, never, never)


def _since_birth(starts: IntArray, row: IntArray, time: IntArray, samples: Samples, ages: Ages) -> None:
    """A place that was born under watch was there before its first scrape."""
    places = samples.roster.places
    for place in np.flatnonzero((ages.born != NEVER) & (places.first > samples.cut)).tolist():
        starts[(row == places.row[place]) & (time == places.first[place])] = ages.born[place]
