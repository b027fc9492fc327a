"""A peer in the same bed: the controller of Argo Rollouts, built from its pinned module.

It has its defaults, but its limit of 40 calls a second is lifted: else a thousand canaries would wait for that.
Its Rollout has the same fields, so the same manifests are released; only the API group differs.
"""

from collections.abc import AsyncIterator

import yaml

from rollout.kube.client import KubeClient
from rollout.kube.connection import Connection
from rollout.kube.resources import NAMESPACES, Resource
from rollout.sandbox.parts import Part, free_port
from tests.benchmarks.operator import real
from tests.benchmarks.operator.real import RealBed, built
from tests.cluster import binaries

VERSION = "1.8.3"
LEASE_NAMESPACE = "argo-rollouts"
CRDS = tuple(
    f"manifests/crds/{name}-crd.yaml"
    for name in ("rollout", "analysis-run", "analysis-template", "cluster-analysis-template", "experiment")
)
ARGO_ROLLOUTS = binaries.Tool(
    "argo-rollouts", "github.com/argoproj/argo-rollouts", (("rollouts-controller", "rollouts-controller"),), files=CRDS
)


class ArgoBed(RealBed):
    """The real control plane with another controller on it."""

    server = f"argo-rollouts-{VERSION}"
    rollouts = Resource("argoproj.io", "v1alpha1", "rollouts", "Rollout")

    async def _starting(self) -> AsyncIterator[Part]:
        async for part in super()._starting():
            yield part
        folder = binaries.folder_of(ARGO_ROLLOUTS)
        await self._define(yaml.safe_load((folder / path).read_text()) for path in CRDS)
        connection = Connection(str(self.kubeconfig))
        try:
            await KubeClient(connection).create(NAMESPACES, {"metadata": {"name": LEASE_NAMESPACE}})
        finally:
            await connection.close()

    def _operator(self) -> Part:
        health, metrics = free_port(), free_port()
        command = [str(binaries.folder_of(ARGO_ROLLOUTS) / "rollouts-controller")]
        command += ["--healthzPort", str(health), "--metricsport", str(metrics), "--qps", "1000", "--burst", "2000"]
        log, environment = self.folder / "logs" / "operator.log", {"KUBECONFIG": str(self._kubeconfig_of("operator"))}
        return Part("operator", command, lambda: self._answers(f"http://127.0.0.1:{health}/healthz"), log, environment)

    def _options(self) -> tuple[str, ...]:
        return ()


def missing() -> str:
    """What this machine lacks for the peer, in words; empty where nothing is."""
    if why := real.missing():
        return why
    return "" if built(ARGO_ROLLOUTS) else "not built; `python -m tests.benchmarks.operator.argo` builds it, in minutes"


if __name__ == "__main__":
    print(binaries.folder_of(ARGO_ROLLOUTS))
