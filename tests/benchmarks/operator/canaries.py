"""What a canary costs: N Rollouts of two steps that all release at once, without a router."""

import time
from typing import Any

from rollout.sandbox.informer import Informer
from tests.benchmarks.operator import audit
from tests.benchmarks.operator.bed import Bed, at_once, tell, until
from tests.benchmarks.operator.figures import Figure
from tests.benchmarks.operator.objects import NAMESPACE, rollout, two_steps
from tests.benchmarks.operator.process import Usage
from tests.benchmarks.operator.settings import Size

Json = dict[str, Any]
ARGO = "Argo Rollouts {}, on kube-apiserver 1.36, measured when this was designed"
ARGO_CPU = {200: 61.6, 1000: 48.6}
PATCH_IMAGE = "/spec/template/spec/containers/0/image"


def healthy(obj: Json) -> bool:
    """Whether a Rollout has taken its spec to its end."""
    status = obj.get("status") or {}
    current = str(status.get("observedGeneration")) == str(obj["metadata"]["generation"])
    return bool(current and status.get("phase") == "Healthy" and status.get("currentPodHash") == status.get("stableRS"))


async def deploy(bed: Bed, rollouts: Informer, names: list[str], replicas: int = 2, pause_seconds: int = 10) -> None:
    """Create Rollouts, and wait until they are healthy."""
    tell(f"  deploying {len(names)} Rollouts")
    canary = two_steps(pause_seconds)
    await bed.create(bed.rollouts, (rollout(name, "app:v1", canary, replicas, bed.rollouts) for name in names))
    await settled(rollouts, set(names))


async def settled(rollouts: Informer, names: set[str]) -> None:
    """Wait until Rollouts are healthy."""

    def waiting() -> int:
        return len(names) - sum(healthy(obj) for obj in rollouts.cache.all() if obj["metadata"]["name"] in names)

    await until(lambda: waiting() == 0, f"{len(names)} Rollouts are healthy", poll=0.5)


async def measure(bed: Bed, size: Size) -> list[Figure]:
    """Calls, CPU, memory and time of each number of concurrent canaries; a release a repetition."""
    await bed.start_operator()
    rollouts = await bed.watch(bed.rollouts)
    found: list[Figure] = []
    deployed: list[str] = []
    for number in size.canaries:
        more = [f"r{i}" for i in range(len(deployed), number)]
        await deploy(bed, rollouts, more, pause_seconds=size.pause_seconds)
        deployed += more
        found += await _of(bed, size, rollouts, deployed)
    return found


async def _of(bed: Bed, size: Size, rollouts: Informer, names: list[str]) -> list[Figure]:
    number = len(names)
    calls, cpu, seconds, peak, shapes = [], [], [], [], []
    for repetition in range(size.repeat):
        await bed.quiet()
        tell(f"  {number} canaries at once, {repetition + 1} of {size.repeat}")
        began, before = time.time(), bed.usage()
        await _release(bed, rollouts, names, f"app:{time.time_ns()}")
        await settled(rollouts, set(names))
        seconds.append(time.time() - began)
        await bed.quiet()
        after: Usage = bed.usage()
        counts = audit.counted(bed.calls(began))
        calls.append(audit.without_events(counts) / number)
        cpu.append((after.cpu_seconds - before.cpu_seconds) * 1e3 / number)
        peak.append(after.peak_mb)
        shapes.append(audit.in_words(counts, number))
    argo = ARGO_CPU.get(number)
    one = f"a canary of {number} at once"
    return [
        Figure(f"calls of {one}", "calls", tuple(calls), 12, peer=ARGO.format("16.1"), note=shapes[-1]),
        Figure(f"CPU of {one}", "ms", tuple(cpu), 25, peer=ARGO.format(argo) if argo else ""),
        Figure(f"peak memory, {number} canaries at once", "MB", tuple(peak), 180, "max",
               peer=ARGO.format("184") if number == 1000 else ""),
        Figure(f"time until {number} canaries are done", "s", tuple(seconds),
               note=f"{size.pause_seconds} s of it are the pause"),
    ]  # fmt: skip


async def _release(bed: Bed, rollouts: Informer, names: list[str], image: str) -> None:
    patch = [{"op": "replace", "path": PATCH_IMAGE, "value": image}]

    async def one(name: str) -> None:
        # The answer goes into our cache: what the Rollout was before would still look healthy.
        rollouts.cache.put(await bed.client.json_patch(bed.rollouts, NAMESPACE, name, patch))

    await at_once(one(name) for name in names)
