"""The turns of AnalysisRuns on a real API server: what cannot be measured, or recorded, must not pass unseen."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import pytest
import yaml
from aiohttp import web

from analysis.durations import format_time
from rollout.api.analysis import AnalysisRun
from rollout.cli.explain import discrepancies, replayed, unpacked
from rollout.controllers.analysisrun import AnalysisRunController
from rollout.controllers.background import Background
from rollout.controllers.context import Context
from rollout.controllers.terms import TERMS
from rollout.domain.decision import Event
from rollout.kube.cache import Cache, Key
from rollout.kube.client import KubeClient
from rollout.kube.connection import Connection
from rollout.kube.resources import (
    ANALYSIS_RUNS,
    CONFIG_MAPS,
    CUSTOM_RESOURCE_DEFINITIONS,
    NAMESPACES,
    PODS,
    SECRETS,
    Resource,
)
from tests.support.api_process import ROOT, Running, embedded_server

BOUND_SECONDS = 120.0
WEIGHTS = "coalmine.dev/weights"
Json = dict[str, Any]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with embedded_server(tmp_path_factory.mktemp("api")) as running:
        asyncio.run(prepare(running))
        yield running


async def prepare(running: Running) -> None:
    connection = Connection(str(running.kubeconfig))
    client = KubeClient(connection)
    for path in sorted((ROOT / "crds").glob("*.yaml")):
        await client.create(CUSTOM_RESOURCE_DEFINITIONS, yaml.safe_load(path.read_text()))
    await client.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
    await connection.close()


class Turns:
    """The controller with its caches, and everything it asks for and tells."""

    def __init__(self, client: KubeClient, session: aiohttp.ClientSession, jobs: Background) -> None:
        self.client = client
        self.events: list[Event] = []
        self._asked = asyncio.Event()
        self.caches: dict[Resource, Cache] = {ANALYSIS_RUNS: Cache(), PODS: Cache(terms=TERMS[PODS])}
        context = Context(client, self.caches, time.time, self, lambda *_: self._asked.set())
        self.controller = AnalysisRunController(context, session, jobs)

    def tell(self, resource: Resource, obj: Json, event: Event) -> None:
        """Take an event, as the recorder would."""
        assert (resource, obj["kind"]) == (ANALYSIS_RUNS, "AnalysisRun")
        self.events.append(event)

    async def create(self, run: Json) -> Key:
        """Create a run and take it into the cache."""
        self.caches[ANALYSIS_RUNS].put(await self.client.create(ANALYSIS_RUNS, run))
        return "shop", run["metadata"]["name"]

    async def ended(self, key: Key) -> Json:
        """Take turns until the run has ended; its status."""
        return await self.until(key, lambda status: bool(status.get("completedAt")))

    async def recorded(self, key: Key) -> Json:
        """Take turns until the run has ended, and its record is kept or refused; its status."""

        def told(status: Json) -> bool:
            kept = "recordDigest" in status.get("comparison", {})
            return bool(status.get("completedAt")) and (kept or "RecordNotKept" in [one.reason for one in self.events])

        return await self.until(key, told)

    async def until(self, key: Key, seen: Callable[[Json], bool]) -> Json:
        """Take turns when they are asked for, until the status is as wanted; it."""
        async with asyncio.timeout(BOUND_SECONDS):
            while True:
                self._asked.clear()
                wake_at = await self.controller.reconcile(key)
                live = await self.client.get(ANALYSIS_RUNS, *key)
                assert live is not None
                if seen(live.get("status") or {}):
                    return dict(live["status"])
                await self._news(wake_at)

    async def _news(self, wake_at: float | None) -> None:
        delay = None if wake_at is None else max(wake_at - time.time(), 0.001)
        try:
            async with asyncio.timeout(delay):
                await self._asked.wait()
        except TimeoutError:
            return


@asynccontextmanager
async def turns(
    server: Running,
    observe: Callable[[str, str, int], None] = lambda *_: None,
    *,
    jobs: int = 16,
    kind: type[KubeClient] = KubeClient,
) -> AsyncIterator[Turns]:
    connection = Connection(str(server.kubeconfig))
    try:
        async with Background(jobs) as background, aiohttp.ClientSession() as session:
            yield Turns(kind(connection, observe=observe), session, background)
    finally:
        await connection.close()


def compared(name: str, address: str = "http://127.0.0.1:1", **more: Any) -> Json:
    """A run that compares errors, made by hand."""
    select = '{pod=~"{{arms.pods}}"}'
    counts = {"events": f"errors{select}", "total": f"requests{select}"}
    arms = {
        side: {"podTemplateHash": side, "pods": f"web-{side}-[a-z0-9]+", "service": side}
        for side in ("canary", "stable")
    }
    metric = {
        "name": "errors",
        "interval": "1s",
        "provider": {"prometheus": {"address": address}},
        "comparison": {"counts": counts},
    }
    return {
        "apiVersion": "coalmine.dev/v1alpha1",
        "kind": "AnalysisRun",
        "metadata": {"name": name, "namespace": "shop", **more},
        "spec": {"metrics": [metric], "comparison": {"arms": arms, "warmUp": "0s"}},
    }


def test_a_run_whose_secret_is_missing_ends_with_the_reason_and_asks_once(server: Running) -> None:
    asked: list[str] = []
    run = compared("no-secret")
    run["spec"]["args"] = [{"name": "token", "valueFrom": {"secretKeyRef": {"name": "absent", "key": "token"}}}]

    async def story() -> Json:
        async with turns(server, lambda verb, plural, _: asked.append(f"{verb} {plural}")) as bench:
            return await bench.ended(await bench.create(run))

    status = asyncio.run(story())
    assert status["phase"] == "Error"
    assert 'spec.args["token"].valueFrom.secretKeyRef: Secret "absent" has no key "token"' in status["message"]
    assert asked.count("GET secrets") == 1


def test_a_secret_that_is_no_text_is_told_without_its_bytes(server: Running) -> None:
    run = compared("binary-secret")
    run["spec"]["args"] = [{"name": "token", "valueFrom": {"secretKeyRef": {"name": "binary", "key": "token"}}}]
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "binary", "namespace": "shop"},
        "data": {"token": "//79"},
    }

    async def story() -> Json:
        async with turns(server) as bench:
            await bench.client.create(SECRETS, secret)
            return await bench.ended(await bench.create(run))

    status = asyncio.run(story())
    assert (status["phase"], "is no text in UTF-8" in status["message"]) == ("Error", True)
    assert "xff" not in json.dumps(status)


def test_a_secret_of_another_namespace_is_out_of_reach(server: Running) -> None:
    run = compared("thief")
    reference = {"name": "../../kube-system/secrets/admin", "key": "token"}
    run["spec"]["args"] = [{"name": "token", "valueFrom": {"secretKeyRef": reference}}]
    asked: list[str] = []

    async def story() -> Json:
        async with turns(server, lambda verb, plural, _: asked.append(f"{verb} {plural}")) as bench:
            return await bench.ended(await bench.create(run))

    status = asyncio.run(story())
    assert (status["phase"], "is no name" in status["message"]) == ("Error", True)
    assert "GET secrets" not in asked


def test_a_spoilt_timeline_of_weights_ends_the_run_and_names_the_annotation(server: Running) -> None:
    async def story() -> Json:
        async with turns(server) as bench:
            return await bench.ended(await bench.create(compared("spoilt", annotations={WEIGHTS: "25%"})))

    status = asyncio.run(story())
    assert status["phase"] == "Error"
    assert f"metadata.annotations[{WEIGHTS}]" in status["message"]


Answer = Callable[[web.Request], Awaitable[web.Response]]


def store(*failing: str) -> Answer:
    """Every arm has ten requests a second since long ago; those of the failing arms fail."""

    async def answer(request: web.Request) -> web.Response:
        form = await request.post()
        query, until = str(form["query"]), float(str(form["time"]))
        seconds = int(query.rpartition("[")[2].removesuffix("ms]")) / 1000
        moments = range(int(until - seconds) + 1, int(until) + 1)
        series = []
        for side in ("canary", "stable"):
            counts = side in failing or query.startswith("requests")
            values = [[moment, str(moment % 100_000 * 10 if counts else 0)] for moment in moments]
            series.append({"metric": {"pod": f"web-{side}-a1"}, "values": values})
        return web.json_response({"status": "success", "data": {"resultType": "matrix", "result": series}})

    return answer


@asynccontextmanager
async def served(answer: Answer) -> AsyncIterator[str]:
    """The address of a metrics store."""
    app = web.Application()
    app.router.add_post("/api/v1/query", answer)
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def begun(bench: Turns, run: Json) -> Key:
    """A run that began two minutes ago, as if an operator before this one had begun it."""
    key = await bench.create(run)
    began = {"status": {"phase": "Running", "startedAt": format_time(time.time() - 120)}}
    bench.caches[ANALYSIS_RUNS].put(await bench.client.merge_patch(ANALYSIS_RUNS, *key, began, subresource="status"))
    return key


async def terminated(bench: Turns, key: Key) -> Json:
    """Let a run look at its comparisons, then end it as a Rollout does; its status."""
    await bench.until(key, lambda status: bool(status.get("comparison")))
    patch = {"spec": {"terminate": True}}
    bench.caches[ANALYSIS_RUNS].put(await bench.client.merge_patch(ANALYSIS_RUNS, *key, patch))
    return await bench.recorded(key)


def record_of(live: Json, **owner: str) -> Json:
    """A ConfigMap of the name that a run's record has."""
    name = live["metadata"]["name"]
    reference = {"apiVersion": live["apiVersion"], "kind": "AnalysisRun", "name": name, **owner}
    metadata = {"name": f"{name}-record", "namespace": "shop", "ownerReferences": [reference] if owner else []}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "binaryData": {"record.json.gz": "b2xk"}}


