"""What an event of a watch costs, in CPU of the operator: of itself, and with the turn it may ask for."""

import asyncio
import time
from collections.abc import Callable, Iterator

from rollout.kube.resources import PODS, ROLLOUTS, SERVICES, Resource
from tests.benchmarks.operator.bed import Bed, tell
from tests.benchmarks.operator.canaries import deploy
from tests.benchmarks.operator.figures import Figure
from tests.benchmarks.operator.objects import NAMESPACE, service
from tests.benchmarks.operator.settings import Size

BATCH, BATCHES_A_SECOND = 20, 10
ROUNDS_MIN = 1
PADDING = "x" * 1500
"""Brings small objects to the size that they have in clusters, some 3 KB."""


async def measure(bed: Bed, size: Size) -> list[Figure]:
    """Change objects of three kinds at a steady rate, by patches that mean nothing."""
    await bed.start_operator()
    number = size.idle_rollouts
    await deploy(bed, await bed.watch(ROLLOUTS), [f"r{i}" for i in range(number)])
    await bed.create(SERVICES, (service(f"s{i}", {"app": f"s{i}"}) for i in range(number)))
    pods = [pod["metadata"]["name"] for pod in await bed.client.list(PODS, NAMESPACE)]
    kinds: tuple[tuple[str, Resource, list[str]], ...] = (
        ("a Service that no Rollout names", SERVICES, [f"s{i}" for i in range(number)]),
        ("a Pod", PODS, pods),
        ("a Rollout, with its turn", ROLLOUTS, [f"r{i}" for i in range(number)]),
    )
    return [
        Figure(
            f"CPU of an event of {what}", "ms", tuple([await _cost(bed, resource, names, size) for _ in repeats]), 0.6
        )
        for what, resource, names in kinds
        for repeats in (range(size.repeat),)
    ]


async def _cost(bed: Bed, resource: Resource, names: list[str], size: Size) -> float:
    """Milliseconds an event, what an idle operator uses taken off."""
    await bed.quiet()
    tell(f"  {size.events} events of {resource.plural}")
    began, before = time.monotonic(), bed.usage().cpu_seconds
    await asyncio.sleep(2)
    idle = (bed.usage().cpu_seconds - before) / (time.monotonic() - began)
    began, before = time.monotonic(), bed.usage().cpu_seconds
    change = _changes(names)
    for _ in range(0, size.events, BATCH):
        next_at = time.monotonic() + 1 / BATCHES_A_SECOND
        await asyncio.gather(*(_touch(bed, resource, change) for _ in range(BATCH)))
        await asyncio.sleep(max(next_at - time.monotonic(), 0))
    await bed.quiet()
    used = bed.usage().cpu_seconds - before - idle * (time.monotonic() - began)
    return max(used, 0.0) * 1e3 / (-(-size.events // BATCH) * BATCH)


async def _touch(bed: Bed, resource: Resource, change: Callable[[], tuple[str, str]]) -> None:
    name, value = change()
    annotations = {"example.com/padding": PADDING, "example.com/touched": value}
    await bed.client.merge_patch(resource, NAMESPACE, name, {"metadata": {"annotations": annotations}})


def _changes(names: list[str]) -> Callable[[], tuple[str, str]]:
    """Another object each time, and a value that it has not yet."""

    def forever() -> Iterator[tuple[str, str]]:
        while True:
            for name in names:
                yield name, str(time.time_ns())

    changes = forever()
    return lambda: next(changes)
