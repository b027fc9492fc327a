"""The gateway of the sandbox: real routes, real pods, a real Envoy, and what clients see."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import aiohttp
import pytest

from rollout.kube.resources import HTTP_ROUTES, PODS, SERVICES
from rollout.sandbox.gateway.status import CONTROLLER, GATEWAYS
from tests.support.api_process import Running
from tests.support.sandbox_parts import HOST, Cluster, backend, cluster, objects, service, serving, until

Story = Callable[[Cluster, int], Coroutine[Any, Any, None]]
BOTH = [{"backendRefs": [backend("v1", 50), backend("v2", 50)]}]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, int]]:
    """API server, node and gateway, with two pods of v1 and of v2."""
    folder = tmp_path_factory.mktemp("gateway")
    with cluster(folder) as api, serving("rollout.sandbox.gateway", api, folder) as ports:

        async def prepare() -> None:
            async with objects(api) as it:
                for version in ("v1", "v2"):
                    await it.arm(version, 2)
                for version in ("v1", "v2"):
                    await it.ready(version, 2)

        asyncio.run(prepare())
        yield api, ports["gateway"]


def play(world: tuple[Running, int], story: Story) -> None:
    """Play a story, and take its routes away."""

    async def run() -> None:
        async with objects(world[0]) as it:
            try:
                await story(it, world[1])
            finally:
                for route in await it.client.list(HTTP_ROUTES, "default"):
                    await it.client.delete(HTTP_ROUTES, "default", route["metadata"]["name"])

    asyncio.run(run())


@contextlib.asynccontextmanager
async def requests_going_on(port: int, seen: Counter[tuple[int, str]]) -> AsyncIterator[None]:
    """100 requests a second, each counted by its answer."""

    async def one(http: aiohttp.ClientSession) -> None:
        try:
            async with http.get(f"http://127.0.0.1:{port}/", headers={"Host": HOST}) as answer:
                seen[answer.status, answer.headers.get("X-Version", "")] += 1
        except aiohttp.ClientError as error:
            seen[0, type(error).__name__] += 1

    async def many(http: aiohttp.ClientSession) -> None:
        async with asyncio.TaskGroup() as tasks:
            while not over.is_set():
                tasks.create_task(one(http))
                await asyncio.sleep(0.01)

    over = asyncio.Event()
    async with aiohttp.ClientSession() as http:
        going = asyncio.ensure_future(many(http))
        try:
            yield
        finally:
            over.set()
            await going


def test_weights_share_the_traffic_and_a_change_of_them_is_live(world: tuple[Running, int]) -> None:
    async def story(it: Cluster, port: int) -> None:
        await it.route("shop", rules=BOTH)
        assert (await it.conditions("shop"))["Accepted"]["status"] == "True"
        seen = Counter([await it.ask(port) for _ in range(200)])
        assert set(seen) == {(200, "v1"), (200, "v2")}
        assert seen[200, "v1"] > 40
        assert seen[200, "v2"] > 40
        await it.weights("shop", 100, 0)
        await it.conditions("shop")
        assert {await it.ask(port) for _ in range(50)} == {(200, "v1")}
        await it.weights("shop", 0, 1)
        await it.conditions("shop")
        assert {await it.ask(port) for _ in range(50)} == {(200, "v2")}

    play(world, story)


def test_the_status_names_the_generation_and_is_not_written_again(world: tuple[Running, int]) -> None:
    async def story(it: Cluster, port: int) -> None:
        await it.route("shop", rules=BOTH)
        await it.conditions("shop")
        generation = await it.weights("shop", 80, 20)
        conditions = await it.conditions("shop")
        assert {c["observedGeneration"] for c in conditions.values()} == {generation}
        before = await it.client.get(HTTP_ROUTES, "default", "shop")
        assert before is not None
        (parent,) = before["status"]["parents"]
        assert parent["controllerName"] == CONTROLLER
        assert parent["parentRef"]["name"] == "edge"
        # A Service that comes and goes makes the gateway turn, and gives it nothing to say.
        await it.client.create(SERVICES, service("other", {"arm": "nobody"}))
        await it.route("later", hostnames=["later.localhost"], rules=BOTH)
        await it.conditions("later")
        after = await it.client.get(HTTP_ROUTES, "default", "shop")
        assert after == before

    play(world, story)


def test_a_missing_service_keeps_its_share_with_500_and_says_so(world: tuple[Running, int]) -> None:
    async def story(it: Cluster, port: int) -> None:
        await it.route("shop", rules=[{"backendRefs": [backend("v1", 50), backend("none", 50)]}])
        condition = (await it.conditions("shop"))["ResolvedRefs"]
        assert (condition["status"], condition["reason"]) == ("False", "BackendNotFound")
        assert "shop-none" in condition["message"]
        seen = Counter([await it.ask(port) for _ in range(100)])
        assert set(seen) == {(200, "v1"), (500, "")}
        assert min(seen.values()) > 15
        await it.client.create(SERVICES, service("shop-none", {"arm": "nobody"}))

        async def resolved() -> bool:
            return (await it.conditions("shop"))["ResolvedRefs"]["status"] == "True"

        await until(resolved, "ResolvedRefs")
        # A Service without endpoints keeps its share as well: 503.
        assert {await it.ask(port) for _ in range(50)} == {(200, "v1"), (503, "")}
        await it.client.delete(SERVICES, "default", "shop-none")

    play(world, story)


def test_a_bad_route_is_refused_alone(world: tuple[Running, int]) -> None:
    async def story(it: Cluster, port: int) -> None:
        await it.route("good", rules=[{"backendRefs": [backend("v1", 1)]}])
        bad: list[dict[str, Any]] = [
            {"hostnames": ["not a host"], "rules": BOTH},
            {"rules": [{"matches": [{"path": {"type": "RegularExpression", "value": "("}}]}]},
            {"rules": [{"matches": [{"headers": [{"name": ":path\n", "value": "x"}]}]}]},
            {"rules": [{"matches": [{"path": {"value": "no-slash"}}]}]},
            {"rules": [{"filters": [{"type": "URLRewrite"}]}]},
        ]
        for number, spec in enumerate(bad):
            await it.route(f"bad-{number}", **spec)
        for number in range(len(bad)):
            accepted = (await it.conditions(f"bad-{number}"))["Accepted"]
            assert (accepted["status"], accepted["reason"]) == ("False", "UnsupportedValue"), bad[number]
        await it.weights("good", 0, 1)
        await it.conditions("good")
        assert await it.ask(port) == (200, "v2")

    play(world, story)


def test_hostnames_paths_and_headers_choose_the_rule(world: tuple[Running, int]) -> None:
    def rule(version: str, match: dict[str, Any]) -> dict[str, Any]:
        return {"matches": [match], "backendRefs": [backend(version, 1)]}

    async def story(it: Cluster, port: int) -> None:
        always = {"headers": [{"name": "X-Canary", "value": "always"}]}
        exact = {"path": {"type": "Exact", "value": "/exact"}}
        rules = [rule("v1", {}), rule("v2", always), rule("v2", exact), rule("v2", {"path": {"value": "/api/"}})]
        await it.route("shop", rules=rules)
        await it.route("wild", hostnames=["*.example.test"], rules=[rule("v2", {})])
        await it.conditions("shop")
        await it.conditions("wild")
        assert await it.ask(port) == (200, "v1")
        assert await it.ask(port, f"{HOST}:8080") == (200, "v1")
        assert await it.ask(port, **{"X-Canary": "always"}) == (200, "v2")
        assert await it.ask(port, **{"X-Canary": "never"}) == (200, "v1")
        assert await it.ask(port, path="/exact") == (200, "v2")
        assert await it.ask(port, path="/exact/more") == (200, "v1")
        assert await it.ask(port, path="/api/items") == (200, "v2")
        assert await it.ask(port, path="/apiary") == (200, "v1")
        assert await it.ask(port, "a.b.example.test") == (200, "v2")
        assert await it.ask(port, "elsewhere.test") == (404, "")

    play(world, story)


def test_no_request_fails_while_the_pods_of_an_arm_go_and_come(world: tuple[Running, int]) -> None:
    async def story(it: Cluster, port: int) -> None:
        await it.route("shop", rules=BOTH)
        await it.conditions("shop")
        await it.sees(port, (200, "v2"))
        seen: Counter[tuple[int, str]] = Counter()
        async with requests_going_on(port, seen):
            await it.scale("v2", 4)
            await it.ready("v2", 4)
            # One pod of an arm: with all of them gone at once, nobody could answer.
            going = (await it.pods())[0]
            await it.client.delete(PODS, "default", going["metadata"]["name"])
            await it.scale("v2", 1)
            await it.ready("v2", 1)

            async def few() -> bool:
                return len([p for p in await it.pods() if p["metadata"]["labels"]["arm"] == "v2"]) == 1

            await until(few, "one pod of v2")
            await it.ready("v1", 2)
        await it.scale("v2", 2)
        await it.ready("v2", 2)
        assert set(seen) == {(200, "v1"), (200, "v2")}, seen
        assert sum(seen.values()) > 100

    play(world, story)


def test_a_gateway_is_programmed(world: tuple[Running, int]) -> None:
    async def story(it: Cluster, port: int) -> None:
        listeners = [{"name": "http", "port": 80, "protocol": "HTTP"}]
        spec = {"gatewayClassName": "sandbox", "listeners": listeners}
        metadata = {"name": "edge", "namespace": "default"}
        await it.client.create(
            GATEWAYS, {"apiVersion": GATEWAYS.api_version, "kind": "Gateway", "metadata": metadata, "spec": spec}
        )

        async def programmed() -> bool:
            found = await it.client.get(GATEWAYS, "default", "edge")
            assert found is not None
            conditions = {c["type"]: c["status"] for c in found["status"]["conditions"]}
            return conditions == {"Accepted": "True", "Programmed": "True"}

        await until(programmed, "Programmed")

    play(world, story)


def test_envoy_comes_back_by_itself(world: tuple[Running, int]) -> None:
    async def story(it: Cluster, port: int) -> None:
        await it.route("shop", rules=[{"backendRefs": [backend("v1", 1)]}])
        await it.conditions("shop")
        ports = world[0].folder / "gateway-ports.json"
        admin = json.loads(ports.read_text())["admin"]
        async with it.http.post(f"http://127.0.0.1:{admin}/quitquitquit") as answer:
            assert answer.status == 200

        async def back() -> bool:
            with contextlib.suppress(aiohttp.ClientError):
                return ports.read_text() != f'{{"gateway": {port}, "admin": {admin}}}' and await it.ask(port) == (
                    200, "v1",
                )  # fmt: skip
            return False

        await until(back, "Envoy again")
        await it.weights("shop", 0, 1)
        await it.conditions("shop")
        assert await it.ask(port) == (200, "v2")

    play(world, story)
