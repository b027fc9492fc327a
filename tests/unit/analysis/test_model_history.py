"""History: read from a store's raw samples as a run would read them, and kept in files that cannot hurt."""

import asyncio
import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.comparison_spec import Comparison, CountsComparison, GaugeComparison, HistogramComparison
from analysis.durations import parse_duration
from analysis.errors import InvalidSpec, MeasurementError
from analysis.evidence.table import Table
from analysis.model.history import (
    HistorySource,
    Piece,
    arms_of_history,
    data_digest,
    pieces_between,
    query_digests,
    read_piece,
    read_pieces,
)
from analysis.model.history_file import decode_history, encode_history
from analysis.model.learn.metrics import learn
from analysis.model.learn.warm_up import AGES_SECONDS, with_warm_ups
from analysis.provider_spec import MetricProvider, PrometheusMetric
from analysis.providers.replay import ReplayProvider
from analysis.rules import RunRules, metric_rule
from analysis.run_spec import Arm
from analysis.series.raw import RawSeries, labels_of
from analysis.simulation.catalogue import ENVIRONMENTS
from analysis.simulation.export import raw_series
from analysis.simulation.generate import history, simulate
from analysis.simulation.rollout import STARTED_AT, SimulatedRollout
from analysis.spec import Metric

_PODS = 'pod=~"{{arms.pods}}"'
COMPARISONS = {
    "errors": Comparison(counts=CountsComparison(events=f"errors{{{_PODS}}}", total=f"requests{{{_PODS}}}")),
    "latency": Comparison(histogram=HistogramComparison(buckets=f"latency{{{_PODS}}}")),
    "cpu": Comparison(gauge=GaugeComparison(type="Usage", query=f"cpu{{{_PODS}}}", load=f"requests{{{_PODS}}}")),
    "memory": Comparison(gauge=GaugeComparison(query=f"memory{{{_PODS}}}")),
}
PROVIDER = MetricProvider(prometheus=PrometheusMetric(query="", address="http://127.0.0.1:9090"))
METRICS = {
    name: Metric(name=name, interval="30s", provider=PROVIDER, comparison=comparison)
    for name, comparison in COMPARISONS.items()
}
RULES = RunRules(0.01, 180.0, 4, tuple(metric_rule(metric, "metric", dry_run=False) for metric in METRICS.values()))
ARMS = arms_of_history("shop")
SOURCE = HistorySource(RULES, METRICS, "shop", ARMS)


def _named(series: RawSeries, version: str) -> RawSeries:
    labels = dict(series.labels)
    number = int(labels["pod"].rsplit("-", 1)[1])
    return RawSeries(labels_of({**labels, "pod": f"shop-{version}-pod{number:02d}"}), series.times, series.values)


def _store(*versions: tuple[SimulatedRollout, str], pods: int = 10) -> ReplayProvider:
    """A store with the pods of some versions; the first one has all of its pods, the others two."""
    series: dict[str, list[RawSeries]] = {}
    for place, (rollout, version) in enumerate(versions):
        for name, some in raw_series(rollout).items():
            shown = [one for one in some if place == 0 or int(dict(one.labels)["pod"].rsplit("-", 1)[1]) < 2]
            select = f'{name}{{pod=~"({ARMS.stable.pods}|{ARMS.stable.pods})"}}'
            series.setdefault(select, []).extend(_named(one, version) for one in shown)
    return ReplayProvider(series)


def _read(provider: ReplayProvider, begin: float = STARTED_AT) -> Piece:
    return asyncio.run(read_piece(SOURCE, provider, begin))


def test_what_is_read_is_what_pods_did() -> None:
    rollout = history(11, replace(ENVIRONMENTS["base"], restarts_per_pod_hour=0.0))
    piece = _read(_store((rollout, "79c9b9f6bf")))
    assert sorted(piece.tables) == ["cpu", "errors", "latency", "memory"]
    for name, table in piece.tables.items():
        truth = rollout.tables[name].stable
        # The last windows may still grow by late samples, which come after the end of this recording.
        whole = min(table.windows, truth.seconds.shape[1]) - 2
        assert whole >= 70
        assert len(table.stable.pods) == 10
        assert np.allclose(table.stable.seconds[:, :whole], truth.seconds[:, :whole])
        assert np.allclose(table.stable.amounts[:, :whole], truth.amounts[:, :whole], equal_nan=True)


