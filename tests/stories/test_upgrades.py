"""Upgrades in the middle of a release: nothing that a new version brings is a reason to touch a pod."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from rollout.api.keys import REVISION
from rollout.kube.resources import CUSTOM_RESOURCE_DEFINITIONS, REPLICA_SETS, ROLLOUTS
from tests.stories.stage import Stage, manifests
from tests.support.replicas import Replica, own_operators
from tests.support.versions import Edit, another_version

Json = dict[str, Any]
USER = "operator"
CRD = "rollouts.coalmine.dev"
PROGRESS = "rollout/domain/progress"
HASHES = f"{PROGRESS}/podhash.py"
NEWER, OLDER = "newer=safe_hash(encode(template, TEMPLATE_034)", "older=safe_hash(encode(template, TEMPLATE_029)"

FORMERLY: dict[str, tuple[Edit, ...]] = {
    "other defaults": (
        Edit(f"{PROGRESS}/deadline.py", "PROGRESS_DEADLINE_SECONDS = 600", "PROGRESS_DEADLINE_SECONDS = 900"),
        Edit(f"{PROGRESS}/history.py", "DEFAULT_REVISIONS = 10", "DEFAULT_REVISIONS = 20"),
        Edit(f"{PROGRESS}/replicas.py", "DEFAULT_DELAY_SECONDS = 30", "DEFAULT_DELAY_SECONDS = 60"),
        Edit(f"{PROGRESS}/weights.py", 'default="25%", round_up=True', 'default="75%", round_up=True'),
        Edit("rollout/api/steps.py", 'on_timeout: Literal["Pause", "Continue", "Abort"] = "Pause"',
             'on_timeout: Literal["Pause", "Continue", "Abort"] = "Abort"'),
    ),
    "the other form of the hash": (
        Edit(HASHES, NEWER, NEWER.replace("034", "029")),
        Edit(HASHES, OLDER, OLDER.replace("029", "034")),
    ),
    "a hash that is not known any more": (
        Edit(HASHES, NEWER, NEWER.replace("encode(", 'b"formerly" + encode(')),
    ),
}  # fmt: skip
"""What the version before this one did otherwise."""


async def standing(stage: Stage) -> Json:
    """What no upgrade changes: the ReplicaSets, each pod with its restarts, and how far the release is."""
    rollout = await stage.rollout()
    sets = await stage.client.list(REPLICA_SETS, stage.namespace)
    pods = await stage.pods()
    told = ("stableRS", "currentPodHash", "currentStepHash", "currentStepIndex", "pauseConditions", "phase", "abort")
    return {
        "revision": rollout["metadata"]["annotations"][REVISION],
        "generation": rollout["metadata"]["generation"],
        "status": {key: rollout["status"].get(key) for key in told},
        "weight": await stage.weight(),
        "sets": {
            one["metadata"]["name"]: (
                one["metadata"]["uid"], one["metadata"]["annotations"][REVISION], one["spec"]["replicas"],
            )
            for one in sets
        },
        "pods": {
            one["metadata"]["name"]: (
                one["metadata"]["uid"], [c["restartCount"] for c in one["status"]["containerStatuses"]],
            )
            for one in pods
        },
    }  # fmt: skip


async def in_the_middle(stage: Stage, operator: Replica) -> Json:
    """An operator has led a release to its pause; returns how all stands."""
    for version in (1, 2, 3):
        stage.image(f"up:{version}")
    await operator.start()
    await stage.apply(manifests(stage, "up:1", replicas=2))
    await stage.until_healthy("up:1")
    await stage.clients()
    await stage.release("up:2")
    await stage.until_phase("Paused", "CanaryPauseStep")
    await stage.until_weight(50)
    seen = await standing(stage)
    assert len(seen["sets"]) == 2
    return seen


async def until_settled(stage: Stage, operator: Replica) -> None:
    """Wait until an operator has looked at the Rollout, and has nothing left to do."""
    await operator.until_leading()

    async def settled() -> bool:
        metrics = await operator.metrics()
        turns = metrics.get('coalmine_reconcile_seconds_count{kind="Rollout"}', 0)
        return turns > 0 and metrics["workqueue_depth"] == 0

    await stage.until("the operator has looked", settled)


async def goes_on(stage: Stage, before: Json) -> None:
    """The new operator drives the old one's ReplicaSets on, to the end, and its own after them."""
    names = set(before["sets"])
    await stage.patch(ROLLOUTS, "web", {"spec": {"replicas": 3}}, "scale")

    async def grown() -> bool:
        return len(await stage.pods("up:1")) == 3

    await stage.until("the stable version has grown", grown)
    assert {one["metadata"]["name"] for one in await stage.client.list(REPLICA_SETS, stage.namespace)} == names
    await stage.steer(pauseConditions=None)
    status = await stage.until_healthy("up:2")
    assert status["stableRS"] == before["status"]["currentPodHash"]
    assert {one["metadata"]["name"] for one in await stage.client.list(REPLICA_SETS, stage.namespace)} == names
    await stage.release("up:3")
    await stage.until_phase("Paused", "CanaryPauseStep")
    assert len(await stage.client.list(REPLICA_SETS, stage.namespace)) == 3
    assert stage.unanswered() == 0


