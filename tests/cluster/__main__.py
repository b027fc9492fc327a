"""A real cluster to play with: `make cluster` opens a shell in its network, and takes it down when the shell ends.

In the shell $KUBECONFIG and the PATH are set: `kubectl get rollouts -A` and `coalmine get rollouts -A` work. The
operator runs already, unless --without-operator leaves that to you: `coalmine run --log-format text`.
"""

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from rollout.sandbox.parts import Part
from tests.cluster.binaries import MINORS
from tests.cluster.box import Cluster


class Bare(Cluster):
    """A cluster whose operator is started by a person."""

    async def _starting(self) -> AsyncIterator[Part]:
        async for part in super()._starting():
            if part.name != "operator":
                yield part


async def play(cluster: Cluster, command: list[str]) -> int:
    """Start it, run the command in it, and take it down."""
    tell(f"starting Kubernetes {cluster.minor}, Contour, Envoy, Gitea and Prometheus ...")
    async with cluster:
        passwords = cluster.plan.passwords
        tell(
            f"KUBECONFIG   {cluster.kubeconfig}\n"
            f"Git host     {cluster.git_url} (person / {passwords['person']})\n"
            f"Prometheus   {cluster.prometheus_url}\n"
            f"gateway      {cluster.gateway_url} (parentRef {cluster.gateway})\n"
            f"images       {cluster.images}\n"
            f"logs         {cluster.folder / 'logs'}"
        )
        path = os.pathsep.join([str(cluster.control_plane.kubernetes), str(Path(sys.executable).parent)])
        env = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig), "PATH": f"{path}{os.pathsep}{os.environ['PATH']}"}
        running = await asyncio.create_subprocess_exec(*command, env=env)
        return await running.wait()


def tell(text: str) -> None:
    """Say something beside the command's own output."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    parser.add_argument("--minor", choices=MINORS, default=MINORS[0])
    parser.add_argument("--without-operator", action="store_true")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="what to run in it; default: your shell")
    asked = parser.parse_args()
    kind = Bare if asked.without_operator else Cluster
    with tempfile.TemporaryDirectory(prefix="cluster-") as made:
        raise SystemExit(
            asyncio.run(play(kind(Path(made), asked.minor), asked.command or [os.environ.get("SHELL", "/bin/sh")]))
        )
