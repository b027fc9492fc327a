"""The sandbox with real parts: what the stories of the sandbox are told on is a Kubernetes control plane here.

API server, controllers and scheduler, Contour and Envoy, Gitea, Prometheus. Pods are processes of this machine at
addresses of their own, which a network namespace keeps to itself (`tests.cluster.netns`). Everything else, the operator
above all, is started as the sandbox starts it.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from rollout.kube.client import KubeClient
from rollout.kube.connection import Connection
from rollout.kube.resources import Resource
from rollout.sandbox.apiserver import kubeconfig, write_kubeconfig
from rollout.sandbox.box import Sandbox
from rollout.sandbox.parts import Part, free_port
from tests.cluster import installation
from tests.cluster.binaries import CONTOUR, ETCD, GITEA, KUBERNETES, MINORS, folder_of
from tests.cluster.contour import ENVOY_PORT, GATEWAY, NAMESPACE, STATS_PORT, Contour
from tests.cluster.control_plane import ControlPlane
from tests.cluster.gitea import ADMIN, Gitea

Json = dict[str, Any]
ESTABLISHED_SECONDS = 300
CRDS = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False)
NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
GATEWAY_CLASSES = Resource("gateway.networking.k8s.io", "v1", "gatewayclasses", "GatewayClass", namespaced=False)
GATEWAYS = Resource("gateway.networking.k8s.io", "v1", "gateways", "Gateway")
_OF_GATEWAY = {kind.kind: kind for kind in (NAMESPACES, GATEWAY_CLASSES, GATEWAYS)}


class Cluster(Sandbox):
    """A real cluster in a folder; as an asynchronous context it runs, and leaves nothing behind.

    Args:
        folder: everything it keeps.
        minor: of Kubernetes.
    """

    def __init__(self, folder: Path, minor: str = MINORS[0]) -> None:
        found = shutil.which("prometheus")
        if found is None:
            pytest.skip("prometheus is not on the PATH; Debian's package of that name has it")
        super().__init__(folder, prometheus=Path(found))
        self.minor = minor

    @property
    def pods_prefix(self) -> str:
        """First three bytes of the pods' addresses."""
        return "10.64.0"

    @property
    def git_url(self) -> str:
        """Base URL of the Git host."""
        return self.git.url

    @property
    def gateway_url(self) -> str:
        """Base URL of Envoy's listener."""
        return f"http://127.0.0.1:{ENVOY_PORT}/"

    @property
    def gateway(self) -> dict[str, str]:
        """What a route names as its parent."""
        return {"name": GATEWAY, "namespace": NAMESPACE}

    @property
    def operator_kubeconfig(self) -> Path:
        """What the operator logs in with: the account that the chart makes."""
        return self._kubeconfig_of(installation.ACCOUNT)

    def repository_path(self, name: str) -> str:
        """Path of a repository at the Git host."""
        return f"/{ADMIN}/{name}.git"

    async def create_repository(self, name: str) -> str:
        """Make an empty repository, and return its URL."""
        await self.git.create_repository(name)
        return self.git_url + self.repository_path(name)

    async def _starting(self) -> AsyncIterator[Part]:
        self.control_plane = ControlPlane(
            folder_of(KUBERNETES[self.minor]), folder_of(ETCD), self.folder / "control-plane",
            self.plan.ports["apiserver"], free_port(), free_port(),
        )  # fmt: skip
        self.git = Gitea(folder_of(GITEA), self.folder / "gitea", self.plan.ports["git"], self.plan.passwords)
        self.contour = Contour(folder_of(CONTOUR), self.folder / "contour", free_port(), free_port(), free_port())
        for step in (self._starting_control_plane, self._starting_git, self._starting_gateway):
            async for part in step():
                yield part
        await self._install()
        for part in (self._node(), self._prometheus(), self._operator()):
            yield part

    async def _starting_control_plane(self) -> AsyncIterator[Part]:
        plane = self.control_plane
        plane.prepare()
        shutil.copyfile(self.folder / "tokens.csv", plane.folder / "tokens.csv")
        url = f"https://127.0.0.1:{plane.port}"
        yield self._program("etcd", plane.etcd_command(), f"http://127.0.0.1:{plane.etcd_port}/health")
        server = self._program("apiserver", plane.apiserver_command(), url)
        server.ready = lambda: self._answers(f"{url}/readyz", below=300)
        yield server
        self._write_kubeconfigs(plane.certificate.read_text())
        yield self._program("controllers", plane.controllers_command(self.kubeconfig), f"{url}/readyz")
        yield self._program("scheduler", plane.scheduler_command(self.kubeconfig), f"{url}/readyz")

    async def _starting_git(self) -> AsyncIterator[Part]:
        await asyncio.to_thread(self.git.prepare)
        yield self._program("git", self.git.command("web"), f"{self.git.url}/api/v1/version")
        await self.git.create_accounts()

    async def _starting_gateway(self) -> AsyncIterator[Part]:
        contour = self.contour
        await self._define(contour.definitions())
        async with client_of(self.kubeconfig) as client:
            for obj in contour.objects():
                await client.apply(_OF_GATEWAY[obj["kind"]], obj, manager="cluster", force=True)
        await asyncio.to_thread(contour.prepare)
        health = f"http://127.0.0.1:{contour.health_port}/healthz"
        yield self._program("contour", contour.contour_command(self.kubeconfig), health)
        yield self._program("envoy", contour.envoy_command(), f"http://127.0.0.1:{STATS_PORT}/ready")

    async def _install(self) -> None:
        """Install the chart, and let the operator log in with the account it makes."""
        self.release = installation.release()
        await self._define(self.release.of(installation.CRD))
        async with client_of(self.kubeconfig) as client:
            token = await installation.install(client, self.release)
        url, ca = f"https://127.0.0.1:{self.control_plane.port}", self.control_plane.certificate.read_text()
        write_kubeconfig(self.operator_kubeconfig, kubeconfig(url, ca, token, installation.ACCOUNT))

    def _operator(self) -> Part:
        part = super()._operator()
        account = ["--kubeconfig", str(self.operator_kubeconfig)]
        lease = ["--lease-namespace", installation.NAMESPACE, "--lease-name", installation.ACCOUNT]
        return Part(part.name, [*part.command, *account, *lease], part.ready, part.log, part.env)

    def _program(self, name: str, command: list[str], probe: str) -> Part:
        return Part(name, command, lambda: self._answers(probe), self.folder / "logs" / f"{name}.log")

    def _node(self, *more: object) -> Part:
        return super()._node("--pods-only", *more)

    async def _define(self, definitions: Iterable[Json]) -> None:
        """Apply CRDs, and wait until they are served."""
        async with client_of(self.kubeconfig) as client, asyncio.timeout(ESTABLISHED_SECONDS):
            named = [(await client.apply(CRDS, one, manager="cluster", force=True)) for one in definitions]
            for name in [one["metadata"]["name"] for one in named]:
                while not _established(await client.get(CRDS, None, name)):
                    await asyncio.sleep(0.05)


def _established(definition: Json | None) -> bool:
    conditions = ((definition or {}).get("status") or {}).get("conditions") or []
    return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)


@asynccontextmanager
async def client_of(kubeconfig: Path) -> AsyncIterator[KubeClient]:
    connection = Connection(str(kubeconfig))
    try:
        yield KubeClient(connection)
    finally:
        await connection.close()