@pytest.mark.parametrize("formerly", FORMERLY)
def test_an_operator_takes_over_the_release_of_a_version_with(stage: Stage, formerly: str) -> None:
    async def story() -> None:
        former = Replica(stage, USER, version=another_version(stage.folder / "version", FORMERLY[formerly]))
        present = Replica(stage, USER)
        async with own_operators(stage, former, present):
            before = await in_the_middle(stage, former)
            await former.stop()
            await present.start()
            await until_settled(stage, present)
            assert await standing(stage) == before
            await goes_on(stage, before)

    stage.play(story())


@asynccontextmanager
async def more_fields(stage: Stage) -> AsyncIterator[None]:
    """A CRD of Rollouts that knows one more field in each part, one of them with a default."""
    definition = await stage.client.get(CUSTOM_RESOURCE_DEFINITIONS, None, CRD) or {}
    former = definition["spec"]
    await stage.client.update(CUSTOM_RESOURCE_DEFINITIONS, {**definition, "spec": _with_fields(former)})
    try:
        yield
    finally:
        latest = await stage.client.get(CUSTOM_RESOURCE_DEFINITIONS, None, CRD) or {}
        await stage.client.update(CUSTOM_RESOURCE_DEFINITIONS, {**latest, "spec": former})


def _with_fields(spec: Json) -> Json:
    (version,) = spec["versions"]
    schema = version["schema"]["openAPIV3Schema"]
    text: Json = {"type": "string"}
    schema = _with(schema, ("spec",), "tomorrowsField", {"type": "integer", "default": 7})
    schema = _with(schema, ("status",), "tomorrowsWord", text)
    schema = _with(schema, ("spec", "template", "spec"), "tomorrowsPods", text)
    return {**spec, "versions": [{**version, "schema": {"openAPIV3Schema": schema}}]}


def _with(schema: Json, path: Sequence[str], name: str, field: Json) -> Json:
    """The schema with one more property at a path."""
    properties = schema["properties"]
    if not path:
        return {**schema, "properties": {**properties, name: field}}
    changed = _with(properties[path[0]], path[1:], name, field)
    return {**schema, "properties": {**properties, path[0]: changed}}


def test_a_crd_with_one_more_field_is_no_change_of_any_rollout(stage: Stage) -> None:
    async def story() -> None:
        former, present = Replica(stage, USER), Replica(stage, USER)

        async def kept() -> bool:
            # The CRDs are upgraded first: the former operator still leads, and hears of a user who knows the new field.
            live = await stage.patch(ROLLOUTS, "web", {"spec": {"tomorrowsField": 9}})
            return bool(live["spec"].get("tomorrowsField") == 9)

        async with own_operators(stage, former, present):
            before = await in_the_middle(stage, former)
            async with more_fields(stage):
                await stage.until("the new field is served", kept)
                expected = {**before, "generation": before["generation"] + 1}
                await stage.until_phase("Paused", "CanaryPauseStep")
                assert await standing(stage) == expected
                await former.stop()
                await present.start()
                await until_settled(stage, present)
                assert await standing(stage) == expected
                await goes_on(stage, expected)

    stage.play(story())
