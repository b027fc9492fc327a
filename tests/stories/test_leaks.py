"""Many rollouts that come, are updated, aborted and deleted: the operator is as small as before them.

`make leaks` takes 500; here are fewer. Figures of every round are in `build/leaks.json`.
"""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rollout.kube.resources import (
    ANALYSIS_RUNS,
    HTTP_ROUTES,
    PODS,
    REPLICA_SETS,
    ROLLOUTS,
    SERVICES,
)
from tests.stories.stage import BACKGROUND, Stage, health_template, manifests
from tests.support.footprint import Footprint, footprint
from tests.support.replicas import Replica, own_operators

Json = dict[str, Any]
ROLLOUTS_MAX = int(os.environ.get("LEAK_ROLLOUTS", "24"))
ROUND = 8
WARM_UP_ROUNDS = 2
"""Until then connections are opened, code is loaded, and caches of bounded size are filled."""
IDLE_SECONDS = 20.0
"""Longer than an idle connection is kept."""
GROWTH_KIB_MAX = 16 * 1024
FIGURES = Path(__file__).parents[2] / "build" / "leaks.json"


def named(stage: Stage, name: str) -> str:
    """A Rollout of this name, with Services, a route and an analysis."""
    text = manifests(stage, "leak:1", replicas=1, analysis=BACKGROUND)
    for arm in ("stable", "canary"):
        text = text.replace(f"Service: {arm}", f"Service: {name}-{arm}").replace(f"name: {arm}", f"name: {name}-{arm}")
    text = text.replace("app: web", f"app: {name}").replace("metadata: {name: web}", f"metadata: {{name: {name}}}")
    return text.replace("[{name: web}]", f"[{{name: {name}}}]").replace(stage.host, f"{name}.{stage.host}")


async def each(names: list[str], act: Callable[[str], Awaitable[Any]]) -> None:
    """Do something for all names, one after the other."""
    for name in names:
        await act(name)


async def until_all(stage: Stage, names: list[str], phase: str, message: str = "") -> None:
    """Wait until Rollouts are in a phase that is about their present spec."""

    async def holds() -> bool:
        found = {one["metadata"]["name"]: one for one in await stage.client.list(ROLLOUTS, stage.namespace)}
        return all(_is(found[name], phase, message) for name in names)

    await stage.until(f"{names} are {phase}", holds)


def _is(rollout: Json, phase: str, message: str) -> bool:
    status = rollout.get("status") or {}
    current = status.get("observedGeneration") == rollout["metadata"]["generation"]
    return bool(current and status.get("phase") == phase and message in status.get("message", ""))


async def one_round(stage: Stage, number: int) -> None:
    """Rollouts from their creation to their deletion."""
    names = [f"leak-{number}-{i}" for i in range(ROUND)]

    async def abort(name: str) -> None:
        await stage.patch(ROLLOUTS, name, {"status": {"abort": True}}, "status")

    async def delete(name: str) -> None:
        await stage.client.delete(ROLLOUTS, stage.namespace, name)

    async def tidy(name: str) -> None:
        await stage.client.delete(HTTP_ROUTES, stage.namespace, name)
        for arm in ("stable", "canary"):
            await stage.client.delete(SERVICES, stage.namespace, f"{name}-{arm}")

    async def gone() -> bool:
        lists = [await stage.client.list(kind, stage.namespace) for kind in (ROLLOUTS, REPLICA_SETS, PODS)]
        return not any([*lists, await stage.client.list(ANALYSIS_RUNS, stage.namespace)])

    await each(names, lambda name: stage.apply(named(stage, name)))
    await until_all(stage, names, "Healthy")
    await each(names, lambda name: stage.release("leak:2", name))
    await until_all(stage, names, "Paused", "CanaryPauseStep")
    await each(names, abort)
    await until_all(stage, names, "Degraded", "RolloutAborted")
    await each(names, delete)
    await stage.until("the Rollouts and all that was theirs is gone", gone)
    await each(names, tidy)


async def look(operator: Replica) -> Footprint:
    """What the operator holds now."""
    return footprint(operator.pid, dict(await operator.metrics()))


async def as_it_began(stage: Stage, operator: Replica, began: Footprint) -> Footprint:
    """Wait until nothing that can be counted is more than it was."""
    seen = await look(operator)

    async def returned() -> bool:
        nonlocal seen
        seen = await look(operator)
        return seen.leaves_nothing_of(began)

    try:
        await stage.until("the operator holds no more than before", returned)
    except AssertionError as error:
        raise AssertionError(f"{began} has become {seen}") from error
    return seen


def test_an_operator_is_as_small_as_before_when_its_rollouts_are_gone(stage: Stage) -> None:
    async def story() -> None:
        for version in (1, 2):
            stage.image(f"leak:{version}")
        operator = Replica(stage, "operator", lease_seconds=15.0)
        async with own_operators(stage, operator):
            await operator.start()
            await operator.until_leading()
            await stage.apply(health_template(stage))
            figures: list[Footprint] = [await look(operator)]
            for number in range(WARM_UP_ROUNDS):
                await one_round(stage, number)
            await asyncio.sleep(IDLE_SECONDS)
            began = await look(operator)
            figures.append(began)
            for number in range(max(ROLLOUTS_MAX // ROUND, 1)):
                await one_round(stage, WARM_UP_ROUNDS + number)
                figures.append(await look(operator))
            await asyncio.sleep(IDLE_SECONDS)
            ended = await as_it_began(stage, operator, began)
            FIGURES.parent.mkdir(exist_ok=True)
            FIGURES.write_text(json.dumps([asdict(one) for one in (*figures, ended)], indent=1))
            assert ended.memory_kib - began.memory_kib < GROWTH_KIB_MAX

    stage.play(story())
