"""How fast a failure is answered: from the bad value to the route's weights, and to the revert in Git.

The clock begins when the metrics store sends the value that fails the analysis, so that the judgement is part of it.
"""

import asyncio
import time
from typing import Any

import aiohttp
import yaml

from rollout.kube.resources import ANALYSIS_TEMPLATES, APPLICATIONS, GIT_REPOSITORIES, ROLLOUTS
from rollout.sandbox.informer import Informer
from tests.benchmarks.operator.bed import Bed, at_once, tell, until
from tests.benchmarks.operator.canaries import healthy
from tests.benchmarks.operator.figures import Figure
from tests.benchmarks.operator.gitops import Repository, announce, application, credentials, declare, repository
from tests.benchmarks.operator.metrics_store import MetricsStore
from tests.benchmarks.operator.objects import rollout, routed, services_and_route, template
from tests.benchmarks.operator.settings import Size

Json = dict[str, Any]
PATH = "apps/web"
BETWEEN_SECONDS = 1.0


def manifests(name: str, image: str) -> str:
    """What one repository declares."""
    analysis = {"templates": [{"templateName": "health"}], "args": [{"name": "name", "value": name}]}
    return yaml.safe_dump_all([rollout(name, image, routed(name, analysis)), *services_and_route(name)])


async def measure(bed: Bed, size: Size) -> list[Figure]:
    """One failure after the other, each of a Rollout with an Application and a repository of its own."""
    async with MetricsStore() as store, aiohttp.ClientSession() as session:
        await bed.start_operator("--metric-address", "127.0.0.1")
        rollouts, repositories = await bed.watch(ROLLOUTS), await bed.watch(GIT_REPOSITORIES)
        await credentials(bed)
        await bed.client.create(ANALYSIS_TEMPLATES, template(store.url))
        found: dict[str, Repository] = {}
        await at_once((_deploy(bed, f"w{i}", found) for i in range(size.failures)), 4)
        await until(lambda: _count(rollouts, healthy) == size.failures, f"{size.failures} Rollouts are healthy")
        tell(f"  releasing {size.failures} versions")
        paths = {obj["metadata"]["name"]: obj["status"]["webhookPath"] for obj in repositories.cache.all()}
        bad = dict([await _release(bed, session, one, paths[name]) for name, one in found.items()])
        await until(
            lambda: _count(rollouts, _halfway) == size.failures and len(store.asked) == size.failures,
            f"{size.failures} canaries have half of the traffic",
        )
        return await _fail(bed, store, found, bad)


async def _fail(bed: Bed, store: MetricsStore, found: dict[str, Repository], bad: dict[str, str]) -> list[Figure]:
    weights, reverts = [], []
    for number, (name, one) in enumerate(found.items()):
        if number % 10 == 0:
            tell(f"  failure {number + 1} of {len(found)}")
        store.bad.add(name)
        await until(lambda: one.head()[0] != bad[name], f"{name} is reverted", poll=0.02)  # noqa: B023
        began = store.told_at[name]
        reverts.append(one.head()[1] - began)
        written = [c for c in bed.calls(began) if c.verb == "patch" and (c.resource, c.name) == ("httproutes", name)]
        assert written, f"no weights of {name} were written"
        weights.append(min(call.at for call in written) - began)
        await asyncio.sleep(BETWEEN_SECONDS)
    note = f"{len(found)} failures one after the other, among {len(found)} analyses a second"
    return [
        Figure("bad value to weights written", "s", tuple(weights), 0.5, "p99", note=note),
        Figure("bad value to revert pushed", "s", tuple(reverts), 3.0, "p99", note=note),
    ]


async def _deploy(bed: Bed, name: str, found: dict[str, Repository]) -> None:
    found[name] = one = await repository(bed, name)
    await asyncio.to_thread(one.work.commit, "Deploy 1", {f"{PATH}/all.yaml": manifests(name, "app:v1")})
    await declare(bed, name)
    await bed.client.create(APPLICATIONS, application(name, name, PATH))


async def _release(bed: Bed, session: aiohttp.ClientSession, one: Repository, path: str) -> tuple[str, str]:
    """Push a release; returns its commit, by the name of the Rollout."""
    files = {f"{PATH}/all.yaml": manifests(one.name, f"app:{time.time_ns()}")}
    commit = await asyncio.to_thread(one.work.commit, "Release 2", files)
    await announce(bed, session, path)
    return one.name, commit


def _count(rollouts: Informer, holds: Any) -> int:
    return sum(bool(holds(obj)) for obj in rollouts.cache.all())


def _halfway(obj: Json) -> bool:
    status = obj.get("status") or {}
    weights = (status.get("canary") or {}).get("weights") or {}
    return bool(status.get("phase") == "Paused" and (weights.get("canary") or {}).get("weight") == 50)