def test_a_run_without_harm_leaves_a_record_and_its_largest_evidence(server: Running) -> None:
    async def story() -> tuple[Json, Json | None]:
        async with served(store()) as address, turns(server) as bench:
            key = await begun(bench, compared("calm", address))
            await terminated(bench, key)
            live = await bench.client.get(ANALYSIS_RUNS, *key)
            assert live is not None
            return live, await bench.client.get(CONFIG_MAPS, "shop", "calm-record")

    live, record = asyncio.run(story())
    run = msgspec.convert(live, AnalysisRun)
    assert run.status.phase == "Successful"
    assert record is not None
    assert record["metadata"]["ownerReferences"][0]["uid"] == live["metadata"]["uid"]
    again = replayed(unpacked(record))
    assert discrepancies(run.status, again) == []
    assert run.status.comparison is not None
    largest = float(run.status.comparison.largest_log_evidence)
    assert again.seen.log_evidence - 1e-4 * abs(largest) <= largest < again.seen.log_limit


def test_jobs_that_begin_together_share_what_was_fetched(server: Running) -> None:
    asked: list[str] = []
    run = compared("together")
    run["spec"]["args"] = [{"name": "token", "valueFrom": {"secretKeyRef": {"name": "shared", "key": "token"}}}]
    plain = {"prometheus": {"address": "http://127.0.0.1:1", "query": "up"}}
    run["spec"]["metrics"] += [{"name": f"plain-{number}", "interval": "1m", "provider": plain} for number in range(3)]
    metadata = {"name": "shared", "namespace": "shop"}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"token": "c2VjcmV0"}}

    async def story() -> Json:
        async with turns(server, lambda verb, plural, _: asked.append(f"{verb} {plural}")) as bench:
            await bench.client.create(SECRETS, secret)
            return await bench.until(await bench.create(run), lambda status: bool(status.get("comparison")))

    asyncio.run(story())
    assert asked.count("GET secrets") == 1


