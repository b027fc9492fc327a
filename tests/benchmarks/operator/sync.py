"""How long a push takes to the cluster: one changed file of a large repository with many Applications."""

import asyncio
import time
from typing import Any

import aiohttp

from rollout.kube.resources import APPLICATIONS, CONFIG_MAPS, GIT_REPOSITORIES
from rollout.sandbox.informer import Informer
from tests.benchmarks.operator import audit
from tests.benchmarks.operator.bed import Bed, tell, until
from tests.benchmarks.operator.figures import Figure
from tests.benchmarks.operator.gitops import Repository, announce, application, credentials, declare, repository
from tests.benchmarks.operator.settings import Size

Json = dict[str, Any]
NAME = "mono"
FLUX = "Flux 92 to 109 s with 20 paths, measured when this was designed"


class Arrivals:
    """When each version of a ConfigMap was seen."""

    def __init__(self) -> None:
        self.at: dict[tuple[str, str], float] = {}

    def saw(self, obj: Json) -> None:
        value = (obj.get("data") or {}).get("v", "")
        self.at.setdefault((obj["metadata"]["name"], value), time.time())


def manifest(number: int, value: str) -> str:
    """What one Application declares."""
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c{number}}}\ndata: {{v: '{value}'}}\n"


async def measure(bed: Bed, size: Size) -> list[Figure]:
    """The first sync of all, then one file at a time."""
    await bed.start_operator()
    arrivals = Arrivals()
    await bed.watch(CONFIG_MAPS, arrivals.saw)
    repositories = await bed.watch(GIT_REPOSITORIES)
    applications = await bed.watch(APPLICATIONS)
    await credentials(bed)
    mono = await repository(bed, NAME)
    await asyncio.to_thread(_fill, mono, size)
    first = await _first(bed, size, applications)
    path = next(obj["status"]["webhookPath"] for obj in repositories.cache.all())
    seconds, cpu, counts = [], [], audit.Counter[str]()
    async with aiohttp.ClientSession() as session:
        for change in range(size.changes):
            number, value = change * 7 % size.applications, f"change {change}"
            await bed.quiet()
            tell(f"  change {change + 1} of {size.changes}")
            files = {f"apps/{number}/all.yaml": manifest(number, value)}
            before, began = bed.usage().cpu_seconds, time.time()
            await asyncio.to_thread(mono.work.commit, value, files)
            pushed = mono.head()[1]
            await announce(bed, session, path)
            await until(lambda: (f"c{number}", value) in arrivals.at, f"{value} is applied", poll=0.005)  # noqa: B023
            seconds.append(arrivals.at[f"c{number}", value] - pushed)
            cpu.append(await bed.quiet() - before)
            counts += audit.counted(bed.calls(began))
    about = f"one of {size.files} files, {size.applications} Applications"
    shape = audit.in_words(counts, size.changes)
    calls = (audit.without_events(counts) / size.changes,)
    return [
        Figure(f"first sync of {size.applications} Applications", "s", (first,)),
        Figure(f"push to applied: {about}", "s", tuple(seconds), 1.0, peer=FLUX, note="with a webhook"),
        Figure(f"CPU of a sync: {about}", "s", tuple(cpu), note="with what Git's processes use"),
        Figure(f"calls of a sync: {about}", "calls", calls, note=shape),
    ]


def _fill(mono: Repository, size: Size) -> None:
    files: dict[str, str | bytes] = {f"apps/{i}/all.yaml": manifest(i, "first") for i in range(size.applications)}
    more = range(size.files - size.applications)
    mono.work.commit("All", files | {f"other/{i % 100}/{i}.txt": f"file {i}\n" * 20 for i in more})


async def _first(bed: Bed, size: Size, applications: Informer) -> float:
    tell(f"  first sync of {size.applications} Applications")
    began = time.monotonic()
    await declare(bed, NAME)
    await bed.create(APPLICATIONS, (application(f"a{i}", NAME, f"apps/{i}") for i in range(size.applications)))

    def waiting() -> int:
        return size.applications - sum(map(_synced, applications.cache.all()))

    await until(lambda: waiting() == 0, "all Applications are synced")
    return time.monotonic() - began


def _synced(obj: Json) -> bool:
    conditions = (obj.get("status") or {}).get("conditions") or []
    return any(c["type"] == "Synced" and c["status"] == "True" for c in conditions)
