"""Facts about the machine, with a loop whose time tells how fast it is just now."""

import json
import os
import platform
import re
import statistics
import time
from pathlib import Path
from typing import Any

Json = dict[str, Any]
ROUNDS = 5
_WORK = {
    "metadata": {"name": "web", "labels": {f"label-{i}": "value" * 4 for i in range(20)}},
    "spec": list(range(200)),
}


def facts() -> Json:
    """What a reader needs in order to compare two runs."""
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "usable_cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(int(memory[1]) / 1024**2, 1) if memory else None,
        "kernel": platform.release(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load_average": round(os.getloadavg()[0], 1),
        "reference_ms": round(reference_ms(), 2),
    }


def reference_ms() -> float:
    """CPU milliseconds of a fixed piece of work: JSON out and in, as the operator's day is."""
    rounds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(1000):
            json.loads(json.dumps(_WORK))
        rounds.append((time.process_time() - began) * 1e3)
    return statistics.median(rounds)


def _cpu_model() -> str:
    found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    return found[1].strip() if found else platform.machine()
