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

    def __init__(self, box: Sandbox) -> None:
        self.box, self.operator_kubeconfig = box, box.folder / "kubeconfig-operator"


@asynccontextmanager
async def cluster_of(box: Sandbox) -> AsyncIterator[Cluster]:
    """Run a sandbox, without its operator."""
    async with box, aside(box) as cluster:
        yield cluster


@asynccontextmanager
async def aside(box: Sandbox) -> AsyncIterator[Cluster]:
    """Let the operator of a sandbox that runs go, which gives its Lease up, and start it again at the end."""
    operator = box.parts["operator"]
    await operator.stop()
    try:
        yield WithoutOperator(box)
    finally:
        await operator.start()
