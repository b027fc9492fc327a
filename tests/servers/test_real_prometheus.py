"""The engine on Debian's Prometheus: what a range vector really holds, and requests that nobody counts twice."""

import asyncio
import itertools
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any, TypeVar

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
from rollout.sandbox.node.behaviour import Behaviour
from tests.support import live_pods
from tests.support.exposed import exposed
from tests.support.live_pods import LivePod
from tests.support.live_release import LiveRelease, run_spec
from tests.support.native_histogram import CONTENT_TYPE, NativeHistogram
from tests.support.real_prometheus import RealPrometheus, Target
from tests.support.stretched_time import StretchedTime

T = TypeVar("T")
BOUND_SECONDS = 120.0
RATE = 30.0
ERRORS = """\
args: [{name: prometheus}]
metrics:
- name: errors
  interval: 1s
  provider: {prometheus: {address: "{{args.prometheus}}"}}
  comparison:
    counts:
      events: http_requests_total{namespace="{{arms.namespace}}", pod=~"{{arms.pods}}", code="500"}
      total: http_requests_total{namespace="{{arms.namespace}}", pod=~"{{arms.pods}}"}
"""


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


async def until(what: str, holds: Callable[[], Awaitable[T]]) -> T:
    """Wait until something is true."""
    seen: Any = None
    try:
        async with asyncio.timeout(BOUND_SECONDS):
            while not (seen := await holds()):
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise AssertionError(f"never: {what}") from None
    return seen


def test_each_scrape_is_one_sample_with_the_labels_of_its_target(
    runner: asyncio.Runner, prometheus: RealPrometheus
) -> None:
    scrapes = itertools.count(1)

    async def story() -> RawSeries:
        async with exposed(lambda: f'steps_total{{pod="liar"}} {next(scrapes)}\n') as address:
            prometheus.watch([Target(address, {"pod": "web-1"})])
            await prometheus.until("steps_total >= 4")
            (series,) = await samples(prometheus, "steps_total")
            return series

    series = runner.run(story())
    assert series.values.tolist() == list(range(1, len(series.values) + 1))
    assert all(before < after for before, after in itertools.pairwise(series.times))
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
            await prometheus.until('count_over_time(odd{pod="odd-canary-1"}[5m]) >= 10')
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
    histogram, scraped = NativeHistogram("seconds"), list[int]()

    def scrape() -> bytes:
        values.extend(random.lognormvariate(-3, 0.5) for _ in range(50))
        for value in values[-50:]:
            histogram.observe(value)
        scraped.append(len(values))
        return histogram.exposition({"code": "200"})

    async def story() -> tuple[RawSeries, ...]:
        async with exposed(scrape, CONTENT_TYPE) as address:
            prometheus.watch([Target(address, {"pod": "web-1"})])
            await prometheus.until("count_over_time(seconds[5m]) >= 4")
            return await samples(prometheus, "seconds")

    series = runner.run(story())
    assert {(one.label("pod"), one.label("code")) for one in series} == {("web-1", "200")}
    for one in series:
        bound = float(one.label("le"))
        assert one.values.tolist() == [
            sum(value <= bound for value in values[:count]) for count in scraped[: one.values.size]
        ]


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
                return found[-1].verdict is Verdict.FAIL

            await until("the slower canary fails", failed)
            return found[-1]

    judgement = runner.run(story())
    (latency,) = judgement.metrics
    assert latency.ratio == pytest.approx(1.6, rel=0.15)


def test_a_query_that_prometheus_refuses_is_an_error_in_its_words(
    runner: asyncio.Runner, prometheus: RealPrometheus
) -> None:
    async def story() -> None:
        async with asking(prometheus, "sum(") as (provider, metric):
            await provider.measure(metric, time.time())

    with pytest.raises(MeasurementError, match=r"answered 400: .*parse error"):
        runner.run(story())


class Count:
    """What a release's pods served, as they say themselves, and as the engine counts it."""

    def __init__(self, release: LiveRelease, prometheus: RealPrometheus, session: aiohttp.ClientSession) -> None:
        self.release, self.prometheus, self.session = release, prometheus, session
        spec, began = run_spec(release.name, ERRORS, prometheus.url), time.time()
        self.weights = (WeightChange(began, 50),)
        self.measurer = RunMeasurer(spec, live_pods.NAMESPACE, began, PrometheusProvider(session))
        self.served = {"canary": 0, "stable": 0}

    def watch(self) -> None:
        self.prometheus.watch([pod.target for pod in self.release.all_pods if pod.part.running])

    async def serve(self, *pods: LivePod) -> None:
        """Let users ask these pods until each has answered enough, and Prometheus knows of all.

        Users are at a new pod before the first scrape sees it.
        """
        before = {pod.name: await served(pod, self.session) for pod in pods}
        async with live_pods.users(pods, RATE):
            for more in (RATE, 2 * RATE):
                for pod in pods:
                    await until(f"{pod.name} served", lambda pod=pod, more=more: self._more(pod, before, more))
                self.watch()
        for pod in pods:
            requests = f'http_requests_total{{pod="{pod.name}"}}'
            await self.prometheus.until(f"sum(changes({requests}[3s])) == 0")
            total = await served(pod, self.session)
            await self.prometheus.until(f"sum({requests}) == {total}")
            self.served[pod.arm] += total - before[pod.name]

    async def _more(self, pod: LivePod, before: Mapping[str, int], more: float) -> bool:
        return await served(pod, self.session) >= before[pod.name] + more

    async def counted(self) -> dict[str, float]:
        """What the engine counts, at a look now."""
        pods = [pod.seen() for pod in self.release.all_pods if pod.started_at]
        (metric,) = (await self.measurer.look(Look(time.time(), self.weights, pods))).metrics
        assert metric.problems == ()
        return {"canary": metric.canary.total, "stable": metric.stable.total}

    async def agrees(self) -> bool:
        return await self.counted() == self.served


async def served(pod: LivePod, session: aiohttp.ClientSession) -> int:
    """Requests that a pod says it has served in this life."""
    async with session.get(f"{pod.url}metrics") as answer:
        lines = (await answer.text()).splitlines()
    return sum(int(line.split()[-1]) for line in lines if line.startswith("http_requests_total{"))


def test_every_request_is_counted_once_while_pods_crash_come_and_go_and_prometheus_is_killed(
    runner: asyncio.Runner, prometheus: RealPrometheus, tmp_path: Path
) -> None:
    version = Behaviour("1", error_rate=0.1)
    release = LiveRelease("coming", version, version, tmp_path, pods=2)
    (crashing, coming), (staying, going) = release.arms["canary"], release.arms["stable"]

    async def story() -> None:
        await live_pods.start([crashing, staying, going])
        async with aiohttp.ClientSession() as session:
            count = Count(release, prometheus, session)
            count.watch()
            await prometheus.until_up(3, '{pod=~"coming-.*"}')
            await count.serve(crashing, staying, going)
            await crashing.crash()
            await going.part.stop()
            await prometheus.crash()
            await coming.start()
            await count.serve(crashing, staying, coming)
            await until("the engine counts what the pods served", count.agrees)
            assert await count.counted() == count.served
        await live_pods.stop(release.all_pods)

    runner.run(story())
