"""Processes of the sandbox beside the embedded API server, and objects for them, for tests."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from rollout.kube.client import KubeClient
from rollout.kube.connection import Connection
from rollout.kube.resources import HTTP_ROUTES, PODS, REPLICA_SETS, SERVICES
from rollout.sandbox.node.images import Behaviour, add_image
from tests.support.api_process import ROOT, Running, embedded_server

Json = dict[str, Any]
WAIT_SECONDS = 60.0
HOST = "shop.localhost"


@contextmanager
def process(module: str, *arguments: object, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A module as a process; it has to end by itself on SIGTERM."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    with log.open("ab") as output, subprocess.Popen(command, stdout=output, stderr=output, cwd=ROOT) as running:
        try:
            yield running
        finally:
            running.terminate()
            try:
                running.wait(20)
            except subprocess.TimeoutExpired:
                running.kill()
                raise


@contextmanager
def node(api: Running, folder: Path) -> Iterator[None]:
    """The node: pods get addresses that no other test of this machine has."""
    number = int(api.url.rpartition(":")[2])
    arguments = ("--kubeconfig", api.kubeconfig, "--images", folder / "images", "--logs", folder / "pods")
    prefix = f"127.{number // 256}.{number % 256}"
    with process("rollout.sandbox.node", *arguments, "--prefix", prefix, log=folder / "node.log"):
        yield


@contextmanager
def cluster(folder: Path) -> Iterator[Running]:
    """API server and node, with images v1 and v2."""
    for version in ("v1", "v2"):
        add_image(folder / "images", f"shop:{version}", Behaviour(version, latency_seconds=0.001))
    with embedded_server(folder) as api, node(api, folder):
        yield api


@contextmanager
def serving(module: str, api: Running, folder: Path, *more: object) -> Iterator[dict[str, int]]:
    """A process that tells its ports by a file."""
    name = module.rpartition(".")[2]
    ports, data = folder / f"{name}-ports.json", folder / name
    ports.unlink(missing_ok=True)
    arguments = ("--kubeconfig", api.kubeconfig, "--data-dir", data, "--ports-file", ports, *more)
    with process(module, *arguments, log=folder / f"{name}.log") as running:
        deadline = time.monotonic() + WAIT_SECONDS
        while not ports.exists():
            assert running.poll() is None, (folder / f"{name}.log").read_text()
            assert time.monotonic() < deadline, f"{name} does not serve"
            time.sleep(0.02)
        yield json.loads(ports.read_text())


@dataclass
class Cluster:
    """Objects of the tests' namespace `default`."""

    client: KubeClient
    http: aiohttp.ClientSession

    async def arm(self, version: str, replicas: int) -> None:
        """A ReplicaSet of shop:<version> and the Service `shop-<version>` in front of it."""
        labels = {"app": "shop", "arm": version}
        await self.client.create(SERVICES, service(f"shop-{version}", labels))
        await self.client.create(REPLICA_SETS, replica_set(version, replicas, labels))

    async def scale(self, version: str, replicas: int) -> None:
        await self.client.merge_patch(REPLICA_SETS, "default", f"shop-{version}", {"spec": {"replicas": replicas}})

    async def ready(self, version: str, replicas: int) -> None:
        """Wait until that many pods are ready."""

        async def reached() -> bool:
            found = await self.client.get(REPLICA_SETS, "default", f"shop-{version}")
            return found is not None and (found.get("status") or {}).get("readyReplicas", 0) == replicas

        await until(reached, f"{replicas} pods of {version}")

    async def pods(self) -> list[Json]:
        return await self.client.list(PODS, "default")

    async def route(self, name: str, **spec: Any) -> None:
        """Create a route of the Gateway `edge`."""
        await self.client.create(HTTP_ROUTES, http_route(name, **spec))

    async def weights(self, name: str, v1: int, v2: int) -> int:
        """Set both weights; returns the new generation."""
        rules = [{"backendRefs": [backend("v1", v1), backend("v2", v2)]}]
        written = await self.client.merge_patch(HTTP_ROUTES, "default", name, {"spec": {"rules": rules}})
        return int(written["metadata"]["generation"])

    async def conditions(self, name: str) -> dict[str, Json]:
        """The conditions of the route's only parent, by type, once they speak of the newest generation."""
        conditions: dict[str, Json] = {}

        async def observed() -> bool:
            found = await self.client.get(HTTP_ROUTES, "default", name)
            assert found is not None
            parents = (found.get("status") or {}).get("parents") or []
            conditions.update({c["type"]: c for parent in parents for c in parent["conditions"]})
            generation = found["metadata"]["generation"]
            return bool(conditions) and all(c["observedGeneration"] == generation for c in conditions.values())

        await until(observed, f"conditions of {name}")
        return conditions

    async def ask(self, port: int, host: str = HOST, path: str = "/", **headers: str) -> tuple[int, str]:
        """Status and X-Version of one request through the gateway."""
        async with self.http.get(f"http://127.0.0.1:{port}{path}", headers={"Host": host, **headers}) as answer:
            await answer.read()
            return answer.status, answer.headers.get("X-Version", "")

    async def sees(self, port: int, wanted: tuple[int, str], host: str = HOST, path: str = "/") -> None:
        """Wait for an answer."""

        async def seen() -> bool:
            return await self.ask(port, host, path) == wanted

        await until(seen, f"{wanted} from {host}{path}")


@asynccontextmanager
async def objects(api: Running) -> AsyncIterator[Cluster]:
    """A client of the API server and of the gateway."""
    connection = Connection(str(api.kubeconfig))
    async with aiohttp.ClientSession() as http:
        try:
            yield Cluster(KubeClient(connection), http)
        finally:
            await connection.close()


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait for a condition, generously."""
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            while not await condition():
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"never: {what}") from None


def service(name: str, selector: Json) -> Json:
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    spec = {"selector": selector, "ports": ports}
    return {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"}, "spec": spec
    }  # fmt: skip


def replica_set(version: str, replicas: int, labels: Json) -> Json:
    labels = {**labels, "rollouts-pod-template-hash": f"hash{version}"}
    container = {
        "name": "shop",
        "image": f"shop:{version}",
        "ports": [{"containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 1},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": f"shop-{version}", "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def backend(version: str, weight: int) -> Json:
    return {"name": f"shop-{version}", "port": 80, "weight": weight}


def http_route(name: str, *, hostnames: list[str] | None = None, rules: list[Json]) -> Json:
    spec = {"parentRefs": [{"name": "edge"}], "hostnames": hostnames or [HOST], "rules": rules}
    return {
        "apiVersion": HTTP_ROUTES.api_version,
        "kind": "HTTPRoute",
        "metadata": {"name": name, "namespace": "default"},
        "spec": spec,
    }


def cpu_seconds(pid: int) -> float:
    """User and system time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
