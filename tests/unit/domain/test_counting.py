"""What a canary costs in writes, and which news of it may wait for a moment."""

from typing import Any

import msgspec
import pytest

from rollout.api.rollout import PauseCondition, RolloutStatus
from rollout.domain.decision import Decision, Event
from rollout.domain.progress.counting import COUNTS_WAIT_SECONDS, counts_wait
from rollout.domain.rollout import decide
from tests.model import Model, spec

NOW = 1_700_000_000.0
UNTIL = NOW + COUNTS_WAIT_SECONDS
SURGE = {"maxSurge": 1, "maxUnavailable": 0}
SCALED = Event("Normal", "ScalingReplicaSet", "a size was written")
TURNS_MAX = 60


def turn(model: Model) -> tuple[Decision[RolloutStatus], int]:
    """A turn as the controller takes it, and how many writes it needs."""
    world = model.world()
    decision = decide(world, model.now)
    for action in decision.actions:
        model.apply(action)
    until = model.now + COUNTS_WAIT_SECONDS
    if world.rollout.status == decision.status or counts_wait(world, decision, until):
        return decision, len(decision.actions)
    model.rollout = msgspec.structs.replace(model.rollout, status=decision.status)
    return decision, len(decision.actions) + 1


def play(model: Model) -> int:
    """Turns until the version is healthy, a turn a change of the pods; returns how many writes it took."""
    writes = 0
    for _ in range(TURNS_MAX):
        decision, more = turn(model)
        writes += more
        if decision.status.phase == "Healthy":
            return writes
        before = model.world()
        model.count()  # First there are more or fewer pods; then they become ready.
        if not decision.halted and model.world() == before:
            model.kubelet()
        if not decision.halted and model.world() == before:
            model.now = max(decision.wake_at or 0.0, model.now + COUNTS_WAIT_SECONDS)
    raise AssertionError("it never becomes healthy")


def test_a_canary_of_two_steps_costs_ten_writes() -> None:
    steps: list[dict[str, Any]] = [{"setWeight": 50}, {"pause": {"duration": "10s"}}]
    model = Model.of(spec("v1", replicas=2, steps=steps))
    model.slow = True
    play(model)
    model.now += 60
    model.edit(spec("v2", replicas=2, steps=steps))
    assert play(model) == 10


def canary(*, routed: bool = False) -> Model:
    model = Model.of(
        spec("v1", routed=routed, canary=SURGE),
        services=("stable", "canary") if routed else (),
        routes=("web",) if routed else (),
    )
    model.settle()
    model.edit(spec("v2", routed=routed, canary=SURGE))
    model.turn()
    model.turn()
    return model


def waits(model: Model, **fields: Any) -> bool:
    """Whether a decision waits that changes these fields of the status."""
    more = {key: fields.pop(key) for key in ("events", "wake_at") if key in fields}
    status = msgspec.structs.replace(model.rollout.status, **fields)
    return counts_wait(model.world(), Decision(status, **more), UNTIL)


def test_a_pod_more_may_wait() -> None:
    model = canary()
    known = model.rollout.status
    model.kubelet()
    decision = decide(model.world(), model.now)
    assert decision.status.available_replicas == known.available_replicas + 1
    assert decision.status.canary.weights != known.canary.weights, "without a router a pod is a weight"
    assert counts_wait(model.world(), decision, UNTIL)
    assert waits(model, ready_replicas=5, replicas=6, message="more pods are to come", events=(SCALED,))


@pytest.mark.parametrize(
    "fields",
    [
        {"phase": "Degraded"},
        {"abort": True},
        {"current_step_index": 1},
        {"current_pod_hash": "other"},
        {"stable_rs": "other"},
        {"pause_conditions": (PauseCondition(reason="CanaryPauseStep", start_time="2023-11-14T22:13:20Z"),)},
        {"observed_generation": 7},
        {"events": (Event("Normal", "Anything", "somebody is told"),), "ready_replicas": 5},
        {"wake_at": UNTIL, "ready_replicas": 5},
        {},
    ],
)
def test_all_else_is_told_at_once(fields: dict[str, Any]) -> None:
    assert not waits(canary(), **fields)


def test_the_weight_of_a_router_is_told_at_once() -> None:
    model = canary(routed=True)
    weights = model.rollout.status.canary.weights
    assert weights is not None
    moved = msgspec.structs.replace(weights, canary=msgspec.structs.replace(weights.canary, weight=17))
    told = msgspec.structs.replace(model.rollout.status.canary, weights=moved)
    assert waits(model, ready_replicas=9)
    assert not waits(model, canary=told)


def test_what_a_condition_says_is_told_at_once_but_not_that_a_count_moved_it() -> None:
    model = canary()
    known = model.rollout.status.conditions
    for index, condition in enumerate(known):
        words = msgspec.structs.replace(condition, message=f"{condition.message}!", last_update_time="later")
        changed = (*known[:index], words, *known[index + 1 :])
        assert waits(model, conditions=changed) == (condition.type in {"Available", "Progressing"}), condition.type
        flipped = msgspec.structs.replace(condition, status="Unknown")
        assert not waits(model, conditions=(*known[:index], flipped, *known[index + 1 :]))


def test_an_update_that_was_given_up_tells_every_pod_at_once() -> None:
    model = canary()
    model.status(abort=True)
    model.turn()
    assert model.rollout.status.abort
    assert not waits(model, updated_replicas=0, replicas=4)
