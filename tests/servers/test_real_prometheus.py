"""The engine on Debian's Prometheus: what a range vector really holds, and what becomes of it."""

import asyncio
import itertools
import math
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from random import Random
from typing import Any

import aiohttp
import pytest

from analysis.errors import MeasurementError
from analysis.judgement import DataState, Judgement, WeightChange
from analysis.measure import Look, RunMeasurer
from analysis.provider_spec import MetricProvider, PrometheusMetric
from analysis.providers.prometheus import PrometheusProvider
from analysis.series.raw import RawSeries
from analysis.spec import Metric
from analysis.verdict import Verdict
from tests.support import live_pods
from tests.support.exposed import exposed
from tests.support.live_release import run_spec
from tests.support.native_histogram import CONTENT_TYPE, NativeHistogram
from tests.support.real_prometheus import RealPrometheus, Target
from tests.support.sandbox_parts import until
from tests.support.stretched_time import StretchedTime

LEVEL = """\
args: [{name: prometheus}]
metrics:
- name: odd
  interval: 1s
  provider: {prometheus: {address: "{{args.prometheus}}"}}
  comparison:
    gauge: {query: 'odd{pod=~"{{arms.pods}}"}'}
"""
LATENCY = """\
args: [{name: prometheus}]
metrics:
- name: latency
  interval: 2m
  provider: {prometheus: {address: "{{args.prometheus}}"}}
  comparison:
    histogram: {buckets: 'waited_seconds{pod=~"{{arms.pods}}"}'}
"""


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


@pytest.fixture(scope="module")
def prometheus(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealPrometheus]:
    real = RealPrometheus(tmp_path_factory.mktemp("prometheus"))
    runner.run(real.__aenter__())
    yield real
    runner.run(real.__aexit__(None, None, None))


@asynccontextmanager
async def asking(prometheus: RealPrometheus, query: str = "up") -> AsyncIterator[tuple[PrometheusProvider, Metric]]:
    """Our provider, and a metric at that Prometheus."""
    address = PrometheusMetric(address=prometheus.url, query=query)
    async with aiohttp.ClientSession() as session:
        yield PrometheusProvider(session), Metric(name="m", provider=MetricProvider(prometheus=address))


async def samples(prometheus: RealPrometheus, selector: str) -> tuple[RawSeries, ...]:
    """What our provider gets of the last minutes."""
    async with asking(prometheus) as (provider, metric):
        return await provider.samples(metric, selector, time.time() - 600, time.time())


def target(pod: str, address: str) -> Target:
    """Something exposed, as a pod."""
    return Target(address, {"pod": pod, "namespace": live_pods.NAMESPACE})


def test_each_scrape_is_one_sample_with_the_labels_of_its_target(
    runner: asyncio.Runner, prometheus: RealPrometheus
) -> None:
    scrapes = itertools.count(1)

    async def story() -> RawSeries:
        async with exposed(lambda: f'steps_total{{pod="liar"}} {next(scrapes)}\n') as address:
            prometheus.watch([Target(address, {"pod": "web-1"})])
            # Not `steps_total >= 4`: a scrape that takes too long is counted here, and is no sample.
            await prometheus.until("count_over_time(steps_total[5m]) >= 4")
            (series,) = await samples(prometheus, "steps_total")
            return series

    series = runner.run(story())
    assert series.values.size >= 4
    for before, after in itertools.pairwise(zip(series.times, series.values, strict=True)):
        assert before[0] < after[0]
        assert before[1] < after[1]
    assert (series.label("pod"), series.label("exported_pod")) == ("web-1", "liar")


def test_what_is_no_number_arrives_as_such_and_does_not_count(
    runner: asyncio.Runner, prometheus: RealPrometheus
) -> None:
    scrapes = itertools.count()
    told = ["NaN", "+Inf", "-Inf", "7"]

    async def story() -> tuple[RawSeries, Any, Judgement]:
        odd, plain = exposed(lambda: f"odd {told[next(scrapes) % len(told)]}\n"), exposed(lambda: "odd 7\n")
        async with odd as canary, plain as stable:
            began = time.time()
            prometheus.watch([target("odd-canary-1", canary), target("odd-stable-1", stable)])
            await prometheus.until('count_over_time(odd{pod="odd-canary-1"}[5m]) >= 20')
            (series,) = await samples(prometheus, 'odd{pod="odd-canary-1"}')
            async with asking(prometheus, "odd / 0 * 0") as (provider, metric):
                measurer = RunMeasurer(run_spec("odd", LEVEL, prometheus.url), live_pods.NAMESPACE, began, provider)
                value = await provider.measure(metric, time.time())
                return series, value, await measurer.look(Look(time.time(), (WeightChange(began, 50),)))

    series, value, judgement = runner.run(story())
    assert {str(one) for one in series.values} == {"nan", "inf", "-inf", "7.0"}
    assert all(math.isnan(one) for one in value)
    (level,) = judgement.metrics
    assert (level.state, level.ratio) == (DataState.COLLECTING, 1.0)
    assert 0 < level.canary.total < level.stable.total


