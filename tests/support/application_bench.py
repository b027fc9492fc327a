"""Applications, repositories and their jobs, on caches that a test fills: no cluster, no Git host."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from rollout.api.application import Application
from rollout.api.gitrepository import GitRepository
from rollout.controllers.application_jobs import ApplicationJobs
from rollout.controllers.context import Context
from rollout.controllers.gitjobs import RepositoryState
from rollout.controllers.pushing import Pusher
from rollout.controllers.terms import TERMS
from rollout.controllers.workshop import Fetched, GitWorkshop
from rollout.domain.sync.plan import RevertPlan
from rollout.kube.cache import Cache
from rollout.kube.resources import APPLICATIONS, GIT_REPOSITORIES, REPLICA_SETS, ROLLOUTS, Resource

Json = dict[str, Any]
URL = "https://git.example.com/shop.git"
NORMAL = "https://git.example.com/shop"
KEY = ("shop", "web")
A, B = "a" * 40, "b" * 40
PLAN = RevertPlan("1234", "main", "shop", "web", "u", A, B, "sha256:bad", "sha256:good", "web:2", "", "", 25, "")


def application(name: str = "web", *, uid: str = "u1", version: int = 1, **spec: Any) -> Json:
    source = {"repositoryRef": {"name": "shop"}, "path": f"apps/{name}", **spec.pop("source", {})}
    revert = {"id": PLAN.id, "phase": "Planned", "templateDigest": "sha256:bad"}
    record = {"namespace": "shop", "name": name, "revert": revert, "quarantine": [{"templateDigest": "sha256:bad"}]}
    metadata = {"name": name, "namespace": "shop", "uid": uid, "resourceVersion": str(version), "generation": 1}
    return {"metadata": metadata, "spec": {"source": source, **spec}, "status": {"rollouts": [record]}}


def repository(name: str = "shop", *, uid: str = "g1", version: int = 1, **spec: Any) -> Json:
    whole = {"url": URL, "ref": {"branch": "main"}, "write": {"secretRef": {"name": "write"}}, **spec}
    metadata = {"name": name, "namespace": "shop", "uid": uid, "resourceVersion": str(version), "generation": 1}
    return {"metadata": metadata, "spec": {k: v for k, v in whole.items() if v is not None}}


@dataclass
class Api:
    """An API server of which only what a test says answers."""

    patches: list[Json] = field(default_factory=list)
    lists: Callable[[], list[Json]] = list

    async def list(self, _: Resource, __: str) -> list[Json]:
        return self.lists()

    async def get(self, *_: Any) -> Json | None:
        return None

    async def merge_patch(self, _: Resource, namespace: str, name: str, patch: Json, subresource: str = "") -> Json:
        self.patches.append(patch)
        metadata = {"name": name, "namespace": namespace, "uid": "u1", "resourceVersion": "99"}
        return {"metadata": metadata, "subresource": subresource}


@dataclass
class Bench:
    """Caches, a clock, and the jobs."""

    workshop: GitWorkshop
    jobs: ApplicationJobs
    pusher: Pusher
    context: Context
    api: Api
    asked: list[tuple[Resource, Any]]
    clock: list[float]
    fence: list[Exception]

    def put(self, resource: Resource, *objects: Json) -> None:
        for obj in objects:
            self.context.caches[resource].put(obj)

    def app(self) -> Application:
        return msgspec.convert(self.context.caches[APPLICATIONS].get(KEY), Application)

    def repo(self) -> GitRepository:
        return msgspec.convert(self.context.caches[GIT_REPOSITORIES].get(("shop", "shop")), GitRepository)

    async def ended(self) -> None:
        async with asyncio.timeout(120):
            while not self.asked:
                await asyncio.sleep(0)
            while any(self.workshop.background.is_running(f"{job} {'/'.join(KEY)}") for job in ("render", "apply")):
                await asyncio.sleep(0)


@asynccontextmanager
async def bench(folder: Path) -> AsyncIterator[Bench]:
    clock, asked, api = [1000.0], [], Api()
    fence: list[Exception] = []

    def check() -> None:
        if fence:
            raise fence[0]

    kinds = (APPLICATIONS, GIT_REPOSITORIES, ROLLOUTS, REPLICA_SETS)
    caches = {resource: Cache(terms=TERMS.get(resource, lambda _: ())) for resource in kinds}
    context = Context(api, caches, lambda: clock[0], None, lambda r, k: asked.append((r, k)))  # type: ignore[arg-type]
    async with GitWorkshop(folder / "git", lambda: clock[0], lambda _: None) as workshop:
        jobs, pusher = ApplicationJobs(context, workshop, check), Pusher(context, workshop, check)
        made = Bench(workshop, jobs, pusher, context, api, asked, clock, fence)
        made.put(APPLICATIONS, application())
        made.put(GIT_REPOSITORIES, repository())
        yield made


def play(folder: Path, story: Callable[[Bench], Any]) -> None:
    async def scene() -> None:
        async with bench(folder) as made:
            result = story(made)
            if asyncio.iscoroutine(result):
                await result

    asyncio.run(scene())


def fetched(commit: str, uid: str = "g1") -> Fetched:
    return Fetched(uid, NORMAL, RepositoryState(commit, f"main@sha1:{commit}"))