def test_the_record_of_an_end_that_was_not_told_gives_way_to_the_one_that_is(server: Running) -> None:
    async def story() -> tuple[Json, Json | None]:
        async with served(store("canary")) as address, turns(server) as bench:
            key = await begun(bench, compared("again", address))
            live = bench.caches[ANALYSIS_RUNS].get(key)
            assert live is not None
            await bench.client.create(CONFIG_MAPS, record_of(live, uid=live["metadata"]["uid"]))
            return await bench.recorded(key), await bench.client.get(CONFIG_MAPS, "shop", "again-record")

    status, record = asyncio.run(story())
    assert status["phase"] == "Failed"
    assert record is not None
    assert replayed(unpacked(record)).digest == status["comparison"]["recordDigest"]


def test_a_config_map_of_somebody_else_stays_as_it_is(server: Running) -> None:
    async def story() -> tuple[Json, list[Event], Json | None]:
        async with served(store("canary")) as address, turns(server) as bench:
            key = await begun(bench, compared("taken", address))
            live = bench.caches[ANALYSIS_RUNS].get(key)
            assert live is not None
            await bench.client.create(CONFIG_MAPS, record_of(live))
            return await bench.recorded(key), bench.events, await bench.client.get(CONFIG_MAPS, "shop", "taken-record")

    status, events, record = asyncio.run(story())
    assert status["phase"] == "Failed"
    assert "recordDigest" not in status["comparison"]
    assert "RecordNotKept" in [event.reason for event in events]
    assert record is not None
    assert record["binaryData"] == {"record.json.gz": "b2xk"}


