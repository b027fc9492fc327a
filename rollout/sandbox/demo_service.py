"""The demo service: `python -m rollout.sandbox.demo_service IMAGE_FILE`. Standard library only, so that pods are small.

It serves `/`, `/ready` and `/metrics`. The image file decides errors, latency, processor time, leaks and crashes; the
environment (ERROR_RATE, LATENCY_SECONDS, ...) overrides it, as configuration would.
"""

import asyncio
import os
import random
import signal
import sys
import time
from pathlib import Path

from rollout.sandbox.demo.exposition import Exposition
from rollout.sandbox.node.behaviour import Behaviour, read_behaviour

LATENCY_SIGMA = 0.3
HEADER_BYTES_MAX = 16 * 1024
IDLE_SECONDS = 60.0
DRAIN_SECONDS = 3.0
# Seldom, so that a leak costs memory and next to no processor time.
LEAK_STEP_SECONDS = 1.0
LEAK_BYTES_MAX = 1024**3
# What an incident of something that all pods depend on does to each of them.
INCIDENT_ERRORS = 3.0
INCIDENT_LATENCY = 2.0


class Service:
    """One pod's state."""

    def __init__(self, behaviour: Behaviour, pod: str) -> None:
        self.behaviour, self.pod = behaviour, pod
        self.metrics = Exposition()
        self._started = time.time()
        self._leaked: list[bytes] = []
        self._leaked_bytes = 0

    def ready(self) -> bool:
        """Whether the service takes requests."""
        after = self.behaviour.ready_after_seconds
        return after >= 0 and time.time() - self._started >= after

    async def answer(self, path: str) -> tuple[str, str]:
        """The status and the body for a path."""
        if path == "/ready":
            return ("200 OK", "ready\n") if self.ready() else ("503 Service Unavailable", "not yet\n")
        if path == "/metrics":
            return "200 OK", self.metrics.text()
        return await self._work()

    async def _work(self) -> tuple[str, str]:
        """One request of a user."""
        began, does = time.perf_counter(), self.behaviour
        hurt = self._hurt()
        latency = does.latency_seconds * (INCIDENT_LATENCY if hurt else 1.0)
        burn(does.cpu_seconds_per_request)
        await asyncio.sleep(random.lognormvariate(0.0, LATENCY_SIGMA) * latency)
        self._leak(does.leak_bytes_per_request)
        failed = random.random() < does.error_rate * (INCIDENT_ERRORS if hurt else 1.0)
        self.metrics.observe(time.perf_counter() - began, "500" if failed else "200")
        return ("500 Internal Server Error", "sorry\n") if failed else ("200 OK", f"hello from {does.version}\n")

    def _hurt(self) -> bool:
        """Whether something is down that all pods depend on."""
        return bool(self.behaviour.incident_file) and Path(self.behaviour.incident_file).exists()

    def _leak(self, size: int) -> None:
        if size and self._leaked_bytes < LEAK_BYTES_MAX:
            # Bytes that are written: what is only reserved is in nobody's memory.
            self._leaked.append(b"x" * size)
            self._leaked_bytes += size

    async def leak(self) -> None:
        """Leak at a steady pace, until cancelled."""
        step = int(self.behaviour.leak_bytes_per_second * LEAK_STEP_SECONDS)
        while step:
            self._leak(step)
            await asyncio.sleep(LEAK_STEP_SECONDS)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, kept alive."""
        try:
            while True:
                async with asyncio.timeout(IDLE_SECONDS):
                    head = await reader.readuntil(b"\r\n\r\n")
                path = head.split(b" ", 2)[1].decode().partition("?")[0]
                status, body = await self.answer(path)
                writer.write(
                    f"HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\n"
                    f"X-Version: {self.behaviour.version}\r\n"
                    f"X-Pod: {self.pod}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, OSError, IndexError):
            return
        finally:
            writer.close()


def burn(cpu_seconds: float) -> None:
    """Use the processor for so long, however fast it is, and however many others want it."""
    until = time.thread_time() + cpu_seconds
    while cpu_seconds and time.thread_time() < until:
        pass


async def run(service: Service, host: str, port: int) -> int:
    """Serve until told to stop; then drain, so that gateways may forget the address first."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    server = await asyncio.start_server(service.serve, host, port, limit=HEADER_BYTES_MAX)
    leaking = asyncio.ensure_future(service.leak())
    try:
        async with asyncio.timeout(service.behaviour.crash_after_seconds or None):
            await stop.wait()
    except TimeoutError:
        return 1
    finally:
        leaking.cancel()
    await asyncio.sleep(DRAIN_SECONDS)
    server.close()
    return 0


if __name__ == "__main__":
    told = read_behaviour(Path(sys.argv[1]), os.environ)
    pod = Service(told, os.environ.get("HOSTNAME", ""))
    sys.exit(asyncio.run(run(pod, os.environ["POD_IP"], int(os.environ["PORT"]))))
