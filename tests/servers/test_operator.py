"""`coalmine run` as users run it, a process of its own: health, two replicas, new tokens, lost deletions."""

import asyncio
import json
import secrets
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any, Self

import aiohttp
import pytest
import yaml

from rollout.api.rollout import RolloutStatus
from rollout.controllers.context import Context, publish
from rollout.domain.decision import Event
from rollout.errors import CoalmineError, Conflict
from rollout.kube.cache import Cache
from rollout.kube.client import KubeClient
from rollout.kube.connection import Connection
from rollout.kube.resources import (
    CONFIG_MAPS,
    CUSTOM_RESOURCE_DEFINITIONS,
    LEASES,
    NAMESPACES,
    ROLLOUTS,
    Resource,
)
from rollout.runtime import operator as operator_module
from rollout.runtime.settings import Settings
from rollout.runtime.sweep import sweep
from rollout.sandbox.apiserver import kubeconfig, write_kubeconfig
from rollout.sandbox.apiserver.tls import write_private
from rollout.sandbox.parts import Part, free_port
from tests.support.api_process import ROOT

BOUND_SECONDS = 120.0
ROLLOUT = """
apiVersion: coalmine.dev/v1alpha1
kind: Rollout
metadata: {name: NAME, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: NAME}}
  template:
    metadata: {labels: {app: NAME}}
    spec: {containers: [{name: web, image: "IMAGE"}]}
  strategy: {canary: {steps: [{setWeight: 50}, {pause: {}}]}}
"""
Json = dict[str, Any]


def rollout(name: str = "web", image: str = "web:1") -> Json:
    return yaml.safe_load(ROLLOUT.replace("NAME", name).replace("IMAGE", image))


async def until(what: str, holds: Callable[[], Awaitable[Any]], seconds: float = BOUND_SECONDS) -> Any:
    deadline = time.monotonic() + seconds
    while not (seen := await holds()):
        assert time.monotonic() < deadline, f"waited {seconds} s until {what}"
        await asyncio.sleep(0.05)
    return seen