def test_a_verdict_is_told_where_its_record_is_refused(server: Running) -> None:
    async def story() -> tuple[Json, list[Event], Json | None]:
        async with served(store("canary")) as address, turns(server) as bench:
            # "-record" makes the name of the record longer than the API server allows.
            key = await begun(bench, compared("r" * 250, address))
            status = await bench.recorded(key)
            return status, bench.events, await bench.client.get(CONFIG_MAPS, "shop", f"{key[1]}-record")

    status, events, record = asyncio.run(story())
    assert status["phase"] == "Failed"
    assert record is None
    assert "recordDigest" not in status["comparison"]
    assert "RecordNotKept" in [event.reason for event in events]


class SlowToKeep(KubeClient):
    """An API server that takes no ConfigMap until it is let."""

    let = asyncio.Event()

    async def create(self, resource: Resource, obj: Json, **more: Any) -> Json:
        """Wait first, with a ConfigMap."""
        if resource == CONFIG_MAPS:
            await self.let.wait()
        return await super().create(resource, obj, **more)


def test_a_verdict_is_told_before_its_record_is_kept(server: Running) -> None:
    async def story() -> tuple[Json, Json, Json | None]:
        async with served(store("canary")) as address, turns(server, kind=SlowToKeep) as bench:
            key = await begun(bench, compared("first", address))
            told = await bench.ended(key)
            # Turns that are taken while the record is on its way do not begin another one.
            assert await bench.controller.reconcile(key) is None
            assert await bench.controller.reconcile(key) is None
            SlowToKeep.let.set()
            return told, await bench.recorded(key), await bench.client.get(CONFIG_MAPS, "shop", "first-record")

    told, at_rest, record = asyncio.run(story())
    assert (told["phase"], "recordDigest" in told["comparison"]) == ("Failed", False)
    assert record is not None
    again = replayed(unpacked(record))
    assert at_rest["comparison"].pop("recordDigest") == again.digest
    assert at_rest == told, "nothing else was written to it"


def test_a_canary_that_is_killed_for_memory_fails_whatever_the_requests_say(server: Running) -> None:
    async def story() -> Json:
        async with served(store()) as address, turns(server) as bench:
            key = await begun(bench, compared("memory", address))
            for number in (1, 2):
                bench.caches[PODS].put(await killed(bench.client, f"web-canary-x{number}"))
            return await bench.recorded(key)

    status = asyncio.run(story())
    assert status["phase"] == "Failed"
    assert "canary containers were killed 2 times for using more memory than their limit" in status["message"]
    assert status["comparison"]["recordDigest"].startswith("sha256:")


async def killed(client: KubeClient, name: str) -> Json:
    """A pod whose container was killed for memory once, and waits to be started again."""
    metadata = {"name": name, "namespace": "shop", "labels": {"rollouts-pod-template-hash": "canary"}}
    container = {"name": "app", "image": "ghcr.io/acme/web:2"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}
    await client.create(PODS, pod)
    now = format_time(time.time())
    end = {"containerID": f"containerd://{name}", "exitCode": 137, "reason": "OOMKilled"}
    status = {
        "phase": "Running",
        "startTime": now,
        "conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": now}],
        "containerStatuses": [
            {
                **container,
                "imageID": "",
                "ready": False,
                "restartCount": 1,
                "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting container"}},
                "lastState": {"terminated": {**end, "startedAt": now, "finishedAt": now}},
            }
        ],
    }
    return await client.merge_patch(PODS, "shop", name, {"status": status}, subresource="status")


def test_a_look_that_finds_too_many_jobs_is_asked_for_again(server: Running) -> None:
    async def story() -> float | None:
        async with turns(server, jobs=0) as bench:
            return await bench.controller.reconcile(await bench.create(compared("crowded")))

    wake_at = asyncio.run(story())
    assert wake_at is not None
    assert wake_at < time.time() + 60
