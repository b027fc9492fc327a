"""Replicas of the operator beside a sandbox: processes that a test starts, freezes, ends and asks."""

import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import yaml

from rollout.kube.resources import LEASES
from rollout.sandbox.box import write_private
from rollout.sandbox.parts import Part
from tests.stories.stage import Stage

LEASE_NAMESPACE = "kube-system"


@dataclass
class Replica:
    """`coalmine run` for the namespace of a story, under a Lease of the namespace's name.

    Attributes:
        stage: the story's.
        user: one of the sandbox' users, as whom it logs in; the audit log tells replicas apart by it.
        lease_seconds: how long others wait for it once it is silent.
        port: of 127.0.0.1, where it finds the API server; None: where that listens.
        version: the folder of another version's source; None: the version under test.
    """

    stage: Stage
    user: str
    lease_seconds: float = 10.0
    port: int | None = None
    version: Path | None = None
    frozen: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.folder = self.stage.folder / f"{self.user}-{id(self)}"
        self.folder.mkdir(mode=0o700)
        ports, config = self.folder / "ports.json", self.folder / "kubeconfig"
        write_private(config, self._config())
        command = [sys.executable, *(["-P"] if self.version else []), "-m", "rollout.cli.main"]
        command += ["--kubeconfig", str(config), "run", "--namespace", self.stage.namespace]
        command += ["--lease-namespace", LEASE_NAMESPACE, "--lease-name", self.stage.namespace]
        command += ["--lease-seconds", str(self.lease_seconds), "--log-format", "text", "--ports-file", str(ports)]
        command += ["--health-port", "0", "--metrics-port", "0", "--webhook-port", "0"]
        command += ["--data-dir", str(self.folder / "data")]
        environment = {"PYTHONUNBUFFERED": "1", "POD_NAME": self.user}
        environment |= {"PYTHONPATH": str(self.version)} if self.version else {}
        self.part = Part(self.user, command, _begun, self.folder / "log", environment)

    def _config(self) -> str:
        config = yaml.safe_load(self.stage.box.kubeconfig.read_text())
        config["users"][0]["user"] = {"token": self.stage.box.plan.tokens[self.user]}
        if self.port is not None:
            for entry in config["clusters"]:
                entry["cluster"]["server"] = f"https://127.0.0.1:{self.port}"
        return json.dumps(config)

    async def start(self) -> None:
        """Start it, and wait until its caches are complete."""
        (self.folder / "ports.json").unlink(missing_ok=True)
        await self.part.start()

        async def serving() -> bool:
            assert self.part.running, (self.folder / "log").read_text()[-1500:]
            return await self.ready()

        await self.stage.until(f"{self.user} is ready", serving)

    @property
    def pid(self) -> int:
        """Its process."""
        assert self.part.process is not None
        return self.part.process.pid

    def freeze(self) -> None:
        """SIGSTOP: it does nothing, and does not know of it."""
        os.kill(self.pid, signal.SIGSTOP)
        self.frozen = True

    def revive(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)
        self.frozen = False

    async def stop(self) -> None:
        """End it gently."""
        if self.frozen:
            self.revive()
        await self.part.stop()

    async def ready(self) -> bool:
        """Whether its caches are complete."""
        return await self._ask("health", "/readyz") == "ok"

    def port_of(self, server: str) -> int:
        """Where one of its HTTP servers listens: `health`, `metrics`, `webhook`."""
        return int(json.loads((self.folder / "ports.json").read_text())[server])

    async def metrics(self) -> Mapping[str, float]:
        """Its metrics, by name and labels as they are exposed, once it answers."""

        async def told() -> str:
            return await self._ask("metrics", "/metrics")

        lines = str(await self.stage.until(f"{self.user} tells its metrics", told)).splitlines()
        pairs = (line.rpartition(" ") for line in lines if line and line[0] != "#")
        return {name: float(value) for name, _, value in pairs}

    async def _ask(self, server: str, path: str) -> str:
        """What one of its HTTP servers says; nothing while it does not."""
        timeout = aiohttp.ClientTimeout(total=5)
        with contextlib.suppress(OSError, ValueError, aiohttp.ClientError, TimeoutError):
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(f"http://127.0.0.1:{self.port_of(server)}{path}") as answer,
            ):
                return await answer.text()
        return ""

    async def until_leading(self) -> None:
        """Wait until it acts."""
        await self._until_leader_is(1)

    async def until_standing_by(self) -> None:
        """Wait until it says that it does not act."""
        await self._until_leader_is(0)

    async def _until_leader_is(self, value: float) -> None:
        async def told() -> bool:
            return (await self.metrics())["coalmine_leader"] == value

        await self.stage.until(f"{self.user} says coalmine_leader {value}", told)


async def _begun() -> bool:
    """A replica is waited for as patiently as everything else in a story."""
    return True


@asynccontextmanager
async def own_operators(stage: Stage, *replicas: Replica) -> AsyncIterator[None]:
    """The sandbox's operator stands aside while a story has its own; those named here are ended with it."""
    theirs = stage.box.parts["operator"]
    await theirs.stop()
    try:
        yield
    finally:
        for replica in replicas:
            await replica.stop()
        await stage.client.delete(LEASES, LEASE_NAMESPACE, stage.namespace)
        await theirs.start()