class Cluster:
    """An API server as a process that can be ended and started again, and replicas of the operator."""

    def __init__(self, folder: Path, *, crds: bool = True) -> None:
        self.folder, self.port = folder, free_port()
        self._stack, self._crds = AsyncExitStack(), crds
        self.tokens = {name: secrets.token_urlsafe(16) for name in ("admin", "one", "two")}

    async def __aenter__(self) -> Self:
        self.session = await self._stack.enter_async_context(aiohttp.ClientSession())
        self.write_tokens()
        arguments = ["--data-dir", str(self.folder), "--token-file", str(self.folder / "tokens"), "--port"]
        self._command = [sys.executable, "-m", "rollout.sandbox.apiserver", *arguments]
        self.server = await self.serve(self.port)
        self.client = await self.connect(self.port)
        if self._crds:
            await self.apply_crds()
        await self.client.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def write_tokens(self) -> None:
        lines = [f'{token},{name},{name},"system:masters"\n' for name, token in self.tokens.items()]
        write_private(self.folder / "tokens", "".join(lines).encode())

    async def serve(self, port: int) -> Part:
        """Start the API server."""

        async def ready() -> bool:
            with suppress(aiohttp.ClientError, OSError):
                async with self.session.get(f"https://127.0.0.1:{port}/readyz", ssl=False) as response:
                    return response.status < 500
            return False

        server = Part("apiserver", [*self._command, str(port)], ready, self.folder / "server.log")
        self._stack.push_async_callback(server.stop)
        await server.start()
        return server

    def config(self, user: str, port: int | None = None) -> Path:
        """A kubeconfig of a user, written anew."""
        path = self.folder / f"kubeconfig-{user}-{port or self.port}"
        ca = (self.folder / "ca.crt").read_text()
        write_kubeconfig(path, kubeconfig(f"https://127.0.0.1:{port or self.port}", ca, self.tokens[user], user))
        return path

    async def connect(self, port: int) -> KubeClient:
        connection = Connection(str(self.config("admin", port)))
        self._stack.push_async_callback(connection.close)
        return KubeClient(connection)

    async def apply_crds(self) -> None:
        for path in sorted((ROOT / "crds").glob("*.yaml")):
            await self.client.create(CUSTOM_RESOURCE_DEFINITIONS, yaml.safe_load(path.read_text()))

    async def replica(self, user: str = "one", *arguments: str, wait: bool = True) -> Part:
        """Start an operator that logs in as a user."""
        ports = self.folder / f"ports-{user}"
        command = [sys.executable, "-m", "rollout.cli.main", "--kubeconfig", str(self.config(user)), "run"]
        command += ["--health-port", "0", "--metrics-port", "0", "--webhook-port", "0", "--ports-file", str(ports)]
        command += ["--data-dir", str(self.folder / f"data-{user}"), "--lease-namespace", "shop", *arguments]

        async def ready() -> bool:
            if not ports.exists():
                return False
            return not wait or (await self.ask(user, "health", "/readyz"))[0] == 200

        part = Part(f"operator {user}", command, ready, self.folder / f"operator-{user}.log")
        self._stack.push_async_callback(part.stop)
        await part.start()
        return part

    async def ask(self, user: str, port: str, path: str) -> tuple[int, str]:
        """An answer of a replica's HTTP servers."""
        number = json.loads((self.folder / f"ports-{user}").read_text())[port]
        async with self.session.get(f"http://127.0.0.1:{number}{path}") as response:
            return response.status, await response.text()

    async def metric(self, user: str, name: str) -> float:
        """A sample of /metrics; 0 where there is none."""
        _, text = await self.ask(user, "metrics", "/metrics")
        return next((float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name + " ")), 0.0)

    async def observed(self, name: str = "web") -> bool:
        """Whether somebody has taken a turn about the Rollout as it is now."""
        live = await self.client.get(ROLLOUTS, "shop", name) or {}
        status = live.get("status") or {}
        return bool(live and status.get("observedGeneration") == live["metadata"]["generation"])

    async def holder(self) -> str:
        """Who holds the Lease."""
        lease = await self.client.get(LEASES, "shop", "coalmine") or {}
        return str((lease.get("spec") or {}).get("holderIdentity") or "")

    async def quiet(self) -> bool:
        """Whether nobody writes anything but the Lease for a second."""
        before = len(self.writes())
        await asyncio.sleep(1)
        return len(self.writes()) == before

    def writes(self) -> list[str]:
        """Who wrote, in order, the Lease aside; from the audit log."""
        events = [json.loads(line) for line in (self.folder / "audit.log").read_text().splitlines()]
        done = [e for e in events if e["verb"] not in {"get", "list", "watch"} and e["responseStatus"]["code"] < 400]
        return [e["user"]["username"] for e in done if e.get("objectRef", {}).get("resource") != "leases"]


def play(story: Awaitable[None]) -> None:
    async def whole() -> None:
        await story

    asyncio.run(whole())


def test_readyz_says_no_until_the_kinds_are_served_and_the_caches_complete(tmp_path: Path) -> None:
    async def story() -> None:
        async with Cluster(tmp_path, crds=False) as cluster:
            await cluster.replica(wait=False)
            assert (await cluster.ask("one", "health", "/healthz"))[0] == 200
            status, text = await cluster.ask("one", "health", "/readyz")
            assert status == 503
            assert "caches are not complete: Rollout" in text
            await cluster.apply_crds()

            async def ready() -> bool:
                return (await cluster.ask("one", "health", "/readyz"))[0] == 200

            await until("the operator is ready", ready)
            await cluster.client.create(ROLLOUTS, rollout())
            await until("the Rollout is seen", cluster.observed)
            assert await cluster.metric("one", 'coalmine_actions_total{action="CreateReplicaSet"}') == 1
            assert await cluster.metric("one", "coalmine_leader") == 1

    play(story())