def test_a_target_that_goes_leaves_its_samples_and_no_marker_among_them(
    runner: asyncio.Runner, prometheus: RealPrometheus
) -> None:
    async def story() -> RawSeries:
        async with exposed(lambda: "gone 1\n") as address:
            prometheus.watch([Target(address)])
            await prometheus.until("count_over_time(gone[5m]) >= 2")
            prometheus.watch([])
            # Prometheus writes a stale marker, a NaN of its own, some scrapes later.
            await prometheus.until("absent(gone)")
            (series,) = await samples(prometheus, "gone")
            return series

    assert set(runner.run(story()).values) == {1.0}


def test_a_native_histogram_counts_each_value_once_below_each_bound(
    runner: asyncio.Runner, prometheus: RealPrometheus
) -> None:
    random, values = Random(1), list[float]()
    histogram = NativeHistogram("seconds")

    def scrape() -> bytes:
        values.extend(random.lognormvariate(-3, 0.5) for _ in range(50))
        for value in values[-50:]:
            histogram.observe(value)
        return histogram.exposition({"code": "200"})

    async def story() -> tuple[RawSeries, ...]:
        async with exposed(scrape, CONTENT_TYPE) as address:
            prometheus.watch([Target(address, {"pod": "web-1"})])
            await prometheus.until("count_over_time(seconds[5m]) >= 4")
            return await samples(prometheus, "seconds")

    series = runner.run(story())
    assert {(one.label("pod"), one.label("code")) for one in series} == {("web-1", "200")}
    (whole,) = (one.values for one in series if one.label("le") == "+Inf")
    for one in series:
        bound = float(one.label("le"))
        assert one.values.tolist() == [sum(value <= bound for value in values[: int(count)]) for count in whole]


def test_native_histograms_fail_a_slower_canary(runner: asyncio.Runner, prometheus: RealPrometheus) -> None:
    random = Random(2)

    def pod(median_seconds: float) -> AbstractAsyncContextManager[str]:
        histogram = NativeHistogram("waited_seconds")

        def scrape() -> bytes:
            for _ in range(40):
                histogram.observe(median_seconds * random.lognormvariate(0, 0.5))
            return histogram.exposition()

        return exposed(scrape, CONTENT_TYPE)

    async def story() -> Judgement:
        async with pod(0.16) as canary, pod(0.1) as stable, aiohttp.ClientSession() as session:
            prometheus.watch([target("native-canary-1", canary), target("native-stable-1", stable)])
            watched = StretchedTime(PrometheusProvider(session), 60.0)
            spec, began = run_spec("native", LATENCY, prometheus.url), watched.now()
            measurer = RunMeasurer(spec, live_pods.NAMESPACE, began, watched)
            found: list[Judgement] = []

            async def failed() -> bool:
                found.append(await measurer.look(Look(watched.now(), (WeightChange(began, 50),))))
                # At the first FAIL the ratio is biased: chance has brought it. So some ten scrapes are waited for.
                return found[-1].verdict is Verdict.FAIL and found[-1].metrics[0].canary.total >= 400

            await until(failed, "the slower canary fails")
            return found[-1]

    judgement = runner.run(story())
    (latency,) = judgement.metrics
    assert latency.ratio == pytest.approx(1.6, rel=0.25)


def test_a_query_that_prometheus_refuses_is_an_error_in_its_words(
    runner: asyncio.Runner, prometheus: RealPrometheus
) -> None:
    async def story() -> None:
        async with asking(prometheus, "sum(") as (provider, metric):
            await provider.measure(metric, time.time())

    with pytest.raises(MeasurementError, match=r"answered 400: .*parse error"):
        runner.run(story())