def test_pods_of_a_release_that_was_under_way_are_left_out() -> None:
    world = replace(ENVIRONMENTS["base"], restarts_per_pod_hour=0.0)
    piece = _read(_store((history(11, world), "79c9b9f6bf"), (history(12, world), "6d5f8c7b9d")))
    assert all("79c9b9f6bf" in pod for pod in piece.tables["errors"].stable.pods)
    assert len(piece.tables["errors"].stable.pods) == 10


def _with_births(seed: int) -> ReplayProvider:
    """A store in which four pods of the same version were born, at twenty and at thirty minutes."""
    rollout = simulate(seed, replace(ENVIRONMENTS["base"], restarts_per_pod_hour=0.0))
    series: dict[str, list[RawSeries]] = {}
    for name, some in raw_series(rollout).items():
        select = f'{name}{{pod=~"({ARMS.stable.pods}|{ARMS.stable.pods})"}}'
        for one in some:
            side, number = one.label("pod").rsplit("-", 1)
            labels = {**dict(one.labels), "pod": f"shop-79c9b9f6bf-{side[:3]}{int(number):02d}"}
            series.setdefault(select, []).append(RawSeries(labels_of(labels), one.times, one.values))
    return ReplayProvider(series)


def test_births_in_history_tell_how_long_young_pods_differ() -> None:
    async def read() -> list[Piece]:
        return [await read_piece(SOURCE, _with_births(seed), STARTED_AT, ages=AGES_SECONDS) for seed in range(6)]

    pieces = asyncio.run(read())
    metrics = learn([piece.tables for piece in pieces], RULES.rules, query_digests(METRICS))
    known = {metric.name: metric.warm_up for metric in with_warm_ups(metrics, RULES.rules, [p.by_age for p in pieces])}
    # A new process has +65 % latency and loses that by a factor e in 90 s: it is 3 % after 250 s.
    assert 180 <= parse_duration(known["latency"]) <= 360


def test_history_without_births_tells_nothing_about_young_pods() -> None:
    rollout = history(11, replace(ENVIRONMENTS["base"], restarts_per_pod_hour=0.0))
    provider = _store((rollout, "79c9b9f6bf"))
    piece = asyncio.run(read_piece(SOURCE, provider, STARTED_AT, ages=AGES_SECONDS))
    assert all(not tables for tables in piece.by_age.values())


def test_another_workload_with_a_similar_name_is_not_taken_for_the_service() -> None:
    from analysis.patterns import compiled

    belongs = compiled(arms_of_history("shop.v1").stable.pods).fullmatch
    assert belongs("shop.v1-79c9b9f6bf-x2x4z")
    for stranger in ("shop.v1-db-0", "shop.v1-db-79c9b9f6bf-x2x4z", "shopxv1-79c9b9f6bf-x2x4z", "shop.v1"):
        assert not belongs(stranger)


def test_a_metric_by_query_is_read_by_what_is_known_of_stable() -> None:
    arms = arms_of_history("shop", Arm(pod_template_hash="79c9b9f6bf", service="shop-stable", pods="x"))
    assert (arms.stable.pod_template_hash, arms.stable.service) == ("79c9b9f6bf", "shop-stable")
    assert arms.stable.pods == ARMS.stable.pods


def test_pieces_without_data_are_left_out() -> None:
    provider = _store((history(11, ENVIRONMENTS["base"]), "79c9b9f6bf"))

    async def read() -> list[Piece]:
        begins = (STARTED_AT - 90_000, STARTED_AT)
        return [piece async for piece in read_pieces(SOURCE, provider, begins)]

    assert [piece.began_at for piece in asyncio.run(read())] == [STARTED_AT]


class _Broken(ReplayProvider):
    """Fails the first times."""

    def __init__(self, whole: ReplayProvider, failures: int) -> None:
        super().__init__({})
        self._whole, self._failures = whole, failures

    async def samples(self, metric: Metric, selector: str, start: float, end: float) -> tuple[RawSeries, ...]:
        if self._failures > 0:
            self._failures -= 1
            raise MeasurementError("no answer")
        return await self._whole.samples(metric, selector, start, end)


