"""Requests of real processes, counted by the engine on Debian's Prometheus: each of them, and none twice."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

import aiohttp

from analysis.judgement import WeightChange
from analysis.measure import Look, RunMeasurer
from analysis.providers.prometheus import PrometheusProvider
from rollout.sandbox.node.behaviour import Behaviour
from tests.support import live_pods
from tests.support.live_pods import LivePod
from tests.support.live_release import LiveRelease, run_spec
from tests.support.real_prometheus import RealPrometheus
from tests.support.sandbox_parts import until

RATE = 30.0
ERRORS = """\
args: [{name: prometheus}]
metrics:
- name: errors
  # Some scrapes long: where a window has a scrape of one arm only, nothing is compared, so that nothing is counted.
  interval: 5s
  provider: {prometheus: {address: "{{args.prometheus}}"}}
  comparison:
    counts:
      events: http_requests_total{namespace="{{arms.namespace}}", pod=~"{{arms.pods}}", code="500"}
      total: http_requests_total{namespace="{{arms.namespace}}", pod=~"{{arms.pods}}"}
"""


class Count:
    """What a release's pods served, as they say themselves, and as the engine counts it."""

    def __init__(self, release: LiveRelease, prometheus: RealPrometheus, session: aiohttp.ClientSession) -> None:
        self.release, self.prometheus, self.session = release, prometheus, session
        spec, began = run_spec(release.name, ERRORS, prometheus.url), time.time()
        self.weights = (WeightChange(began, 50),)
        self.measurer = RunMeasurer(spec, live_pods.NAMESPACE, began, PrometheusProvider(session))
        self.served = {"canary": 0, "stable": 0}

    def watch(self) -> None:
        self.watched = [pod for pod in self.release.all_pods if pod.part.running]
        self.prometheus.watch([pod.target for pod in self.watched])

    async def scraped_anew(self) -> None:
        """Wait until each pod that is watched and runs was scraped twice.

        What a pod serves before that shows to nobody: before the first scrape of all, or of a new life whose counter
        is past its old value by then, or while the other arm was not scraped yet.
        """
        running = sum(pod.part.running for pod in self.watched)
        for _ in range(2):
            moment = time.time()
            await self.prometheus.until(f"count(timestamp(up) > {moment} and up == 1) >= {running}")

    async def serve(self, *pods: LivePod) -> None:
        """Let users ask these pods until each has answered enough, and Prometheus knows of all.

        Users are at a new pod before the first scrape sees it.
        """
        before = {pod.name: await served(pod, self.session) for pod in pods}
        await self.scraped_anew()
        async with live_pods.users(pods, RATE):
            for more in (RATE, 2 * RATE):
                for pod in pods:
                    await until(partial(self._more, pod, before, more), f"{pod.name} served")
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


def test_every_request_is_counted_once_while_pods_crash_come_and_go_and_prometheus_is_killed(tmp_path: Path) -> None:
    version = Behaviour("1", error_rate=0.1)
    release = LiveRelease("coming", version, version, tmp_path, pods=2)
    (crashing, coming), (staying, going) = release.arms["canary"], release.arms["stable"]

    async def story() -> None:
        async with RealPrometheus(tmp_path / "prometheus") as prometheus, aiohttp.ClientSession() as session:
            await live_pods.start([crashing, staying, going])
            count = Count(release, prometheus, session)
            count.watch()
            await count.serve(crashing, staying, going)
            await crashing.crash()
            await going.part.stop()
            await prometheus.crash()
            await coming.start()
            await count.serve(crashing, staying, coming)
            # The comparison tells both counts, where the wait would tell nothing but that it was in vain.
            with suppress(AssertionError):
                await until(count.agrees, "the engine counts what the pods served")
            assert await count.counted() == count.served

    async def whole() -> None:
        try:
            await story()
        finally:
            await live_pods.stop(release.all_pods)

    asyncio.run(whole())
