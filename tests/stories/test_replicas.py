"""Two replicas in the middle of a release: of the two one acts, whatever happens to it, and clients notice nothing."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from rollout.git.webhook import sign
from rollout.kube.resources import GIT_REPOSITORIES, HTTP_ROUTES, LEASES
from rollout.sandbox.demo.manifests import secret
from rollout.sandbox.demo.person import Person
from tests.stories.stage import Stage, manifests
from tests.stories.test_webhook import BODY, FILE, TOKEN, notify_at, receiver
from tests.support.audit import Write, writes
from tests.support.relay import Relay
from tests.support.replicas import LEASE_NAMESPACE, Replica, own_operators

FIRST, SECOND = "operator", "operator-2"
LONG_LEASE_SECONDS = 600.0
"""Longer than any wait of a story: nobody gets such a Lease but by being given it."""


def written(stage: Stage, *users: str) -> list[Write]:
    """What users have written of the story: its objects and its Lease."""
    ours = [w for w in writes(stage.box) if w.user in users]
    return [w for w in ours if w.namespace == stage.namespace or (w.resource, w.name) == ("leases", stage.namespace)]


def after_the_second(stage: Stage) -> list[Write]:
    """What the first has written after the first write of the second."""
    both = written(stage, FIRST, SECOND)
    users = [write.user for write in both]
    return [write for write in both[users.index(SECOND) :] if write.user == FIRST]


async def in_the_middle(stage: Stage, first: Replica, second: Replica) -> None:
    """The first has led a release to its pause, the second stands by, and clients are served."""
    for version in (1, 2, 3):
        stage.image(f"lead:{version}")
    await first.start()
    await first.until_leading()
    await second.start()
    await stage.apply(manifests(stage, "lead:1", replicas=2))
    await stage.until_healthy("lead:1")
    await stage.clients()
    await stage.release("lead:2")
    await stage.until_phase("Paused", "CanaryPauseStep")
    await stage.until_weight(50)
    assert (await second.metrics())["coalmine_leader"] == 0
    assert written(stage, SECOND) == []


async def something_to_do(stage: Stage) -> None:
    """A user promotes, and another one breaks what must be mended: whoever leads has something to write."""
    rules = (await stage.get(HTTP_ROUTES, "web"))["spec"]["rules"]
    for reference, weight in zip(rules[0]["backendRefs"], (75, 25), strict=True):
        reference["weight"] = weight
    await stage.patch(HTTP_ROUTES, "web", {"spec": {"rules": rules}})
    await stage.steer(pauseConditions=None)


async def goes_through(stage: Stage, image: str) -> None:
    """A whole release."""
    await stage.release(image)
    await stage.until_phase("Paused", "CanaryPauseStep")
    await stage.steer(pauseConditions=None)
    await stage.until_healthy(image)


async def taken_over(
    stage: Stage, first: Replica, second: Replica, silence: Callable[[], None], end: Callable[[], None]
) -> None:
    """The first falls silent with work to do, and comes back when the second has done it, and a release more."""
    await in_the_middle(stage, first, second)
    silence()
    await something_to_do(stage)
    await second.until_leading()
    await stage.until_healthy("lead:2")
    end()
    await first.until_standing_by()
    await goes_through(stage, "lead:3")


async def as_good_as_new(stage: Stage, first: Replica, second: Replica) -> None:
    """The second ends, and the first leads a release."""
    await second.stop()
    await first.until_leading()
    await goes_through(stage, "lead:1")


Silence = Callable[[Relay, Replica], tuple[Callable[[], None], Callable[[], None]]]
SILENCES: dict[str, Silence] = {
    "partitioned": lambda relay, _: (relay.cut, relay.mend),
    "unheard": lambda relay, _: (relay.mute, relay.mend),
    "frozen": lambda _, replica: (replica.freeze, replica.revive),
}


@pytest.mark.parametrize("silence", SILENCES)
def test_a_silent_leader_is_replaced_and_writes_nothing_when_it_comes_back(stage: Stage, silence: str) -> None:
    async def story() -> None:
        async with Relay(stage.box.plan.ports["apiserver"]) as relay:
            first, second = Replica(stage, FIRST, port=relay.port), Replica(stage, SECOND)
            async with own_operators(stage, first, second):
                await taken_over(stage, first, second, *SILENCES[silence](relay, first))
                assert after_the_second(stage) == []
                theirs = {write.resource for write in written(stage, SECOND)}
                assert theirs >= {"leases", "rollouts/status", "replicasets", "httproutes"}
                await as_good_as_new(stage, first, second)
                assert stage.unanswered() == 0

    stage.play(story())


def test_a_leader_that_is_told_to_end_hands_over_what_it_was_doing(
    stage: Stage, record_property: Callable[[str, object], None]
) -> None:
    async def story() -> float:
        first = Replica(stage, FIRST, LONG_LEASE_SECONDS)
        second = Replica(stage, SECOND, LONG_LEASE_SECONDS)
        async with own_operators(stage, first, second):
            await in_the_middle(stage, first, second)
            await something_to_do(stage)
            told_at = time.time()
            ending = asyncio.ensure_future(first.stop())
            await second.until_leading()
            await ending
            ended_at = time.time()
            await stage.until_healthy("lead:2")
            released = [w.at for w in written(stage, FIRST) if w.resource == "leases"][-1]
            claimed = next(w.at for w in written(stage, SECOND) if w.resource == "leases")
            assert told_at <= released <= min(claimed, ended_at)
            assert after_the_second(stage) == []
            lease = await stage.client.get(LEASES, LEASE_NAMESPACE, stage.namespace)
            assert lease is not None
            assert lease["spec"]["leaseTransitions"] == 1
            assert stage.unanswered() == 0
            return claimed - told_at

    record_property("hand_over_seconds", round(stage.play(story()), 3))


@asynccontextmanager
async def from_git(stage: Stage, leader: Replica) -> AsyncIterator[tuple[Person, str]]:
    """Version 1 is out from a repository that is looked at once an hour; a person, and the path of its receiver."""
    for version in (1, 2, 3):
        stage.image(f"told:{version}")
    await leader.start()
    await leader.until_leading()
    hook = {"metadata": {"name": "hook", "namespace": stage.namespace}}
    await stage.create({**secret("hook", {"token": TOKEN}), **hook})
    # Suspended until there is something to fetch, so that nobody has a reason to look again for an hour.
    webhook = {"secretRef": {"name": "hook"}}
    person = await stage.repository(write=False, interval="1h", webhook=webhook, suspend=True)
    push(stage, person, 1)
    await stage.patch(GIT_REPOSITORIES, "config", {"spec": {"suspend": False}})
    await stage.application()
    await stage.until_healthy("told:1")
    yield person, await receiver(stage)


def push(stage: Stage, person: Person, version: int) -> None:
    person.push(f"Release {version}", {FILE: manifests(stage, f"told:{version}", replicas=1, steps="[]")})


async def announce(stage: Stage, replica: Replica, path: str) -> None:
    """A replica hears of a push, once it knows the receiver."""

    async def accepted() -> bool:
        return await notify_at(replica.port_of("webhook"), path, {"X-Signature": sign(BODY, TOKEN)}) == 202

    await stage.until("a push is announced", accepted)


def test_a_push_that_is_announced_to_the_replica_that_stands_by_arrives_at_once(stage: Stage) -> None:
    async def story() -> None:
        leader = Replica(stage, SECOND, LONG_LEASE_SECONDS)
        standby = Replica(stage, FIRST, LONG_LEASE_SECONDS)
        async with own_operators(stage, leader, standby), from_git(stage, leader) as (person, path):
            await standby.start()
            push(stage, person, 2)
            port = standby.port_of("webhook")
            assert await notify_at(port, path, {"X-Signature": sign(BODY, "another token")}) == 401
            assert await notify_at(port, path[:-1] + "_", {"X-Signature": sign(BODY, TOKEN)}) == 404
            assert written(stage, FIRST) == [], "a notification of anybody makes nobody write"
            await announce(stage, standby, path)
            await stage.until_healthy("told:2")
            assert {(w.resource, w.name) for w in written(stage, FIRST)} == {("gitrepositories", "config")}
            assert (await standby.metrics())["coalmine_leader"] == 0

    stage.play(story())


def test_who_leads_again_applies_nothing_that_it_knows_from_before(stage: Stage) -> None:
    async def story() -> None:
        first, second = Replica(stage, FIRST), Replica(stage, SECOND)
        async with own_operators(stage, first, second), from_git(stage, first) as (person, path):
            await second.start()
            first.freeze()
            await second.until_leading()
            push(stage, person, 2)
            await announce(stage, second, path)
            await stage.until_healthy("told:2")
            before = await stage.rollout()
            first.revive()
            await first.until_standing_by()
            await second.stop()
            await first.until_leading()
            push(stage, person, 3)
            await announce(stage, first, path)
            await stage.until_healthy("told:3")
            generation = (await stage.rollout())["metadata"]["generation"]
            assert generation == before["metadata"]["generation"] + 1, "an older version was applied in between"

    stage.play(story())
