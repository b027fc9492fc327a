"""Releases of real processes on Debian's Prometheus: what is harmful fails by its name, the rest is proven."""

import asyncio
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from analysis.evidence.metric_parts import MetricNoise
from analysis.evidence.noise import Noise
from analysis.explain import describe
from analysis.judgement import ArmTotals
from analysis.providers.prometheus import PrometheusProvider
from analysis.verdict import AnalysisPhase, Verdict
from rollout.sandbox.node.behaviour import Behaviour
from tests.support import live_pods
from tests.support.live_release import ARMS, LiveRelease, run_spec
from tests.support.real_prometheus import RealPrometheus
from tests.support.stretched_time import StretchedTime

BOUND_SECONDS = 400.0
# A second is half a minute for the engine: it sees half an hour, in windows of one minute with two scrapes each.
STRETCH = 30.0
LOOKS_MIN, LOOKS_MAX = 30, 150
INCIDENT_LOOKS = (10, 18)
INCIDENT_TOLD_LOOKS = 20
RATE_PER_POD = 5.0
TEMPLATE = """\
args: [{name: prometheus}]
metrics:
- name: errors
  interval: 60s
  provider: {prometheus: {address: "{{args.prometheus}}"}}
  comparison:
    counts:
      events: http_requests_total{namespace="{{arms.namespace}}", pod=~"{{arms.pods}}", code="500"}
      total: http_requests_total{namespace="{{arms.namespace}}", pod=~"{{arms.pods}}"}
- name: latency
  interval: 60s
  provider: {prometheus: {address: "{{args.prometheus}}"}}
  comparison:
    histogram:
      buckets: http_request_duration_seconds_bucket{namespace="{{arms.namespace}}", pod=~"{{arms.pods}}"}
      tails: [600ms]
    tolerance: 30%
- name: memory
  interval: 60s
  provider: {prometheus: {address: "{{args.prometheus}}"}}
  comparison:
    gauge:
      type: Growth
      query: process_resident_memory_bytes{namespace="{{arms.namespace}}", pod=~"{{arms.pods}}"}
    harm: 20%
    tolerance: 50%
- name: cpu
  interval: 60s
  provider: {prometheus: {address: "{{args.prometheus}}"}}
  comparison:
    gauge:
      type: Usage
      query: process_cpu_seconds_total{namespace="{{arms.namespace}}", pod=~"{{arms.pods}}"}
      load: http_requests_total{namespace="{{arms.namespace}}", pod=~"{{arms.pods}}"}
    tolerance: 30%
"""
# Requests of the demo service fail each by itself, in all pods alike; the prior would want more pods.
NOISES = {"errors": MetricNoise(Noise(omega2=0.02, tau2=0.0025, source="sha256:demo"))}
# Long latencies, so that what a busy machine adds to them is little.
STABLE = Behaviour("1", error_rate=0.1, latency_seconds=0.4, cpu_seconds_per_request=0.0015)
SAME = replace(STABLE, version="2")
FAULTS = {
    "errors": replace(SAME, error_rate=2 * STABLE.error_rate),
    "latency": replace(SAME, latency_seconds=1.25 * STABLE.latency_seconds),
    "memory": replace(SAME, leak_bytes_per_second=250_000),
    # A request takes half a millisecond beside what is burned: 40 % more of this is 30 % more of all.
    "cpu": replace(SAME, cpu_seconds_per_request=1.4 * STABLE.cpu_seconds_per_request),
}
GOOD = [f"good{number}" for number in range(1, 5)]
INCIDENT = "incident"


class Play:
    """All releases at once, on one Prometheus: they mostly wait."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.incident = folder, folder / "down"
        pairs = {name: (STABLE, canary) for name, canary in FAULTS.items()} | dict.fromkeys(GOOD, (STABLE, SAME))
        hurt = [replace(version, incident_file=str(self.incident)) for version in (STABLE, SAME)]
        pairs[INCIDENT] = (hurt[0], hurt[1])
        self.releases = {name: LiveRelease(name, *pair, folder / name) for name, pair in pairs.items()}
        self.pods = [pod for release in self.releases.values() for pod in release.all_pods]
        self.before_incident, self.after_incident = dict[str, ArmTotals](), dict[str, ArmTotals]()

    async def run(self) -> None:
        """Play until all faults are found, and the others are proven to do no harm."""
        try:
            async with RealPrometheus(self.folder / "prometheus") as prometheus:
                await live_pods.start(self.pods)
                prometheus.watch([pod.target for pod in self.pods])
                async with live_pods.users(self.pods, RATE_PER_POD), asyncio.timeout(BOUND_SECONDS):
                    await prometheus.until_up(len(self.pods))
                    await self._follow(prometheus.url)
        finally:
            await live_pods.stop(self.pods)

    async def _follow(self, url: str) -> None:
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as tasks:
            tasks.create_task(self._hurt(self.releases[INCIDENT]))
            for name, release in self.releases.items():
                watched = StretchedTime(PrometheusProvider(session), STRETCH)
                tasks.create_task(release.follow(run_spec(name, TEMPLATE, url), watched, NOISES, enough))

    async def _hurt(self, release: LiveRelease) -> None:
        """Let both arms of a release suffer for a while, and remember what was counted around it."""
        first, last = INCIDENT_LOOKS
        await until_looks(release, first)
        self.before_incident = errors(release)
        self.incident.touch()
        await until_looks(release, last)
        self.incident.unlink()
        await until_looks(release, INCIDENT_TOLD_LOOKS)
        self.after_incident = errors(release)


async def until_looks(release: LiveRelease, looks: int) -> None:
    """Wait until there were so many looks at a release, or no more come."""
    while release.looks < looks and not release.status.phase.completed:
        await asyncio.sleep(0.1)


def errors(release: LiveRelease) -> dict[str, ArmTotals]:
    """What was counted of each arm's errors so far."""
    assert release.judgement is not None
    return {arm: getattr(release.judgement.metrics[0], arm) for arm in ARMS}


def enough(release: LiveRelease) -> bool:
    """Whether nobody learns more from a release: a harmful one fails in the end, a good one is proven to be good."""
    proven = release.name not in FAULTS and release.verdict is Verdict.PASS
    return release.looks >= LOOKS_MAX or (release.looks >= LOOKS_MIN and proven)


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> Play:
    played = Play(tmp_path_factory.mktemp("play"))
    asyncio.run(played.run())
    return played


@pytest.mark.parametrize("fault", FAULTS)
def test_a_harmful_release_fails_and_the_metric_is_named(play: Play, fault: str) -> None:
    status = play.releases[fault].status
    assert status.phase is AnalysisPhase.FAILED, status.message
    assert status.message.startswith(f'Metric "{fault}" assessed Failed')


@pytest.mark.parametrize("name", [*GOOD, INCIDENT])
def test_a_good_release_is_proven_to_do_no_harm(play: Play, name: str) -> None:
    release = play.releases[name]
    assert release.judgement is not None
    assert (release.status.phase, release.verdict) == (AnalysisPhase.RUNNING, Verdict.PASS), describe(release.judgement)


def test_an_incident_was_there_and_hurt_both_arms(play: Play) -> None:
    # Some 300 requests from just before it to just after it: 26 % of them fail, give or take 2.5 %, usually 10 %.
    for arm in ARMS:
        before, after = play.before_incident[arm], play.after_incident[arm]
        assert after.events - before.events > 1.5 * STABLE.error_rate * (after.total - before.total)
