"""What a pod of the demo service tells Prometheus: requests, a latency histogram, and the process itself."""

import os
import resource
import time
from bisect import bisect_left
from pathlib import Path

BUCKETS = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.75, 1.0, 1.5, 2.5
)  # fmt: skip
"""Upper bounds in seconds; the last bucket is open."""


class Exposition:
    """Counters of one process, in the names that client libraries of Prometheus use."""

    def __init__(self) -> None:
        self._started = time.time()
        self._counts = {"200": 0, "500": 0}
        self._buckets = [0] * (len(BUCKETS) + 1)
        self._seconds = 0.0

    def observe(self, seconds: float, code: str) -> None:
        """Count a request: how long it took, and its status of HTTP."""
        self._counts[code] += 1
        self._seconds += seconds
        self._buckets[bisect_left(BUCKETS, seconds)] += 1

    def text(self) -> str:
        """The exposition text."""
        return "\n".join((*self._requests(), *self._latency(), *self._process())) + "\n"

    def _requests(self) -> list[str]:
        counts = [f'http_requests_total{{code="{code}"}} {count}' for code, count in self._counts.items()]
        return ["# TYPE http_requests_total counter", *counts]

    def _latency(self) -> list[str]:
        lines, total = ["# TYPE http_request_duration_seconds histogram"], 0
        for bound, count in zip((*BUCKETS, "+Inf"), self._buckets, strict=True):
            total += count
            lines.append(f'http_request_duration_seconds_bucket{{le="{bound}"}} {total}')
        sums = [f"http_request_duration_seconds_sum {self._seconds}", f"http_request_duration_seconds_count {total}"]
        return lines + sums

    def _process(self) -> list[str]:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return [
            "# TYPE process_cpu_seconds_total counter",
            f"process_cpu_seconds_total {usage.ru_utime + usage.ru_stime}",
            "# TYPE process_resident_memory_bytes gauge",
            f"process_resident_memory_bytes {resident_bytes()}",
            "# TYPE process_start_time_seconds gauge",
            f"process_start_time_seconds {self._started}",
        ]


def resident_bytes() -> int:
    """Memory of this process that is really there; 0 where the system does not tell (it is no Linux)."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
