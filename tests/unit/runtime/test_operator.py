"""What a replica asks of itself, and what it does when a turn is refused."""

import asyncio
from typing import Any

from rollout.errors import ApiError, LeadershipLost
from rollout.kube.cache import Key
from rollout.kube.client import KubeClient
from rollout.kube.resources import APPLICATIONS, GIT_REPOSITORIES, HTTP_ROUTES, ROLLOUTS, Resource
from rollout.runtime.operator import Operator
from rollout.runtime.settings import Settings

BOUND_SECONDS = 120.0


def rollout(name: str) -> dict[str, Any]:
    metadata = {"namespace": "shop", "name": name, "uid": name, "resourceVersion": "1"}
    return {"metadata": metadata, "spec": {}}


def named(resource: Resource, name: str, version: int) -> dict[str, Any]:
    metadata = {"namespace": "shop", "name": name, "uid": name, "resourceVersion": str(version)}
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, "spec": {}}


class Refused:
    """A controller whose first write comes while the Lease is not renewed."""

    resource = ROLLOUTS

    def __init__(self) -> None:
        self.turns = 0
        self.taken = asyncio.Event()

    async def reconcile(self, key: Key) -> float | None:
        self.turns += 1
        if self.turns == 1:
            raise LeadershipLost(f"no Lease for {key}")
        self.taken.set()
        return None


def test_a_turn_that_the_fence_refused_is_taken_when_the_renewal_comes_late() -> None:
    async def story() -> int:
        operator, controller = Operator(Settings()), Refused()
        operator._controllers = {ROLLOUTS: controller}
        operator._acting = True
        operator._take(ROLLOUTS, rollout("web"))
        async with asyncio.timeout(BOUND_SECONDS), asyncio.TaskGroup() as tasks:
            worker = operator._worker(operator.queue.get)
            work = [tasks.create_task(operator.queue.run_deadlines()), tasks.create_task(worker)]
            await controller.taken.wait()
            for task in work:
                task.cancel()
        return controller.turns

    assert asyncio.run(story()) == 2


def test_a_replica_that_stands_by_collects_no_work() -> None:
    async def story() -> tuple[int, int]:
        operator = Operator(Settings())
        operator._controllers = {ROLLOUTS: Refused()}
        for number in range(100):
            operator._take(ROLLOUTS, rollout(f"web-{number}"))
        waiting = len(operator.queue)
        operator._acting = True
        operator._ask_for_everything()
        return waiting, len(operator.queue)

    assert asyncio.run(story()) == (0, 100)


class Forbidding(KubeClient):
    """An API server that serves HTTPRoutes, but not to us."""

    def __init__(self) -> None:
        self.asked = 0

    async def discover(self, api_version: str, kind: str) -> Resource | None:
        assert (api_version, kind) == (HTTP_ROUTES.api_version, HTTP_ROUTES.kind)
        return HTTP_ROUTES

    async def list(self, *_: Any, **__: Any) -> list[dict[str, Any]]:
        self.asked += 1
        raise ApiError(403, "Forbidden", "httproutes is forbidden")


def test_an_optional_kind_that_may_not_be_listed_ends_nothing() -> None:
    async def story() -> tuple[int, str | None]:
        operator, api = Operator(Settings()), Forbidding()
        operator._plain = api
        await operator._look_for_kinds()
        await operator._look_for_kinds()
        for cache in operator.caches.values():
            cache.synced = cache is not operator.caches[HTTP_ROUTES]
        return api.asked, operator._ready()

    assert asyncio.run(story()) == (2, None)


def test_the_status_of_a_git_repository_holds_no_application_up() -> None:
    async def story() -> None:
        operator = Operator(Settings())
        operator._controllers = {GIT_REPOSITORIES: Refused(), APPLICATIONS: Refused()}
        operator._acting = True
        names = [f"app-{number}" for number in range(20)]
        for version, name in enumerate(names, 1):
            operator.caches[APPLICATIONS].put(named(APPLICATIONS, name, version))
        for _ in names:
            operator.queue.done(await operator.queue.get())
        operator.caches[GIT_REPOSITORIES].put(named(GIT_REPOSITORIES, "mono", 30))
        operator.caches[APPLICATIONS].put(named(APPLICATIONS, "app-7", 31))
        assert {await operator.queue.get(), await operator.queue.get()} == {
            (GIT_REPOSITORIES, ("shop", "mono")),
            (APPLICATIONS, ("shop", "app-7")),
        }
        later = {(await operator.queue.get_later())[1][1] for _ in range(len(names) - 1)}
        assert later == set(names) - {"app-7"}

    async def bounded() -> None:
        async with asyncio.timeout(BOUND_SECONDS):
            await story()

    asyncio.run(bounded())
