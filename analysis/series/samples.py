"""The samples of one selector: a row a scrape of a counter, a column a bucket; bounded, and cut where judged."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from analysis.errors import MeasurementError
from analysis.evidence.special import FloatArray
from analysis.series.clock import IntArray, WindowClock
from analysis.series.packed import TIME_MS_MAX, index_of, packed, time_of
from analysis.series.places import NEVER, ArmOf
from analysis.series.raw import RawSeries
from analysis.series.roster import MAX_SERIES, NO_BOUND, NOBODY, Roster, Sources

BoolArray = npt.NDArray[np.bool_]

MAX_SAMPLES = 5_000_000
MAX_BOUNDS = 200
# Nothing that is measured comes near it, and sums of such values stay finite.
_VALUE_MAX = 1e100
_SECONDS_MAX = 1e12


@dataclass(frozen=True)
class Rows:
    """The rows of a selector that are of use, taken apart once for a look.

    Attributes:
        values: (rows, needed columns).
        place: of each row, where it was scraped.
        row: of each row, the row of the table.
    """

    samples: "Samples"
    source: IntArray
    time: IntArray
    values: FloatArray
    place: IntArray
    row: IntArray


@dataclass(slots=True)
class Samples:
    """What is held of one selector.

    Attributes:
        roster: the label sets.
        rows: packed (source, time), sorted.
        values: (rows, columns), NaN where a series has no sample.
        columns: bounds of the columns, ascending.
        needed: bounds of the columns that a row must have to be of use; None where all rows are.
        cut: up to here only the newest row of each source is held.
        repeated: by the number of a source that is not counted, that of the one it repeats, or 0 where it is over.
        last: time of the newest sample of each arm.
    """

    clock: WindowClock
    roster: Roster
    rows: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    values: FloatArray = field(default_factory=lambda: np.zeros((0, 1)))
    columns: FloatArray = field(default_factory=lambda: np.full(1, NO_BOUND))
    needed: FloatArray | None = None
    cut: int = -TIME_MS_MAX
    repeated: dict[int, int] = field(default_factory=dict)
    last: IntArray = field(default_factory=lambda: np.full(2, -NEVER))

    def __post_init__(self) -> None:
        """Without a bound there is one column, with bounds each has its own."""
        if self.roster.by_bound:
            self.columns, self.values = np.zeros(0), np.zeros((0, 0))

    @property
    def source(self) -> IntArray:
        """The source of each row."""
        return index_of(self.rows)

    @property
    def time(self) -> IntArray:
        """The time of each row."""
        return time_of(self.rows)

    def taken_apart(self) -> Rows:
        """Return the rows that have a sample in each needed column."""
        source, time, values = self.source, self.time, self.values
        if self.needed is not None:
            complete = self.complete
            source, time = source[complete], time[complete]
            values = values[complete][:, self.needed_columns]
        place = self.sources.place[source]
        return Rows(self, source, time, values, place, self.roster.places.row[place])

    @property
    def sources(self) -> Sources:
        """The label sets."""
        return self.roster.sources

    def add(self, fetched: Iterable[RawSeries], side: str, arm_of: ArmOf) -> None:
        """Merge what was fetched; a sample that is there already is replaced.

        Raises:
            MeasurementError: a run would hold too much.
        """
        series = [one for one in fetched if one.times.size]
        if not series:
            return
        before = self.sources
        found, bounds = self.roster.find(series, side, arm_of)
        if self.sources is not before and self.rows.size:
            self.rows = packed(np.searchsorted(self.sources.key, before.key)[self.source], self.time)
        used = np.flatnonzero(found != NOBODY)
        if used.size < len(series):
            found, bounds, series = found[used], bounds[used], [series[index] for index in used.tolist()]
        if series:
            self._see_bounds(bounds)
            self._merge(found, bounds, series)

    def _see_bounds(self, bounds: FloatArray) -> None:
        if self.columns.size:
            near = np.minimum(np.searchsorted(self.columns, bounds), self.columns.size - 1)
            if (self.columns[near] == bounds).all():
                return
        wanted = np.union1d(self.columns, bounds)
        if wanted.size > MAX_BOUNDS:
            raise MeasurementError(
                f"the buckets have {wanted.size} bounds, more than {MAX_BOUNDS}; select one histogram"
            )
        if wanted.size != self.columns.size:
            self._check_size(self.rows.size, wanted.size)
            values = np.full((self.rows.size, wanted.size), np.nan)
            values[:, np.searchsorted(wanted, self.columns)] = self.values
            self.columns, self.values = wanted, values

    def _merge(self, sources: IntArray, bounds: FloatArray, series: list[RawSeries]) -> None:
        sizes = [one.times.size for one in series]
        source, column = np.repeat(sources, sizes), np.repeat(np.searchsorted(self.columns, bounds), sizes)
        moment = np.clip(np.concatenate([one.times for one in series]), -_SECONDS_MAX, _SECONDS_MAX) * 1000.0
        values = np.concatenate([one.values for one in series])
        usable = (np.abs(values) < _VALUE_MAX) & ~np.isnan(moment)
        time = np.rint(np.where(usable, moment, 0.0)).astype(np.int64) - self.clock.start_ms
        usable &= np.abs(time) < TIME_MS_MAX
        source, time = source[usable], time[usable]
        self._put(packed(source, time), column[usable], values[usable])
        self._see(source, time)
        if (time <= self.cut).any():
            self._trim()

    def _see(self, source: IntArray, time: IntArray) -> None:
        """Note when sources and places were first and last seen."""
        place = self.sources.place[source]
        np.maximum.at(self.roster.places.last, place, time)
        np.maximum.at(self.last, self.roster.places.arm[self.roster.places.row[place]], time)
        if (time < self.sources.first[source]).any():
            np.minimum.at(self.sources.first, source, time)
            np.minimum.at(self.roster.places.first, place, time)

    def _put(self, rows: IntArray, column: IntArray, values: FloatArray) -> None:
        merged = np.union1d(self.rows, rows)
        self._check_size(merged.size, self.columns.size)
        table = np.full((merged.size, self.columns.size), np.nan)
        table[np.searchsorted(merged, self.rows)] = self.values
        # Of samples with the same time the one given last is kept.
        table[np.searchsorted(merged, rows), column] = values
        self.rows, self.values = merged, table

    def _check_size(self, rows: int, columns: int) -> None:
        """Refuse a table before there is one."""
        count = self.sources.key.size * columns
        if count > MAX_SERIES or rows * columns > MAX_SAMPLES:
            raise MeasurementError(
                f"the query gives {count} series with {rows * columns} samples, more than a run may hold;"
                " select fewer series, or scrape less often"
            )

    def forget(self, cut: int, silent_since: int) -> None:
        """Drop what is older than a moment, but for the newest row of each source before it.

        Args:
            cut: the moment.
            silent_since: sources of places without any sample since then are dropped whole.
        """
        self.cut = max(self.cut, cut)
        self._trim()
        alive = self.roster.places.last[self.sources.place] >= silent_since
        if not alive.all():
            kept = alive[self.source]
            number = np.cumsum(alive) - 1
            self.values = self.values[kept]
            self.rows = packed(number[self.source[kept]], self.time[kept])
            self.roster.sources = self.sources.taken(np.flatnonzero(alive))

    @property
    def complete(self) -> BoolArray:
        """Which rows have a sample in each needed column."""
        if self.needed is None:
            return np.ones(self.rows.size, dtype=np.bool_)
        return np.asarray(np.isfinite(self.values[:, self.needed_columns]).all(axis=1), dtype=np.bool_)

    @property
    def needed_columns(self) -> IntArray:
        """Indices of the needed columns."""
        wanted = self.columns if self.needed is None else self.needed
        return np.searchsorted(self.columns, wanted)

    def _trim(self) -> None:
        if self.rows.size == 0:
            return
        old = self.time <= self.cut
        if not _superseded(self.source, old).any():
            return
        kept = ~old | self.complete
        kept[np.flatnonzero(kept)[_superseded(self.source[kept], old[kept])]] = False
        self.rows, self.values = self.rows[kept], self.values[kept]


def _superseded(source: IntArray, old: BoolArray) -> BoolArray:
    """Return which old rows are followed by another old row of the same source."""
    found = np.zeros(old.size, dtype=np.bool_)
    found[:-1] = old[:-1] & old[1:] & (source[:-1] == source[1:])
    return found
