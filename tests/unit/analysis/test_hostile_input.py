"""What strangers may send: patterns, intervals, and answers of a store of their own. Errors of ours, and no stall."""

import asyncio
import threading

import aiohttp
import pytest

from analysis.comparison_spec import Comparison, CountsComparison
from analysis.errors import InvalidSpec, MeasurementError
from analysis.patterns import compiled
from analysis.provider_spec import MetricProvider, PrometheusMetric
from analysis.providers import prometheus
from analysis.providers.prometheus import recorded_matrix
from analysis.rules import metric_rule
from analysis.run_spec import Arm, Arms
from analysis.selectors import arm_of
from analysis.series.raw import RawSeries
from analysis.spec import Metric


@pytest.mark.parametrize(
    "pattern", ["a?" * 24 + "a" * 24, "(a|a)" * 24 + "b", "(?:a|b|c)" * 12 + "[)]", r"(\)|[)]|a)" * 9]
)
def test_choices_that_multiply_are_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="for ever"):
        compiled(pattern)


@pytest.mark.parametrize(
    "pattern", ["|".join("abcdefghijklmn"), "(5..|429)-x?", "[?|(]{3}", r"\?\|\(x", "web-(a|b)-[a-z0-9]+"]
)
def test_usual_choices_are_not(pattern: str) -> None:
    assert compiled(pattern)


def test_a_pattern_of_pods_is_cheap_enough_for_fifty_thousand_of_them() -> None:
    with pytest.raises(InvalidSpec, match="for ever"):
        arm_of(Arms(canary=Arm(pods=".*.*.*.*z"), stable=Arm(pods="web-a-[a-z0-9]+")))


def test_a_window_shorter_than_a_second_is_refused_also_where_an_argument_gives_it() -> None:
    metric = Metric(
        name="errors",
        interval="1ms",
        provider=MetricProvider(),
        comparison=Comparison(counts=CountsComparison(events="e", total="t")),
    )
    with pytest.raises(InvalidSpec, match="too short"):
        metric_rule(metric, "spec.metrics[0]", dry_run=False)


def _matrix(*items: str) -> bytes:
    return f'{{"status":"success","data":{{"resultType":"matrix","result":[{",".join(items)}]}}}}'.encode()


def test_an_answer_of_many_tiny_histograms_is_refused_before_it_fills_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(prometheus, "MAX_HISTOGRAMS", 100)
    tiny = '{"metric":{},"histograms":[[1,{"count":"1"}],[2,{"count":"1"}]]}'
    assert len(recorded_matrix(_matrix(*[tiny] * 50))) == 50 * 62
    with pytest.raises(MeasurementError, match="more than 100 histograms"):
        recorded_matrix(_matrix(*[tiny] * 51))


def test_so_is_one_of_many_tiny_series(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prometheus, "MAX_SERIES", 100)
    with pytest.raises(MeasurementError, match="more than 100 series"):
        recorded_matrix(_matrix(*['{"metric":{},"values":[[1,"1"]]}'] * 101))


def test_an_answer_is_read_beside_the_loop_in_which_the_lease_is_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    readers, decode, read = list[int](), prometheus._answer, prometheus._matrix

    def decoded(status: int, body: bytes) -> prometheus._Data:
        readers.append(threading.get_ident())
        return decode(status, body)

    def noted(data: prometheus._Data) -> tuple[RawSeries, ...]:
        readers.append(threading.get_ident())
        return read(data)

    async def asked(*_: object) -> tuple[int, bytes]:
        return 200, _matrix()

    monkeypatch.setattr(prometheus, "_answer", decoded)
    monkeypatch.setattr(prometheus, "_matrix", noted)
    monkeypatch.setattr(prometheus.PrometheusProvider, "_query", asked)

    async def ask() -> tuple[RawSeries, ...]:
        async with aiohttp.ClientSession() as session:
            return await prometheus.PrometheusProvider(session).samples(_metric(), "x", 0.0, 1.0)

    assert asyncio.run(ask()) == ()
    assert len(readers) == 2
    assert threading.get_ident() not in readers


def _metric() -> Metric:
    return Metric(name="x", provider=MetricProvider(prometheus=PrometheusMetric(address="http://x", query="x")))
