"""Native histograms become cumulative buckets on one grid, whatever a store writes."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.errors import MeasurementError
from analysis.providers.native import BOUNDS, NativeHistogram, bucket_series
from analysis.series.raw import RawSeries


def number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise MeasurementError(f"{text!r} is no number") from error


def told(values: list[float], schema: int) -> NativeHistogram:
    """What Prometheus would write of these values."""
    indices = [math.ceil(math.log2(value) * 2**schema) for value in values]
    ends = [(index, 2 ** ((index - 1) / 2**schema), 2 ** (index / 2**schema)) for index in sorted(set(indices))]
    buckets = [(0, repr(lower), repr(upper), str(indices.count(index))) for index, lower, upper in ends]
    return NativeHistogram(count=str(len(values)), buckets=buckets)


def by_bound(series: tuple[RawSeries, ...]) -> dict[str, list[float]]:
    return {one.label("le"): one.values.tolist() for one in series}


@given(st.lists(st.floats(1e-4, 1e5), min_size=1, max_size=60), st.integers(2, 8))
def test_each_bound_of_the_grid_counts_what_lies_below_it(values: list[float], schema: int) -> None:
    # A value within a rounding error of a boundary may lie on either side of it.
    values = [v for v in values if abs(math.log2(v) * 2**schema - round(math.log2(v) * 2**schema)) > 1e-9]
    series = bucket_series({"pod": "a"}, [(1.0, told(values, schema))], number)
    counted = [one.values[0] for one in series]
    assert counted == [sum(value <= bound for value in values) for bound in BOUNDS.tolist()] + [len(values)]
    assert {one.label("pod") for one in series} == {"a"}


@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=40), st.integers(-4, 1))
def test_a_coarser_schema_is_spread_and_loses_nothing(values: list[float], schema: int) -> None:
    rows = [one.values[0] for one in bucket_series({}, [(1.0, told(values, schema))], number)]
    assert rows == sorted(rows)
    assert rows[-1] == len(values)
    width = 2.0 ** (2.0**-schema)
    for bound, row in zip(BOUNDS.tolist(), rows, strict=False):
        assert sum(v <= bound / width / 1.001 for v in values) <= row
        assert row <= sum(v <= bound * width * 1.001 for v in values)


@given(st.lists(st.lists(st.floats(1e-3, 1e2), min_size=1, max_size=10), min_size=2, max_size=5), st.integers(-2, 8))
def test_counters_never_fall_while_values_come(batches: list[list[float]], schema: int) -> None:
    seen = [told([value for batch in batches[: n + 1] for value in batch], schema) for n in range(len(batches))]
    for one in bucket_series({}, [(float(n), histogram) for n, histogram in enumerate(seen)], number):
        assert (np.diff(one.values) >= 0).all()


def test_the_grid_is_the_same_before_the_first_value() -> None:
    empty = bucket_series({}, [(1.0, NativeHistogram(count="0"))], number)
    full = bucket_series({}, [(1.0, told([0.1], 3))], number)
    assert by_bound(empty).keys() == by_bound(full).keys()
    assert {value for values in by_bound(empty).values() for value in values} == {0.0}


def test_zero_negative_and_custom_buckets_have_their_place() -> None:
    buckets = [(1, "-0.5", "-0.25", "2"), (3, "-1e-38", "1e-38", "3"), (0, "0.25", "0.5", "4"), (0, "0.5", "+Inf", "1")]
    found = by_bound(bucket_series({}, [(1.0, NativeHistogram(count="10", buckets=buckets))], number))
    assert (found["0.25"], found["0.5"], found["1"]) == ([5.0], [9.0], [9.0])
    assert found["+Inf"] == [10.0]


TEXTS = st.one_of(st.floats().map(repr), st.sampled_from(["NaN", "+Inf", "-Inf", "-0", "1e308", "9" * 400]))


@given(st.lists(st.tuples(st.integers(), TEXTS, TEXTS, TEXTS), max_size=8), TEXTS)
def test_whatever_figures_a_store_writes_there_is_no_exception(
    buckets: list[tuple[int, str, str, str]], count: str
) -> None:
    series = bucket_series({}, [(1.0, NativeHistogram(count=count, buckets=buckets))], number)
    assert len(series) == BOUNDS.size + 1


def test_a_figure_that_is_no_number_is_refused() -> None:
    with pytest.raises(MeasurementError, match="many"):
        bucket_series({}, [(1.0, NativeHistogram(count="1", buckets=[(0, "1", "2", "many")]))], number)


def test_a_sample_is_read_as_prometheus_writes_it() -> None:
    text = '{"count": "3", "sum": "0.3", "buckets": [[0, "0.0810524721656881", "0.08838834764831843", "3"]]}'
    found = by_bound(bucket_series({}, [(1.0, msgspec.json.decode(text, type=NativeHistogram))], number))
    assert (found["0.0625"], found["0.0883883476483"], found["+Inf"]) == ([0.0], [3.0], [3.0])
