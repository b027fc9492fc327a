"""Aborts, retries, the progress deadline, rollback windows and deletion: world in, actions and status out."""

import msgspec
import pytest

from rollout.api.keys import FINALIZER
from rollout.domain import actions as act
from rollout.domain.clock import rfc3339
from rollout.domain.rollout import decide
from tests.model import Model, routed_model, spec

STEPS = [{"setWeight": 50}, {"pause": {}}]


def update(**more: object) -> Model:
    """A router's canary at its pause."""
    model = routed_model(steps=STEPS, **more)
    model.settle()
    model.now += 60
    model.edit(spec("v2", routed=True, steps=STEPS, **more))
    model.settle()
    return model


def canary_pods(model: Model) -> int:
    rs = model.world().by_hash(model.rollout.status.current_pod_hash)
    assert rs is not None
    return rs.replicas


def test_an_abort_moves_traffic_then_services_and_keeps_pods_for_a_while() -> None:
    model = update(canary={"abortScaleDownDelaySeconds": 10})
    model.status(abort=True)
    decision = model.turn()
    assert decision.actions[0] == act.SetWeight("web", "canary", "stable", 0)
    assert decision.status.phase == "Degraded"
    assert (decision.status.current_step_index, decision.status.pause_conditions) == (0, ())
    model.settle()
    assert canary_pods(model) == 2
    assert model.services["canary"].pod_hash == model.rollout.status.stable_rs
    assert model.turn().wake_at == model.now + 10
    model.now += 10
    model.settle()
    assert canary_pods(model) == 0


def test_pods_of_an_aborted_canary_stay_until_their_service_selects_stable() -> None:
    model = update(canary={"abortScaleDownDelaySeconds": 10})
    stable = model.world().by_hash(model.rollout.status.stable_rs)
    assert stable is not None
    model.broken = {stable.pod_hash}
    model.kubelet()
    model.status(abort=True)
    model.settle()
    model.now += 60
    model.settle()
    assert (canary_pods(model), model.routes["web"].canary_weight_percent) == (2, 0)
    model.broken = set()
    model.settle()
    assert canary_pods(model) == 0
    assert model.services["canary"].pod_hash == stable.pod_hash


def test_pods_of_an_aborted_canary_stay_where_the_delay_is_zero() -> None:
    model = update(canary={"abortScaleDownDelaySeconds": 0})
    model.status(abort=True)
    model.settle()
    model.now += 10_000
    model.settle()
    assert canary_pods(model) == 2


def test_a_retry_begins_at_the_first_step_again() -> None:
    model = update()
    model.status(abort=True)
    model.settle()
    model.now += 60
    model.status(abort=False)
    decision = model.turn()
    assert [event.reason for event in decision.events] == ["RolloutRetried"]
    assert decision.status.aborted_at is None
    assert decision.status.current_step_index == 0
    model.settle()
    assert (model.rollout.status.phase, model.routes["web"].canary_weight_percent) == ("Paused", 50)


def test_an_abort_with_nothing_to_go_back_to_is_forgotten_without_a_word() -> None:
    model = routed_model()
    model.settle()
    model.status(abort=True)
    decision = model.turn()
    assert not decision.status.abort
    assert decision.events == ()
    assert decision.status.phase == "Healthy"


def stuck(*, aborts: bool) -> Model:
    """An update whose pods never become ready."""
    limits = {"progressDeadlineSeconds": 60, "progressDeadlineAbort": aborts}
    model = routed_model(steps=STEPS, **limits)
    model.settle()
    model.now += 1000
    model.edit(spec("v2", routed=True, steps=STEPS, **limits))
    model.turn()
    model.broken = {model.rollout.status.current_pod_hash}
    model.settle()
    return model


def test_an_update_that_does_not_move_is_told_to_be_stuck_at_its_deadline() -> None:
    model = stuck(aborts=False)
    wake_at = model.turn().wake_at
    assert wake_at == model.now + 60
    model.now = wake_at
    status = model.settle().status
    assert (status.phase, status.abort) == ("Degraded", False)
    assert status.message.startswith("ProgressDeadlineExceeded")
    model.now += 600
    assert model.settle().status == status, "it stays stuck until it moves"
    model.broken = set()
    model.settle()
    assert model.rollout.status.phase == "Paused", "it goes on once pods come"