def test_an_answer_that_failed_once_is_asked_for_again_and_a_second_failure_is_told() -> None:
    whole = _store((history(11, ENVIRONMENTS["base"]), "79c9b9f6bf"))
    assert sorted(_read(_Broken(whole, 1)).tables) == sorted(METRICS)
    with pytest.raises(MeasurementError, match="no answer"):
        _read(_Broken(whole, 100))


def test_pieces_end_where_history_ends() -> None:
    assert pieces_between(0.0, 10_000.0) == (400.0, 2800.0, 5200.0, 7600.0)
    assert pieces_between(0.0, 1000.0) == ()
    assert len(pieces_between(0.0, 1e9)) == 500


def test_a_query_has_another_digest_when_it_means_something_else() -> None:
    digests = query_digests(METRICS)
    spaced = CountsComparison(events=f"errors{{ {_PODS} }}", total=f"requests{{{_PODS}}}")
    other = CountsComparison(events=f"errors{{{_PODS}, code='500'}}", total=f"requests{{{_PODS}}}")
    same = msgspec.structs.replace(METRICS["errors"], comparison=Comparison(counts=spaced))
    changed = msgspec.structs.replace(METRICS["errors"], comparison=Comparison(counts=other))
    assert query_digests({"errors": same})["errors"] == digests["errors"]
    assert query_digests({"errors": changed})["errors"] != digests["errors"]


def _pieces(seeds: Sequence[int] = (1, 2)) -> list[Piece]:
    return [Piece(2400.0 * seed, history(seed, ENVIRONMENTS["base"]).tables) for seed in seeds]


def _same(one: Mapping[str, Table], other: Mapping[str, Table]) -> bool:
    return sorted(one) == sorted(other) and all(
        table.stable.pods == other[name].stable.pods
        and table.bounds == other[name].bounds
        and np.array_equal(table.stable.seconds, other[name].stable.seconds)
        and np.array_equal(table.stable.amounts, other[name].stable.amounts, equal_nan=True)
        for name, table in one.items()
    )


def test_a_file_gives_back_what_was_written() -> None:
    pieces = _pieces()
    again = decode_history(encode_history(pieces))
    assert [piece.began_at for piece in again] == [2400.0, 4800.0]
    assert all(_same(one.tables, other.tables) for one, other in zip(pieces, again, strict=True))
    assert data_digest(again) == data_digest(pieces)
    assert data_digest(_pieces((1, 3))) != data_digest(pieces)


_FILE = encode_history(_pieces((1,)))


@given(st.binary(max_size=300))
def test_random_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidSpec):
        decode_history(data)


@given(st.integers(0, len(_FILE) - 1), st.integers(1, 255))
def test_a_damaged_file_is_refused_or_reads_as_a_history(place: int, flip: int) -> None:
    damaged = bytearray(_FILE)
    damaged[place] ^= flip
    try:
        pieces = decode_history(bytes(damaged))
    except InvalidSpec:
        return
    assert all(piece.tables for piece in pieces)


def test_equal_histories_are_equal_files() -> None:
    assert encode_history(_pieces((1,))) == _FILE


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"windows":80', b'"windows":81'),
        (b'"stable-001"', b'"stable-000"'),
        (b'"intervalSeconds":30.0', b'"intervalSeconds":-1.0'),
        (b"coalmine.dev/history/v1", b"coalmine.dev/history/v9"),
        (b'"columns":2', b'"columns":9'),
        (b"0.005,0.01,", b"0.01,0.005,"),
    ],
)
def test_a_header_that_does_not_fit_its_numbers_is_refused(old: bytes, new: bytes) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(_FILE)) as whole, zipfile.ZipFile(file, "w") as archive:
        for name in whole.namelist():
            content = whole.read(name)
            archive.writestr(name, content.replace(old, new) if name == "header.json" else content)
    with pytest.raises(InvalidSpec, match="history"):
        decode_history(file.getvalue())


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    with zipfile.ZipFile(io.BytesIO(_FILE)) as archive:
        said = archive.getinfo("0.0").file_size.to_bytes(4, "little")
    # No more than what an archive says of an entry is ever unpacked, so saying it is enough.
    bomb = _FILE.replace(said, (0xF0000000).to_bytes(4, "little"))
    with pytest.raises(InvalidSpec, match="too large once unpacked"):
        decode_history(bomb)
