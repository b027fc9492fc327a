"""What was deleted while no watch ran leaves no ghost: design note `operator.md` 1.2, with a whole operator."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from rollout.kube.resources import HTTP_ROUTES, PODS, REPLICA_SETS, ROLLOUTS, Resource
from tests.faults.cluster import Cluster
from tests.faults.executioner import is_action
from tests.faults.operators import Operator
from tests.faults.plan import KUBERNETES, WATCHES, Fault, Place, Plan, Trouble
from tests.faults.proxy import FaultProxy
from tests.faults.story import trusting
from tests.stories.stage import Stage, route

Json = dict[str, Any]
WATCHED = (ROLLOUTS, REPLICA_SETS, PODS)
ROLLOUT = """
apiVersion: coalmine.dev/v1alpha1
kind: Rollout
metadata: {name: NAME}
spec:
  replicas: 2
  selector: {matchLabels: {app: NAME}}
  template:
    metadata: {labels: {app: NAME}}
    spec:
      containers:
      - name: web
        image: IMAGE
        ports: [{name: http, containerPort: 8080}]
        readinessProbe: {httpGet: {path: /ready, port: http}, periodSeconds: 1}
  strategy: {canary: {}}
"""


@dataclass
class Scene:
    """Two Rollouts, and an operator whose watches the test can cut."""

    stage: Stage
    api: FaultProxy
    operator: Operator

    async def rollout(self, name: str, version: int) -> None:
        image = f"{self.stage.namespace}:{version}"
        self.stage.image(image)
        await self.stage.create(yaml.safe_load(ROLLOUT.replace("NAME", name).replace("IMAGE", image)))
        await self.stage.until_healthy(image, name)

    async def cached(self) -> list[int]:
        """How many Rollouts, ReplicaSets and Pods the operator believes in."""
        return [int(await self.operator.metric(f'coalmine_cached_objects{{kind="{r.kind}"}}')) for r in WATCHED]

    async def live(self) -> list[int]:
        """How many there are."""
        return [len(await self.stage.client.list(r, self.stage.namespace)) for r in WATCHED]

    async def the_cache_is_right(self) -> bool:
        return await self.cached() == await self.live()

    async def delete(self, resource: Resource, name: str) -> None:
        await self.stage.client.delete(resource, self.stage.namespace, name)


@asynccontextmanager
async def scene(cluster: Cluster, folder: Path, runner: asyncio.Runner) -> AsyncIterator[Scene]:
    stage = Stage(cluster.box, folder, runner)
    config = yaml.safe_load(cluster.operator_kubeconfig.read_text())["clusters"][0]["cluster"]
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(FaultProxy(config["server"], KUBERNETES, trusting(cluster)))
        await stage.set_up()
        stack.push_async_callback(stage.tear_down)
        operator = Operator(folder / "operator", cluster.operator_kubeconfig, api.url, stage.namespace)
        stack.push_async_callback(operator.stop)
        await operator.start()
        it = Scene(stage, api, operator)
        for name in ("ghost", "web"):
            await it.rollout(name, 1)
        await stage.until("the cache is right", it.the_cache_is_right)
        yield it


def _hears_nothing(request: web.Request) -> Trouble | None:
    """A gate that lets no watch through, and no list either: kopf lists between two watches, and may see pods go."""
    whole = request.method == "GET" and request.path.rpartition("/")[2] in {r.plural for r in WATCHED}
    return Trouble(Fault.CUT) if whole or "watch" in request.query else None


def _breaks_each_watch_once(fault: Fault) -> Any:
    """A gate that breaks the next watch of each path, once."""
    broken = set[str]()

    def gate(request: web.Request) -> Trouble | None:
        if "watch" not in request.query or request.path in broken:
            return None
        broken.add(request.path)
        return Trouble(fault)

    return gate


@pytest.mark.parametrize("answer", [Fault.GONE, Fault.EXPIRED, Fault.BROKEN])
def test_what_was_deleted_in_a_gap_of_the_watches_is_forgotten(
    cluster: Cluster, runner: asyncio.Runner, tmp_path: Path, answer: Fault
) -> None:
    async def story() -> None:
        async with scene(cluster, tmp_path, runner) as it:
            before, acted = await it.cached(), list[str]()
            it.api.gate = _hears_nothing
            it.api.cut_watches()
            await it.delete(ROLLOUTS, "ghost")
            (lost,) = [rs for rs in await it.stage.client.list(REPLICA_SETS, it.stage.namespace) if _of(rs, "web")]
            await it.delete(REPLICA_SETS, lost["metadata"]["name"])

            async def all_gone() -> bool:
                return await it.live() == [1, 0, 0]

            await it.stage.until("they are gone", all_gone)
            assert await it.cached() == before == [2, 2, 4], "nobody has told the operator"

            async def seen(request: web.Request, status: int) -> None:
                # Watches go on in no order: who hears of the pods first asks for what is gone, and is told so.
                if status != 404 and is_action(request, it.stage.namespace):
                    acted.append(f"{request.method} {request.path}")

            it.api.answered = seen
            it.api.gate = _breaks_each_watch_once(answer)
            await it.stage.until("the pods of the other one are back", _pods(it, 2))
            await it.stage.until("the cache is right", it.the_cache_is_right)
            assert it.api.faults[answer] > 0
            assert not [action for action in acted if "ghost" in action], "a ghost was written to"
            assert await it.stage.client.get(REPLICA_SETS, it.stage.namespace, lost["metadata"]["name"]) != lost

            it.stage.image(f"{it.stage.namespace}:2")
            await it.rollout("ghost", 2)
            await it.stage.until("the cache is right", it.the_cache_is_right)
            assert await it.live() == [2, 2, 4]
            assert it.operator.running
            assert it.operator.starts == 1

    runner.run(story())


def _of(replica_set: Json, rollout: str) -> bool:
    return any(owner["name"] == rollout for owner in replica_set["metadata"].get("ownerReferences") or [])


def _pods(it: Scene, count: int) -> Any:
    async def holds() -> bool:
        return (await it.live())[2] == count

    return holds


@pytest.mark.parametrize("fault", [Fault.HALF_AND_END, Fault.BROKEN, Fault.BUSY, Fault.CUT])
def test_a_watch_that_breaks_in_any_way_hears_again_what_happens(
    cluster: Cluster, runner: asyncio.Runner, tmp_path: Path, fault: Fault
) -> None:
    """A half line and an error in the stream end kopf, which must not hang in its end."""

    async def story() -> None:
        async with scene(cluster, tmp_path, runner) as it:
            it.api.follow(EveryLine(fault=fault))
            await it.delete(ROLLOUTS, "ghost")

            async def heard() -> bool:
                return it.api.faults[fault] > 0

            await it.stage.until("a watch has broken", heard)
            it.api.follow(Plan())
            await it.rollout("ghost", 2)
            await it.stage.until("the cache is right", it.the_cache_is_right)
            assert it.operator.running

    runner.run(story())


@dataclass(frozen=True)
class EveryLine(Plan):
    """From a number on, every line of a watch fails in one way."""

    fault: Fault = Fault.CUT
    since: int = 0

    def trouble(self, place: Place, number: int) -> Trouble | None:
        return Trouble(self.fault) if place is WATCHES and number >= self.since else None


@pytest.mark.parametrize("fault", [Fault.FORBIDDEN, Fault.GONE, Fault.CUT])
def test_an_operator_that_gets_no_answer_at_its_start_begins_when_it_does(
    cluster: Cluster, runner: asyncio.Runner, tmp_path: Path, fault: Fault
) -> None:
    async def story() -> None:
        async with scene(cluster, tmp_path, runner) as it:
            await it.operator.stop()
            it.api.follow(Plan())
            it.api.gate = lambda _: Trouble(fault)
            await it.operator.start()

            async def refused() -> bool:
                assert it.operator.running, "the operator has ended"
                return it.api.faults[fault] >= 5

            await it.stage.until("the operator has tried again", refused)
            it.api.gate = lambda _: None
            await it.stage.until("the cache is right", it.the_cache_is_right)
            await it.rollout("late", 2)
            assert it.operator.running

    runner.run(story())


def test_a_kind_that_the_api_server_does_not_tell_of_once_is_not_taken_for_one_that_is_not_there(
    cluster: Cluster, runner: asyncio.Runner, tmp_path: Path
) -> None:
    refused = list[str]()

    def once(request: web.Request) -> Trouble | None:
        """The Gateway API is optional, so the operator may begin without it; but only where there is none."""
        if request.path.rstrip("/") != f"/apis/{HTTP_ROUTES.api_version}" or refused:
            return None
        refused.append(request.path)
        return Trouble(Fault.BUSY)

    async def story() -> None:
        async with scene(cluster, tmp_path, runner) as it:
            await it.operator.stop()
            await it.stage.apply(route(it.stage))
            it.api.gate = once
            await it.operator.start()
            await it.stage.until("the operator is ready", it.operator.ready)
            assert refused
            assert await it.operator.metric(f'coalmine_cached_objects{{kind="{HTTP_ROUTES.kind}"}}') == 1

    runner.run(story())
