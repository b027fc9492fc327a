"""Raw samples as a metrics store has them, and a bounded store that grows by what is new."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from analysis.errors import MeasurementError
from analysis.evidence.special import FloatArray

Labels = tuple[tuple[str, str], ...]
MAX_SERIES = 50_000
MAX_SAMPLES = 5_000_000


@dataclass(frozen=True)
class RawSeries:
    """One series: sorted labels, scrape times in epoch seconds, and values; unsorted or broken ones too."""

    labels: Labels
    times: FloatArray
    values: FloatArray

    def label(self, name: str) -> str:
        """Return a label's value, empty where there is none."""
        return next((value for key, value in self.labels if key == name), "")


def labels_of(labels: Mapping[str, str]) -> Labels:
    """Return labels in the one order that makes equal label sets equal."""
    return tuple(sorted(labels.items()))


def clean(times: FloatArray, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the finite samples in order of time, each time once; the last one given wins."""
    finite = np.isfinite(times) & np.isfinite(values)
    times, values = times[finite], values[finite]
    # A stable sort of the reversed arrays puts the sample given last first among equals.
    order = np.argsort(times[::-1], kind="stable")
    times, values = times[::-1][order], values[::-1][order]
    if times.size == 0:
        return times, values
    first = np.concatenate([[True], np.diff(times) > 0])
    return times[first], values[first]


@dataclass
class SeriesStore:
    """The samples of one selector since the run began. Fetches may overlap; each sample counts once."""

    _series: dict[Labels, tuple[FloatArray, FloatArray]] = field(default_factory=dict)

    def add(self, fetched: Iterable[RawSeries]) -> None:
        """Merge what was fetched; raises MeasurementError where a run would hold too much."""
        for series in fetched:
            known = self._series.get(series.labels)
            times, values = series.times, series.values
            if known is not None:
                times, values = np.concatenate([known[0], times]), np.concatenate([known[1], values])
            times, values = clean(times, values)
            if times.size:
                self._series[series.labels] = (times, values)
        if len(self._series) > MAX_SERIES or self.samples > MAX_SAMPLES:
            raise MeasurementError(
                f"the query gives {len(self._series)} series with {self.samples} samples, more than a run may hold;"
                " select fewer series, or scrape less often"
            )

    @property
    def samples(self) -> int:
        """Number of samples held."""
        return sum(times.size for times, _ in self._series.values())

    @property
    def latest(self) -> float | None:
        """Time of the newest sample; None where there is none."""
        return max((float(times[-1]) for times, _ in self._series.values()), default=None)

    def series(self) -> tuple[RawSeries, ...]:
        """Return all series, ordered by labels."""
        return tuple(RawSeries(labels, *self._series[labels]) for labels in sorted(self._series))
