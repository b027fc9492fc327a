"""What an operator without work costs: CPU, and requests beside those for its Lease."""

import asyncio
import time

from tests.benchmarks.operator import audit
from tests.benchmarks.operator.bed import Bed, tell
from tests.benchmarks.operator.canaries import deploy
from tests.benchmarks.operator.figures import Figure
from tests.benchmarks.operator.settings import Size


async def measure(bed: Bed, size: Size) -> list[Figure]:
    """A share of one core, and calls, while nothing happens."""
    await bed.start_operator()
    number = size.idle_rollouts
    await deploy(bed, await bed.watch(bed.rollouts), [f"r{i}" for i in range(number)])
    shares, calls = [], []
    for _ in range(size.repeat):
        await bed.quiet()
        tell(f"  idle for {size.idle_seconds:.0f} s")
        began, before = time.time(), bed.usage()
        await asyncio.sleep(size.idle_seconds)
        shares.append((bed.usage().cpu_seconds - before.cpu_seconds) / (time.time() - began) * 100)
        calls.append(float(audit.counted(bed.calls(began)).total()))
    about = f"idle with {number} Rollouts"
    note = "the Lease is renewed every two seconds"
    return [
        Figure(f"CPU, {about}", "% of a core", tuple(shares), note=note),
        Figure(f"calls but the Lease's, {about}", "calls", tuple(calls), 0, "max"),
    ]
