"""The demo service: `python -m rollout.sandbox.demo_service IMAGE_FILE`. Standard library only, so that pods are small.

It serves `/`, `/ready` and `/metrics` (request counter, latency histogram, process_*). The image file decides errors,
latency, leaks and crashes; ERROR_RATE and LATENCY_SECONDS in the environment override it, as configuration would.
"""

import asyncio
import json
import os
import random
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
HEADER_BYTES_MAX = 16 * 1024
IDLE_SECONDS = 60.0
DRAIN_SECONDS = 1.5


class Service:
    """One pod's state."""

    def __init__(self, behaviour: dict[str, Any]) -> None:
        self.version = str(behaviour["version"])
        self.error_rate = float(os.environ.get("ERROR_RATE", behaviour["error_rate"]))
        self.latency = float(os.environ.get("LATENCY_SECONDS", behaviour["latency_seconds"]))
        self.leak_bytes = int(behaviour["leak_bytes_per_request"])
        self.ready_after = float(behaviour["ready_after_seconds"])
        self.pod = os.environ.get("HOSTNAME", "")
        self.started = time.time()
        self.leaked: list[bytearray] = []
        self.counts = {"200": 0, "500": 0}
        self.buckets = [0] * (len(BUCKETS) + 1)
        self.seconds = 0.0

    def ready(self) -> bool:
        """Whether the service takes requests."""
        return self.ready_after >= 0 and time.time() - self.started >= self.ready_after

    async def answer(self, path: str) -> tuple[str, str]:
        """The status and the body for a path."""
        if path == "/ready":
            return ("200 OK", "ready\n") if self.ready() else ("503 Service Unavailable", "not yet\n")
        if path == "/metrics":
            return "200 OK", self.metrics()
        return await self.work()

    async def work(self) -> tuple[str, str]:
        """One request of a user."""
        began = time.perf_counter()
        await asyncio.sleep(random.lognormvariate(0.0, 0.3) * self.latency)
        if self.leak_bytes:
            self.leaked.append(bytearray(self.leak_bytes))
        failed = random.random() < self.error_rate
        self.observe(time.perf_counter() - began, "500" if failed else "200")
        return ("500 Internal Server Error", "sorry\n") if failed else ("200 OK", f"hello from {self.version}\n")

    def observe(self, seconds: float, code: str) -> None:
        """Count a request."""
        self.counts[code] += 1
        self.seconds += seconds
        self.buckets[next((i for i, bound in enumerate(BUCKETS) if seconds <= bound), len(BUCKETS))] += 1

    def metrics(self) -> str:
        """The exposition text."""
        lines = ["# TYPE http_requests_total counter"]
        lines += [f'http_requests_total{{code="{code}"}} {count}' for code, count in self.counts.items()]
        lines.append("# TYPE http_request_duration_seconds histogram")
        total = 0
        for bound, count in zip((*BUCKETS, "+Inf"), self.buckets, strict=True):
            total += count
            lines.append(f'http_request_duration_seconds_bucket{{le="{bound}"}} {total}')
        lines += [f"http_request_duration_seconds_sum {self.seconds}", f"http_request_duration_seconds_count {total}"]
        usage = resource.getrusage(resource.RUSAGE_SELF)
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        lines += [
            "# TYPE process_cpu_seconds_total counter",
            f"process_cpu_seconds_total {usage.ru_utime + usage.ru_stime}",
            "# TYPE process_resident_memory_bytes gauge",
            f"process_resident_memory_bytes {pages * resource.getpagesize()}",
            "# TYPE process_start_time_seconds gauge",
            f"process_start_time_seconds {self.started}",
        ]
        return "\n".join(lines) + "\n"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, kept alive."""
        try:
            while True:
                async with asyncio.timeout(IDLE_SECONDS):
                    head = await reader.readuntil(b"\r\n\r\n")
                path = head.split(b" ", 2)[1].decode().partition("?")[0]
                status, body = await self.answer(path)
                writer.write(
                    f"HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nX-Version: {self.version}\r\n"
                    f"X-Pod: {self.pod}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, OSError, IndexError):
            return
        finally:
            writer.close()


async def run(behaviour: dict[str, Any], host: str, port: int) -> int:
    """Serve until told to stop; then drain, so that gateways may forget the address first."""
    service, stop = Service(behaviour), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    server = await asyncio.start_server(service.serve, host, port, limit=HEADER_BYTES_MAX)
    crash = float(behaviour["crash_after_seconds"])
    try:
        async with asyncio.timeout(crash or None):
            await stop.wait()
    except TimeoutError:
        return 1
    await asyncio.sleep(DRAIN_SECONDS)
    server.close()
    return 0


if __name__ == "__main__":
    document = json.loads(Path(sys.argv[1]).read_text())
    sys.exit(asyncio.run(run(document, os.environ["POD_IP"], int(os.environ["PORT"]))))
