"""Pods without a cluster: each is a real process of the demo service on a port of 127.0.0.1, with users of its own."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import aiohttp

from analysis.evidence.guards import PodSeen
from rollout.sandbox.load import Users
from rollout.sandbox.node.behaviour import Behaviour
from rollout.sandbox.parts import Part, free_port
from tests.support.real_prometheus import Target

NAMESPACE = "shop"


@dataclass
class LivePod:
    """One pod.

    Attributes:
        name: such as `web-canary-1`; the arms' patterns tell pods apart by it.
        behaviour: of its version.
        folder: for its image and its log.
    """

    name: str
    behaviour: Behaviour
    folder: Path

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        image = self.folder / f"{self.name}.json"
        image.write_text(json.dumps(asdict(self.behaviour)))
        self._port = free_port()
        env = {"POD_IP": "127.0.0.1", "PORT": str(self._port), "HOSTNAME": self.name}
        command = [sys.executable, "-m", "rollout.sandbox.demo_service", str(image)]
        self.part = Part(self.name, command, self._ready, self.folder / f"{self.name}.log", env)
        self.started_at, self.restarts = 0.0, 0

    @property
    def arm(self) -> str:
        """The second word of its name."""
        return self.name.split("-")[1]

    @property
    def target(self) -> Target:
        """Where it is scraped, with the labels that Kubernetes' service discovery would add."""
        labels = {"namespace": NAMESPACE, "pod": self.name, "rollouts_pod_template_hash": self.arm}
        return Target(f"127.0.0.1:{self._port}", labels)

    @property
    def url(self) -> str:
        """What its users ask."""
        return f"http://{self.target.address}/"

    async def start(self) -> None:
        """Start the process and wait until it serves."""
        self.started_at = time.time()
        await self.part.start()

    async def crash(self) -> None:
        """Kill the process and start it anew, as a kubelet restarts a container."""
        await self.part.kill()
        self.restarts += 1
        await self.start()

    async def _ready(self) -> bool:
        try:
            async with aiohttp.request("GET", f"{self.url}ready") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    def seen(self) -> PodSeen:
        """The pod as the operator's cache shows it."""
        return PodSeen(self.name, self.started_at, self.restarts)


async def start(pods: Sequence[LivePod]) -> None:
    """Start all pods at once."""
    await asyncio.gather(*(pod.start() for pod in pods))


async def stop(pods: Sequence[LivePod]) -> None:
    """End all pods at once."""
    await asyncio.gather(*(pod.part.stop() for pod in pods))


@asynccontextmanager
async def users(pods: Sequence[LivePod], rate: float) -> AsyncIterator[None]:
    """Users who ask each pod so often a second, whatever the answers are."""
    asking = [
        asyncio.ensure_future(Users(pod.url, pod.name, rate, pod.folder / f"{pod.name}.load").run()) for pod in pods
    ]
    try:
        yield
    finally:
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