def test_of_two_replicas_one_acts_and_the_other_takes_over_when_it_is_frozen(tmp_path: Path) -> None:
    async def story() -> None:
        async with Cluster(tmp_path) as cluster:
            first = await cluster.replica("one", "--lease-seconds", "10")
            await until("the first leads", cluster.holder)
            await cluster.replica("two", "--lease-seconds", "10")
            await cluster.client.create(ROLLOUTS, rollout())
            await until("the Rollout is seen", cluster.observed)
            # A request that is frozen on its way was allowed when it was sent, and arrives late.
            await until("the first has no more to write", cluster.quiet)
            assert "two" not in cluster.writes()
            before = await cluster.holder()
            assert first.process is not None
            first.process.send_signal(signal.SIGSTOP)

            async def taken() -> bool:
                return await cluster.holder() not in {"", before}

            await until("the second leads", taken)
            await cluster.client.create(ROLLOUTS, rollout("late"))

            async def seen() -> bool:
                return await cluster.observed("late")

            await until("the second acts", seen)
            first.process.send_signal(signal.SIGCONT)

            async def standing_by() -> bool:
                return await cluster.metric("one", "coalmine_leader") == 0

            await until("the first stands by", standing_by)
            await cluster.client.create(ROLLOUTS, rollout("later"))

            async def later() -> bool:
                return await cluster.observed("later")

            await until("the second goes on", later)
            wrote = [user for user in cluster.writes() if user != "admin"]
            assert "one" not in wrote[wrote.index("two") :]

    play(story())


def test_a_replica_that_is_told_to_end_hands_the_lease_over_at_once(tmp_path: Path) -> None:
    async def story() -> None:
        async with Cluster(tmp_path) as cluster:
            # So long a lease that nobody else can have it unless it was given up.
            first = await cluster.replica("one", "--lease-seconds", "3600")
            before = await until("the first leads", cluster.holder)
            await first.stop()
            assert await cluster.holder() != before
            await cluster.replica("two", "--lease-seconds", "3600")
            await cluster.client.create(ROLLOUTS, rollout())
            await until("the Rollout is seen", cluster.observed)
            assert "two" in cluster.writes()

    play(story())


def test_a_rotated_token_does_not_stop_the_operator(tmp_path: Path) -> None:
    async def story() -> None:
        async with Cluster(tmp_path) as cluster:
            operator = await cluster.replica("one", "--lease-seconds", "10")
            await cluster.client.create(ROLLOUTS, rollout())
            await until("the Rollout is seen", cluster.observed)
            cluster.tokens["one"] = secrets.token_urlsafe(16)
            cluster.write_tokens()
            cluster.config("one")
            await cluster.server.stop()
            cluster.server = await cluster.serve(cluster.port)
            await cluster.client.merge_patch(ROLLOUTS, "shop", "web", {"spec": {"replicas": 3}})
            await until("the change is seen", cluster.observed)
            assert operator.running
            log = operator.log.read_text()
            assert all(token not in log for token in cluster.tokens.values())

    play(story())


def test_a_deletion_that_no_watch_told_leaves_no_ghost(tmp_path: Path) -> None:
    async def story() -> None:
        async with Cluster(tmp_path) as cluster:
            await cluster.replica("one", "--lease-seconds", "10")
            for name in ("web", "ghost"):
                await cluster.client.create(ROLLOUTS, rollout(name))
            await until("the Rollout is seen", cluster.observed)
            # The cluster goes on elsewhere, where the operator does not look, and comes back with another history.
            await cluster.server.stop()
            elsewhere = free_port()
            other = await cluster.serve(elsewhere)
            client = await cluster.connect(elsewhere)
            await client.delete(ROLLOUTS, "shop", "ghost")
            await other.stop()
            cluster.server = await cluster.serve(cluster.port)

            async def swept() -> bool:
                # The cache forgets first; the count comes at the end of the sweep.
                return await cluster.metric("one", 'coalmine_swept_objects_total{kind="Rollout"}') == 1

            await until("the ghost is gone", swept)
            assert await cluster.metric("one", 'coalmine_cached_objects{kind="Rollout"}') == 1
            await cluster.client.create(ROLLOUTS, rollout("ghost", "web:2"))

            async def seen() -> bool:
                return await cluster.observed("ghost")

            await until("its namesake is seen", seen)

    play(story())


def test_a_list_of_many_megabytes_is_read_whole(tmp_path: Path) -> None:
    async def story() -> None:
        async with Cluster(tmp_path, crds=False) as cluster:
            for i in range(40):
                obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"c{i}", "namespace": "shop"}}
                await cluster.client.create(CONFIG_MAPS, {**obj, "data": {"text": "x" * 200_000}})
            assert len(await cluster.client.list(CONFIG_MAPS, "shop")) == 40
            items, version = await cluster.client.list_metadata(CONFIG_MAPS, "shop")
            assert len(items) == 40
            assert all("data" not in item for item in items)
            assert version >= max(int(item["metadata"]["resourceVersion"]) for item in items)

    play(story())


