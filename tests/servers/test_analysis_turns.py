"""The turns of AnalysisRuns on a real API server: what cannot be measured, or recorded, must not pass unseen."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web

from analysis.durations import format_time
from rollout.controllers.analysisrun import AnalysisRunController
from rollout.controllers.background import Background
from rollout.controllers.context import Context
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
        self.caches: dict[Resource, Cache] = {ANALYSIS_RUNS: Cache(), PODS: Cache()}
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
        """Take turns when they are asked for, until the run has ended; its status."""
        async with asyncio.timeout(BOUND_SECONDS):
            while True:
                self._asked.clear()
                wake_at = await self.controller.reconcile(key)
                live = await self.client.get(ANALYSIS_RUNS, *key)
                assert live is not None
                if (live.get("status") or {}).get("completedAt"):
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
    server: Running, observe: Callable[[str, str, int], None] = lambda *_: None, *, jobs: int = 16
) -> AsyncIterator[Turns]:
    connection = Connection(str(server.kubeconfig))
    try:
        async with Background(jobs) as background, aiohttp.ClientSession() as session:
            yield Turns(KubeClient(connection, observe=observe), session, background)
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


async def all_canary_requests_fail(request: web.Request) -> web.Response:
    """Every arm has ten requests a second since long ago, and the canary answers none of them."""
    form = await request.post()
    query, until = str(form["query"]), float(str(form["time"]))
    seconds = int(query.rpartition("[")[2].removesuffix("ms]")) / 1000
    moments = range(int(until - seconds) + 1, int(until) + 1)
    series = []
    for side in ("canary", "stable"):
        failing = side == "canary" or query.startswith("requests")
        values = [[moment, str(moment % 100_000 * 10 if failing else 0)] for moment in moments]
        series.append({"metric": {"pod": f"web-{side}-a1"}, "values": values})
    return web.json_response({"status": "success", "data": {"resultType": "matrix", "result": series}})


def test_a_verdict_is_told_where_its_record_is_refused(server: Running) -> None:
    async def story() -> tuple[Json, list[Event], Json | None]:
        app = web.Application()
        app.router.add_post("/api/v1/query", all_canary_requests_fail)
        runner = web.AppRunner(app, shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            async with turns(server) as bench:
                # "-record" makes the name of the record longer than the API server allows.
                run = compared("r" * 250, f"http://127.0.0.1:{runner.addresses[0][1]}")
                key = await bench.create(run)
                began = {"status": {"phase": "Running", "startedAt": format_time(time.time() - 120)}}
                bench.caches[ANALYSIS_RUNS].put(
                    await bench.client.merge_patch(ANALYSIS_RUNS, *key, began, subresource="status")
                )
                status = await bench.ended(key)
                return status, bench.events, await bench.client.get(CONFIG_MAPS, "shop", f"{key[1]}-record")
        finally:
            await runner.cleanup()

    status, events, record = asyncio.run(story())
    assert status["phase"] == "Failed"
    assert record is None
    assert "RecordNotKept" in [event.reason for event in events]


def test_a_look_that_finds_too_many_jobs_is_asked_for_again(server: Running) -> None:
    async def story() -> float | None:
        async with turns(server, jobs=0) as bench:
            return await bench.controller.reconcile(await bench.create(compared("crowded")))

    wake_at = asyncio.run(story())
    assert wake_at is not None
    assert wake_at < time.time() + 60
