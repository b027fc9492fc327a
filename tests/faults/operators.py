"""An operator of one namespace, that reaches the API server at the address it is told: started, killed, started."""

import asyncio
import contextlib
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import yaml

from rollout.sandbox.box import write_private
from rollout.sandbox.parts import Part

LEASE_NAMESPACE = "kube-system"
LEASE_SECONDS = 10.0
"""A leader that hardly gets to run renews it within two thirds of that; a killed one costs as much."""


@dataclass
class Operator:
    """`coalmine run` for one namespace, under a Lease of its own, so that several work side by side.

    Attributes:
        folder: everything it keeps.
        kubeconfig: how the operator of the cluster logs in.
        server: the address it is told instead of the API server's.
        namespace: the one it watches.
    """

    folder: Path
    kubeconfig: Path
    server: str
    namespace: str
    starts: int = 0
    part: Part | None = field(default=None, init=False)

    @property
    def log(self) -> Path:
        """Where its words go."""
        return self.folder / "operator.log"

    def last_words(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-3000:] if self.log.exists() else "none"

    async def start(self) -> None:
        """Start it; it may take its time to serve, since the API server may be in trouble."""
        self.folder.mkdir(parents=True, exist_ok=True)
        config, ports = self.folder / "kubeconfig", self.folder / "ports.json"
        write_private(config, self._config())
        ports.unlink(missing_ok=True)
        command = [sys.executable, "-m", "rollout.cli.main", "--kubeconfig", str(config), "run"]
        command += ["--namespace", self.namespace, "--lease-namespace", LEASE_NAMESPACE, "--lease-name", self.namespace]
        command += ["--lease-seconds", str(LEASE_SECONDS), "--log-format", "text", "--ports-file", str(ports)]
        command += ["--health-port", "0", "--metrics-port", "0", "--webhook-port", "0"]
        command += ["--data-dir", str(self.folder / "data")]

        async def lives() -> bool:
            return True

        self.part = Part("operator", command, lives, self.log, {"PYTHONUNBUFFERED": "1"})
        self.starts += 1
        await self.part.start()

    def _config(self) -> str:
        config = yaml.safe_load(self.kubeconfig.read_text())
        for entry in config["clusters"]:
            entry["cluster"] = {"server": self.server}
        return json.dumps(config)

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self.part is not None and self.part.running

    async def stop(self) -> None:
        """End it gently."""
        if self.part is not None:
            await self.part.stop()

    async def kill(self) -> None:
        """SIGKILL."""
        if self.part is not None:
            await self.part.kill()

    async def ready(self) -> bool:
        """Whether it says that its caches are complete."""
        with contextlib.suppress(OSError, ValueError, aiohttp.ClientError, TimeoutError):
            port = json.loads(await asyncio.to_thread((self.folder / "ports.json").read_text))["health"]
            async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/readyz") as answer:
                return answer.status == 200
        return False

    async def metric(self, name: str) -> float:
        """A sample of its metrics, by name and labels as they are written, summed where several begin so; or -1."""
        with contextlib.suppress(OSError, ValueError, aiohttp.ClientError, TimeoutError):
            port = json.loads(await asyncio.to_thread((self.folder / "ports.json").read_text))["metrics"]
            async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/metrics") as answer:
                lines = (await answer.text()).splitlines()
            return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))
        return -1.0