def test_a_sweep_takes_in_what_no_event_told_and_leaves_what_is_younger_than_its_list(tmp_path: Path) -> None:
    async def story() -> None:
        async with Cluster(tmp_path) as cluster:
            cache, gone = Cache(), []
            await cluster.client.create(ROLLOUTS, rollout("missed"))
            live, version = await cluster.client.list_metadata(ROLLOUTS)
            younger = await cluster.client.create(ROLLOUTS, rollout("younger"))
            cache.put(younger)
            assert cache.sweep(live, version, gone.append) == 0
            assert cache.get(("shop", "younger")) is not None
            deleted = await cluster.client.create(ROLLOUTS, rollout("deleted"))
            cache.put(deleted)
            await cluster.client.delete(ROLLOUTS, "shop", "deleted")

            async def once(*namespaces: str) -> int:
                return await sweep(cluster.client, ROLLOUTS, cache, namespaces, "", forget=gone.append, take=cache.put)

            assert await once("elsewhere") == 0
            assert await once("shop") == 1
            assert [obj["metadata"]["name"] for obj in gone] == ["deleted"]
            assert {name for _, name in cache.keys()} == {"missed", "younger"}  # noqa: SIM118  Cache is no mapping

    play(story())


class Silent:
    def tell(self, resource: Resource, obj: Json, event: Event) -> None:
        raise AssertionError((resource, obj, event))


def test_an_abort_that_comes_in_the_middle_of_a_turn_is_not_overwritten(tmp_path: Path) -> None:
    async def story() -> None:
        async with Cluster(tmp_path) as cluster:
            caches = {ROLLOUTS: Cache()}
            context = Context(cluster.client, caches, time.time, Silent(), lambda *_: None)
            decided_on = await cluster.client.create(ROLLOUTS, rollout())
            caches[ROLLOUTS].put(decided_on)
            status: Json = {"status": {"abort": True}}
            aborted = await cluster.client.merge_patch(ROLLOUTS, "shop", "web", status, subresource="status")
            caches[ROLLOUTS].put(aborted)
            conflict: CoalmineError | None = None
            try:
                await publish(context, ROLLOUTS, decided_on, RolloutStatus(phase="Progressing"), ())
            except Conflict as error:
                conflict = error
            assert conflict is not None
            live = await cluster.client.get(ROLLOUTS, "shop", "web")
            assert live is not None
            assert live["status"]["abort"] is True

    play(story())


WIDGETS = Resource("lab.coalmine.dev", "v1", "widgets", "Widget", namespaced=True)
WIDGET = {"apiVersion": "lab.coalmine.dev/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": "shop"}}


def test_an_optional_kind_may_be_served_after_the_operator_has_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The embedded API server always serves the Gateway API; a kind of the tests stands for it.
    monkeypatch.setattr(operator_module, "OPTIONAL", (WIDGETS,))

    async def story() -> None:
        async with Cluster(tmp_path) as cluster:
            settings = Settings(
                kubeconfig=str(cluster.config("one")), lease_namespace="shop", sweep_seconds=0.5, health_port=0,
                metrics_port=0, webhook_port=0, data_dir=tmp_path / "data",
            )  # fmt: skip
            operator = operator_module.Operator(settings)
            cache = operator.caches[WIDGETS]

            async def synced() -> bool:
                return cache.synced

            async def told() -> bool:
                return cache.get(("shop", "w")) is not None

            async with asyncio.TaskGroup() as tasks:
                running = tasks.create_task(operator.run())
                await operator.synced.wait()
                assert not cache.synced
                crd = yaml.safe_load((ROOT / "tests/conformance/api/widgets.yaml").read_text())
                await cluster.client.create(CUSTOM_RESOURCE_DEFINITIONS, crd)
                await until("the kind is watched", synced)
                await cluster.client.create(WIDGETS, {**WIDGET, "spec": {"replicas": 1}})
                await until("a widget is seen", told)
                running.cancel()

    play(story())
