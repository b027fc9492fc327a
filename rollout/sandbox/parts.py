"""One process of a sandbox: started, waited for, ended, and started again at the same place."""

import asyncio
import contextlib
import itertools
import secrets
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rollout.errors import CoalmineError
from rollout.sandbox import processes

READY_SECONDS_MAX = 300.0
"""Generous: who has ended is seen at once, and a busy machine may take a minute to start an interpreter."""
POLL_SECONDS = 0.05
PORTS = range(12_000, 30_000)
"""Below the ports that systems commonly give to clients: nobody gets one by chance between its choice and its use."""
_asked = itertools.count(secrets.randbelow(len(PORTS)))


class PartFailed(CoalmineError):
    """A process of the sandbox did not become ready."""


@dataclass
class Part:
    """A process, how it is started, and how one sees that it serves."""

    name: str
    command: Sequence[str]
    ready: Callable[[], Awaitable[bool]]
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    grace_seconds: float = 10.0
    process: asyncio.subprocess.Process | None = None

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self.process is not None and self.process.returncode is None

    async def start(self) -> None:
        """Start the process and wait until it serves; raises PartFailed with the end of its log."""
        self.process = await processes.start(self.command, env=self.env, log=self.log)
        try:
            async with asyncio.timeout(READY_SECONDS_MAX):
                while not await self.ready():
                    if not self.running:
                        raise PartFailed(f"{self.name} ended with {self.process.returncode}: {self._end_of_log()}")
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            raise PartFailed(f"{self.name} does not serve: {self._end_of_log()}") from None

    async def stop(self) -> None:
        """End the process, gently first."""
        if self.process is not None:
            await processes.stop(self.process, self.grace_seconds)

    async def kill(self) -> None:
        """End the process at once, as an out-of-memory killer would."""
        if self.process is not None and self.running:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGKILL)
            await self.process.wait()

    def _end_of_log(self) -> str:
        try:
            return self.log.read_text(errors="replace")[-1500:].strip() or "its log is empty"
        except OSError:
            return "it has no log"


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now, another one at each call.

    Each process begins somewhere else: sandboxes that start at once choose their ports long before they listen.
    """
    for asked in itertools.islice(_asked, len(PORTS)):
        port = PORTS[asked % len(PORTS)]
        if is_free(port):
            return port
    raise CoalmineError(f"no port of 127.0.0.1 from {PORTS[0]} to {PORTS[-1]} is free; end what listens there")


def is_free(port: int) -> bool:
    """Whether nobody listens on a port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
