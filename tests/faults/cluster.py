"""What the faults need of a cluster: the sandbox is one, and so is anything else that is put in its place."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from rollout.sandbox.box import Sandbox


class Cluster(Protocol):
    """Where the bad-release story is told, with everything but the operator: the story starts its own.

    Attributes:
        box: API server, node, gateway, Prometheus and Git host, as `tests.stories.stage` sees them.
        operator_kubeconfig: how the operator would log in; a proxy is put between by another server address in it.
    """

    box: Sandbox
    operator_kubeconfig: Path


class WithoutOperator:
    """A sandbox, or what is built like one, whose own operator stands aside."""

    def __init__(self, box: Sandbox, operator_kubeconfig: Path | None = None) -> None:
        self.box, self.operator_kubeconfig = box, operator_kubeconfig or box.folder / "kubeconfig-operator"


@asynccontextmanager
async def cluster_of(box: Sandbox) -> AsyncIterator[Cluster]:
    """Run a sandbox and let its operator go, which gives its Lease up."""
    async with box:
        await box.parts["operator"].stop()
        yield WithoutOperator(box)


@asynccontextmanager
async def aside(box: Sandbox, operator_kubeconfig: Path) -> AsyncIterator[Cluster]:
    """The same for a sandbox that runs, and goes on with its operator; others log in as they are told."""
    operator = box.parts["operator"]
    await operator.stop()
    try:
        yield WithoutOperator(box, operator_kubeconfig)
    finally:
        await operator.start()
