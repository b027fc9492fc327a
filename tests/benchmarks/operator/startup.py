"""What a start costs with more and more Rollouts there, each with its ReplicaSet and its pod; and what they weigh."""

import time

from tests.benchmarks.operator.bed import Bed, tell
from tests.benchmarks.operator.canaries import deploy
from tests.benchmarks.operator.figures import Figure
from tests.benchmarks.operator.settings import Size

LINEAR_AT_MOST = 1.25
"""CPU a Rollout at a number, as a multiple of that at the smallest number."""
LINEAR_TO = 5000
MEMORY_OF_10_000_MB = 1000.0
CHUNK = 500


async def measure(bed: Bed, size: Size) -> list[Figure]:
    """CPU until the operator has nothing more to do, time until it is ready, and memory."""
    found: list[Figure] = []
    empty = await _starts(bed, size, 0, found)
    rollouts = await bed.watch(bed.rollouts)
    there, first = 0, 0.0
    for number in size.starts:
        await bed.start_operator()
        for chunk in range(there, number, CHUNK):
            names = [f"r{i}" for i in range(chunk, min(chunk + CHUNK, number))]
            await deploy(bed, rollouts, names, replicas=1)
        there = number
        await bed.quiet()
        await bed.stop_operator()
        cpu = await _starts(bed, size, number, found)
        each = tuple(max(one - min(empty), 0.0) * 1e3 / number for one in cpu)
        found.append(Figure(f"CPU a Rollout of a start with {number}", "ms", each))
        first = first or min(each)
        if size.starts[0] < number <= LINEAR_TO and first:
            ratio = (min(each) / first,)
            name = f"CPU a Rollout of a start with {number} as against {size.starts[0]}"
            found.append(Figure(name, "ratio", ratio, LINEAR_AT_MOST, note="1 is linear"))
    return found


async def _starts(bed: Bed, size: Size, number: int, found: list[Figure]) -> tuple[float, ...]:
    """Start and stop the operator some times."""
    cpu, ready, memory = [], [], []
    for _ in range(size.repeat):
        tell(f"  a start with {number} Rollouts")
        began = time.monotonic()
        await bed.start_operator()
        ready.append(time.monotonic() - began)
        cpu.append(await bed.quiet())
        memory.append(bed.usage().peak_mb)
        await bed.stop_operator()
    target = MEMORY_OF_10_000_MB if number == 10_000 else None
    found.append(Figure(f"CPU of a start with {number} Rollouts", "s", tuple(cpu)))
    found.append(Figure(f"time until ready with {number} Rollouts", "s", tuple(ready)))
    found.append(Figure(f"peak memory with {number} idle Rollouts", "MB", tuple(memory), target, "max"))
    return tuple(cpu)
