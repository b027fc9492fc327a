"""The real command as a process of its own, and a hand that writes what an operator would."""

import asyncio
import copy
import json
import os
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rollout.kube.client import KubeClient
from rollout.kube.connection import Connection
from rollout.kube.resources import (
    ANALYSIS_RUNS,
    APPLICATIONS,
    CONFIG_MAPS,
    GIT_REPOSITORIES,
    NAMESPACES,
    PODS,
    REPLICA_SETS,
    ROLLOUTS,
    Resource,
)
from tests.support.api_process import ROOT, Running, embedded_server

Json = dict[str, Any]
BIN = Path(sys.executable).parent
BOUND_SECONDS = 120
NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}


class Scene:
    """A namespace `shop` on the server, the command, and a hand that writes what an operator would."""

    def __init__(self, server: Running) -> None:
        self.kubeconfig = server.kubeconfig

    def do(self, work: Callable[[KubeClient], Awaitable[Any]]) -> Any:
        async def connected() -> Any:
            connection = Connection(str(self.kubeconfig))
            try:
                return await work(KubeClient(connection))
            finally:
                await connection.close()

        return asyncio.run(connected())

    def reset(self, live: Json | None = None, *more: tuple[Resource, Json]) -> None:
        """Put a Rollout there with this status, and what else is given, in place of what was there."""

        async def work(client: KubeClient) -> None:
            for resource in (APPLICATIONS, GIT_REPOSITORIES, ANALYSIS_RUNS, CONFIG_MAPS, PODS, REPLICA_SETS, ROLLOUTS):
                for obj in await client.list(resource, "shop"):
                    await client.delete(resource, "shop", obj["metadata"]["name"])
            uid = await create(client, ROLLOUTS, live) if live is not None else ""
            for resource, obj in more:
                await create(client, resource, _owned(obj, uid))

        self.do(work)

    def status(self, status: Json) -> None:
        """Write a status, as the operator does."""
        self.do(lambda client: client.merge_patch(ROLLOUTS, "shop", "web", {"status": status}, subresource="status"))

    @property
    def live(self) -> Json:
        return self.do(lambda client: client.get(ROLLOUTS, "shop", "web"))

    @contextmanager
    def start(
        self, *arguments: str, program: str = "coalmine", **environment: str
    ) -> "Iterator[subprocess.Popen[str]]":
        """The command, as a user starts it; it is ended with the context, or when it takes far too long."""
        known = {"KUBECONFIG": str(self.kubeconfig), "PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(ROOT / ".none")}
        with subprocess.Popen(
            [str(BIN / program), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**known, **environment},
        ) as process:  # fmt: skip
            guard = threading.Timer(BOUND_SECONDS, process.kill)
            guard.start()
            try:
                yield process
            finally:
                guard.cancel()
                process.kill()

    def run(self, *arguments: str, code: int = 0, program: str = "coalmine", **environment: str) -> tuple[str, str]:
        """Run the command in namespace shop to its end; what it printed on both streams."""
        given = (*arguments, "-n", "shop") if program == "coalmine" else arguments
        with self.start(*given, program=program, **environment) as process:
            out, told = process.communicate(timeout=BOUND_SECONDS)
        assert process.returncode == code, f"exit code {process.returncode}: {out}{told}"
        assert "Traceback" not in told
        return out, told


def _owned(obj: Json, uid: str) -> Json:
    """The object with the uid that the server gave its owner."""
    text = json.dumps(obj).replace('"u-web"', json.dumps(uid))
    return json.loads(text)


async def create(client: KubeClient, resource: Resource, obj: Json) -> str:
    """Create an object with its status; its uid. A status about the present spec stays about the present spec."""
    kind = {"apiVersion": resource.api_version, "kind": resource.kind}
    metadata = {k: v for k, v in obj["metadata"].items() if k in {"name", "labels", "annotations", "ownerReferences"}}
    made = await client.create(resource, {**copy.deepcopy(obj), **kind, "metadata": {**metadata, "namespace": "shop"}})
    status = dict(obj.get("status") or {})
    if status:
        offset = made["metadata"].get("generation", 0) - obj["metadata"].get("generation", 0)
        if "observedGeneration" in status:
            status["observedGeneration"] += offset
        await client.merge_patch(resource, "shop", made["metadata"]["name"], {"status": status}, subresource="status")
    return made["metadata"]["uid"]


def lines_until(stream: Any, wanted: str) -> str:
    """What a process prints up to a line with these words."""
    seen = ""
    while wanted not in seen:
        line = stream.readline()
        assert line, f"ended before {wanted!r}: {seen}"
        seen += line
    return seen


@contextmanager
def stage(folder: Path) -> Iterator[Scene]:
    """A server with our kinds and the namespace."""
    with embedded_server(folder, "--crds", str(ROOT / "crds")) as server:
        made = Scene(server)
        made.do(lambda client: client.create(NAMESPACES, NAMESPACE))
        yield made
