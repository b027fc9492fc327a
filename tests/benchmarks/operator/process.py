"""What a process has used, read from /proc: its own work and that of the children it waited for."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """CPU since the process began; memory in MB."""

    cpu_seconds: float
    rss_mb: float
    peak_mb: float


def usage(pid: int) -> Usage:
    """What a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    status = Path(f"/proc/{pid}/status").read_text()
    return Usage(sum(map(int, fields[11:15])) / _TICKS, _megabytes(status, "VmRSS"), _megabytes(status, "VmHWM"))


def _megabytes(status: str, name: str) -> float:
    found = re.search(rf"{name}:\s+(\d+) kB", status)
    return int(found[1]) * 1024 / 1e6 if found else 0.0
