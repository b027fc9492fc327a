"""Native histograms as the cumulative buckets that all else knows: one grid for all pods, scrapes and schemas."""

from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np

from analysis.evidence.special import FloatArray
from analysis.series.raw import RawSeries, labels_of

# Two bounds a doubling: those of schema 1, which all finer schemas have too. More would cost a run memory, and
# latencies spread over so many of them that nothing is lost. From an eighth of a millisecond in seconds to two minutes
# in milliseconds.
_EXPONENTS = np.arange(-13 * 2, 17 * 2 + 1) / 2
BOUNDS: FloatArray = np.exp2(_EXPONENTS)
"""Upper bounds of the grid, in the histogram's unit; the open last bucket comes after them."""
_BELOW, _ABOVE = float(_EXPONENTS[0]) - 1, float(_EXPONENTS[-1]) + 1
_HELD_MAX = 1e100

Bucket = tuple[int, str, str, str]
"""Which boundaries belong to it, lower and upper boundary, and what it holds, as Prometheus' HTTP API writes it."""


class NativeHistogram(msgspec.Struct):
    """One sample of a native histogram."""

    count: str
    buckets: list[Bucket] = []


def bucket_series(
    labels: Mapping[str, str], samples: Sequence[tuple[float, NativeHistogram]], number: Callable[[str], float]
) -> tuple[RawSeries, ...]:
    """Return what a classic histogram would have shown: a cumulative series for each bound of the grid.

    The grid never depends on the data: a bound that came later would look like a counter that began at 0.

    Args:
        labels: of the histogram.
        samples: epoch seconds, and what was seen.
        number: reads a figure; raises MeasurementError.
    """
    times = np.asarray([moment for moment, _ in samples], dtype=np.float64)
    values = np.stack([_cumulative(histogram, number) for _, histogram in samples], axis=1)
    bounds = [*(f"{bound:.12g}" for bound in BOUNDS.tolist()), "+Inf"]
    return tuple(
        RawSeries(labels_of({**labels, "le": bound}), times, row) for bound, row in zip(bounds, values, strict=True)
    )


def _cumulative(histogram: NativeHistogram, number: Callable[[str], float]) -> FloatArray:
    """Return how much lies at or below each bound, and in all.

    A bucket that spans several bounds is spread evenly over its logarithm: of a coarser schema, or with bounds of its
    own.
    """
    table = np.asarray([[number(text) for text in bucket[1:]] for bucket in histogram.buckets], dtype=np.float64)
    lower, upper, held = table.reshape(-1, 3).T
    whole = np.cumsum(np.clip(held, 0.0, _HELD_MAX))
    edges = np.stack([_exponents(lower), _exponents(upper)], axis=1).ravel()
    steps = np.stack([np.concatenate([[0.0], whole[:-1]]), whole], axis=1).ravel() if whole.size else whole
    below = np.interp(_EXPONENTS, np.maximum.accumulate(edges), steps) if whole.size else np.zeros(_EXPONENTS.size)
    # Boundaries arrive as decimals: a bound of the grid is met up to their last digit.
    return np.asarray(np.concatenate([np.rint(below), [number(histogram.count)]]), dtype=np.float64)


def _exponents(boundaries: FloatArray) -> FloatArray:
    with np.errstate(invalid="ignore", divide="ignore"):
        exponents = np.log2(np.maximum(boundaries, 0.0))
    return np.asarray(np.clip(np.nan_to_num(exponents, nan=_BELOW), _BELOW, _ABOVE), dtype=np.float64)
