"""The metrics of the sandbox: our store and a real Prometheus in its place answer the same clients alike."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import aiohttp
import pytest

from analysis.errors import MeasurementError
from analysis.provider_spec import MetricProvider, PrometheusMetric
from analysis.providers.prometheus import PrometheusProvider
from analysis.series.raw import RawSeries
from analysis.spec import Metric
from tests.support.api_process import Running
from tests.support.real_prometheus import binary
from tests.support.sandbox_parts import cluster, objects, serving, until

T = TypeVar("T")
PODS = 2
CPU = 'process_cpu_seconds_total{namespace="default"}'


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with cluster(tmp_path_factory.mktemp("cluster")) as running:
        asyncio.run(deploy(running))
        yield running


async def deploy(running: Running) -> None:
    async with objects(running) as it:
        await it.arm("v1", PODS)
        await it.ready("v1", PODS)


@pytest.fixture(scope="module", params=["ours", "real"])
def address(api: Running, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    more = ("--binary", binary()) if request.param == "real" else ()
    with serving("rollout.sandbox.prometheus", api, tmp_path_factory.mktemp(request.param), *more) as ports:
        yield f"http://127.0.0.1:{ports['prometheus']}"


class Client:
    """Our provider at one store."""

    def __init__(self, provider: PrometheusProvider, address: str) -> None:
        self._provider, self._address = provider, address

    async def samples(self, selector: str, seconds: float = 300.0) -> tuple[RawSeries, ...]:
        now = time.time()
        return await self._provider.samples(self._metric("up"), selector, now - seconds, now)

    async def measure(self, query: str) -> Any:
        return await self._provider.measure(self._metric(query), time.time())

    async def until(self, query: str) -> None:
        """Wait until a query has a result; a store that does not serve yet is waited for, too."""

        async def holds() -> bool:
            try:
                return bool(await self.measure(query))
            except MeasurementError:
                return False

        await until(holds, query)

    def _metric(self, query: str) -> Metric:
        prometheus = PrometheusMetric(address=self._address, query=query)
        return Metric(name="m", provider=MetricProvider(prometheus=prometheus))


@asynccontextmanager
async def client(address: str) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as session:
        yield Client(PrometheusProvider(session), address)


def play(address: str, story: Callable[[Client], Awaitable[T]]) -> T:
    async def run() -> T:
        async with client(address) as asking:
            await asking.until(f'count(up{{namespace="default"}} == 1) >= {PODS}')
            return await story(asking)

    return asyncio.run(run())


def test_every_series_of_a_pod_carries_its_labels(address: str) -> None:
    async def story(asking: Client) -> tuple[RawSeries, ...]:
        return await asking.samples('process_resident_memory_bytes{namespace="default"}')

    series = play(address, story)
    assert len({one.label("pod") for one in series}) == PODS
    for one in series:
        labels = dict(one.labels)
        assert labels.pop("pod").startswith("shop-v1-")
        assert labels.pop("instance").endswith(":8080")
        assert labels == {
            "__name__": "process_resident_memory_bytes",
            "job": "pods",
            "namespace": "default",
            "rollouts_pod_template_hash": "hashv1",
        }
        assert one.values.min() > 1e6


def test_raw_samples_have_scrape_times_in_order_and_none_twice(address: str) -> None:
    async def story(asking: Client) -> tuple[RawSeries, ...]:
        async def enough() -> bool:
            return min(one.times.size for one in await asking.samples(CPU)) >= 4

        await until(enough, "four scrapes")
        return await asking.samples(CPU)

    for one in play(address, story):
        assert one.times.size >= 4
        assert (one.times[1:] > one.times[:-1]).all()
        assert (one.values[1:] >= one.values[:-1]).all()


def test_a_vector_is_a_list_and_nothing_an_empty_one(address: str) -> None:
    async def story(asking: Client) -> tuple[Any, Any]:
        return await asking.measure('sum(up{namespace="default"})'), await asking.measure("nobody_has_this")

    assert play(address, story) == ([PODS], [])


def test_a_query_that_cannot_be_parsed_is_refused(address: str) -> None:
    async def story(asking: Client) -> None:
        with pytest.raises(MeasurementError, match="answered 400"):
            await asking.measure("sum(")

    play(address, story)


def test_a_pod_that_comes_is_scraped_and_one_that_goes_is_not(api: Running, address: str) -> None:
    async def scale(replicas: int) -> None:
        async with objects(api) as it:
            await it.scale("v1", replicas)
            await it.ready("v1", replicas)

    async def story(asking: Client) -> None:
        await scale(PODS + 1)
        await asking.until(f'count(up{{namespace="default"}} == 1) == {PODS + 1}')
        await scale(PODS)

        async def gone() -> bool:
            return len({one.label("pod") for one in await asking.samples(CPU, 4.0)}) == PODS

        await until(gone, "the pod that went has no samples any more, while the others go on")

    play(address, story)