def test_an_update_that_does_not_move_is_aborted_where_the_user_wants_that() -> None:
    model = stuck(aborts=True)
    model.now += 60
    decision = model.turn()
    assert decision.status.abort
    assert any("no progress within progressDeadlineSeconds" in event.message for event in decision.events)


def test_an_update_that_begins_after_a_stuck_one_has_its_own_time() -> None:
    model = stuck(aborts=True)
    limits = {"progressDeadlineSeconds": 60, "progressDeadlineAbort": False}
    model.edit(spec("v2", routed=True, steps=STEPS, **limits))
    model.now += 60
    assert model.settle().status.message.startswith("ProgressDeadlineExceeded")
    model.edit(spec("v2", routed=True, steps=[{"setWeight": 25}], **limits | {"progressDeadlineAbort": True}))
    model.now += 30
    assert not model.settle().status.abort
    model.now += 60
    assert model.settle().status.abort


def test_an_abort_after_the_deadline_tells_of_it() -> None:
    model = stuck(aborts=False)
    model.now += 60
    model.turn()
    model.status(abort=True)
    assert "made no progress within progressDeadlineSeconds" in model.turn().status.message


def test_a_pause_stops_the_clock_of_the_deadline() -> None:
    model = update(progressDeadlineSeconds=60, progressDeadlineAbort=True)
    model.now += 10_000
    assert model.settle().status.phase == "Paused"


def test_a_users_pause_stops_everything_until_it_ends() -> None:
    model = update()
    model.edit(spec("v2", routed=True, steps=STEPS, paused=True))
    model.status(pause_conditions=())
    status = model.settle().status
    assert (status.phase, status.message) == ("Paused", "manually paused")
    model.edit(spec("v2", routed=True, steps=STEPS))
    model.settle()
    assert model.rollout.status.phase == "Healthy"


def test_a_new_template_waits_while_a_user_pauses() -> None:
    model = routed_model(steps=STEPS)
    model.settle()
    model.edit(spec("v2", routed=True, steps=STEPS, paused=True))
    decision = model.turn()
    assert not any(isinstance(action, act.CreateReplicaSet) for action in decision.actions)
    assert decision.status.phase == "Paused"


def test_the_way_back_to_a_recent_version_takes_no_steps() -> None:
    limits = {"rollbackWindow": {"revisions": 2}, "revisionHistoryLimit": 5}
    model = update(**limits)
    model.status(pause_conditions=())
    model.settle()
    model.now += 60
    model.edit(spec("v1", routed=True, steps=STEPS, **limits))
    events = []
    for _ in range(20):
        events += model.turn().events
        model.others()
    assert model.rollout.status.phase == "Healthy"
    assert any("Rollback within window" in event.message for event in events)


def test_the_way_back_to_stable_in_the_middle_takes_no_steps() -> None:
    model = update()
    stable = model.rollout.status.stable_rs
    model.edit(spec("v1", routed=True, steps=STEPS))
    decision = model.turn()
    assert [event.reason for event in decision.events] == ["SkipSteps", "TrafficWeightUpdated"]
    model.settle()
    assert (model.rollout.status.phase, model.rollout.status.current_pod_hash) == ("Healthy", stable)
    assert model.routes["web"].canary_weight_percent == 0


def deleted(model: Model) -> None:
    metadata = msgspec.structs.replace(model.rollout.metadata, deletion_timestamp=rfc3339(model.now))
    model.rollout = msgspec.structs.replace(model.rollout, metadata=metadata)


def test_a_deletion_gives_routes_back_before_services_and_then_lets_go() -> None:
    model = update()
    deleted(model)
    actions = model.turn().actions
    assert actions[0] == act.RestoreRoute("web", "canary", "stable")
    assert {type(action) for action in actions[1:-1]} == {act.SelectPods}
    assert actions[-1] == act.SetFinalizer(present=False)
    assert decide(model.world(), model.now).actions == ()


def test_a_deletion_without_our_finalizer_is_nobodys_business() -> None:
    model = routed_model()
    model.settle()
    assert FINALIZER not in model.rollout.metadata.finalizers
    deleted(model)
    assert model.turn().actions == ()


@pytest.mark.parametrize("replicas", [0, 1])
def test_a_rollout_without_replicas_in_its_spec_wants_one_and_says_so(replicas: int) -> None:
    model = routed_model()
    model.edit({**spec("v1", routed=True), "replicas": replicas or None})
    model.settle()
    assert model.rollout.spec.replicas == 1
    assert sum(rs.replicas for rs in model.replica_sets.values()) == 1
