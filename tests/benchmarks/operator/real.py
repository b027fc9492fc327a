"""The same bed on a real control plane: etcd, kube-apiserver and kube-controller-manager, built by `tests.cluster`."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import yaml

from rollout.kube.client import KubeClient
from rollout.kube.connection import Connection
from rollout.kube.resources import CUSTOM_RESOURCE_DEFINITIONS
from rollout.sandbox.box import crds
from rollout.sandbox.parts import Part, free_port
from tests.benchmarks.operator.bed import Bed
from tests.cluster import binaries
from tests.cluster.control_plane import ControlPlane

Json = dict[str, Any]
SERVED_SECONDS_MAX = 60
APPROVED = {"api-approved.kubernetes.io": "unapproved, a reduced schema for benchmarks"}
ROUTES = Path(binaries.__file__).parents[2] / "rollout/sandbox/apiserver/data/gateway.yaml"
POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: Metadata, users: [operator]}
- {level: None}
"""
"""Only the operator's requests are counted, so only they are written down."""
ROOM = ("--max-requests-inflight", "2000", "--max-mutating-requests-inflight", "1000")


def missing() -> str:
    """What this machine lacks for a real control plane, in words; empty where nothing is."""
    wanted = (binaries.KUBERNETES[binaries.MINORS[0]], binaries.ETCD)
    absent = [tool.folder for tool in wanted if not built(tool)]
    return f"{' and '.join(absent)} not built; `python -m tests.cluster.binaries` builds them" if absent else ""


def built(tool: binaries.Tool) -> bool:
    """Whether a tool's programs are there; a benchmark builds none."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    kept = binaries._cache() / f"{tool.folder}-{binaries._digest(tool)}"
    return kept.exists() or bool(assets and all((Path(assets) / name).exists() for _, name in tool.programs))


class RealBed(Bed):
    """A real control plane without a scheduler: the pretended world binds pods to its node."""

    server = f"kubernetes-{binaries.MINORS[0]}"

    async def _starting(self) -> AsyncIterator[Part]:
        self.control_plane = plane = ControlPlane(
            binaries.folder_of(binaries.KUBERNETES[binaries.MINORS[0]]), binaries.folder_of(binaries.ETCD),
            self.folder / "control-plane", self.plan.ports["apiserver"], free_port(), free_port(),
        )  # fmt: skip
        plane.prepare()
        (plane.folder / "audit-policy.yaml").write_text(POLICY)
        shutil.copyfile(self.folder / "tokens.csv", plane.folder / "tokens.csv")
        ready = f"https://127.0.0.1:{plane.port}/readyz"
        yield self._program("etcd", plane.etcd_command(), f"http://127.0.0.1:{plane.etcd_port}/health")
        yield self._program("apiserver", plane.apiserver_command(*ROOM), ready)
        self._write_kubeconfigs(plane.certificate.read_text())
        yield self._program("controllers", plane.controllers_command(self.kubeconfig), ready)
        await self._define(yaml.safe_load(path.read_text()) for path in sorted(crds().glob("coalmine.dev_*.yaml")))
        await self._define(_approved(definition) for definition in yaml.safe_load_all(ROUTES.read_text()))
        yield self._git()
        yield self._world()

    def _program(self, name: str, command: list[str], probe: str) -> Part:
        return Part(name, command, lambda: self._answers(probe, below=300), self.folder / "logs" / f"{name}.log")

    @property
    def audit_files(self) -> Iterable[Path]:
        """Rotated logs have a time in their names."""
        return self.control_plane.folder.glob("audit*.jsonl")

    async def _define(self, definitions: Iterable[Json]) -> None:
        """Define kinds, and wait until they are served."""
        connection = Connection(str(self.kubeconfig))
        try:
            client = KubeClient(connection)
            for definition in definitions:
                made = await client.create(CUSTOM_RESOURCE_DEFINITIONS, definition)
                version = f"{made['spec']['group']}/{made['spec']['versions'][0]['name']}"
                await _until_served(client, version, made["spec"]["names"]["kind"])
        finally:
            await connection.close()


async def _until_served(client: KubeClient, version: str, kind: str) -> None:
    async with asyncio.timeout(SERVED_SECONDS_MAX):
        while await client.discover(version, kind) is None:
            await asyncio.sleep(0.1)


def _approved(definition: Json) -> Json:
    """The API server takes kinds of *.k8s.io only where somebody says who approved them."""
    metadata = definition["metadata"]
    annotations = {**(metadata.get("annotations") or {}), **APPROVED}
    return {**definition, "metadata": {**metadata, "annotations": annotations}}
