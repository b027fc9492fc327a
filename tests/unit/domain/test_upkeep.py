"""Restarts, role labels, histories, names and counts: what goes on beside an update."""

import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from analysis.verdict import AnalysisPhase
from rollout.api.values import int_or_percent
from rollout.domain import actions as act
from rollout.domain.clock import rfc3339
from rollout.domain.progress.standing import carried_percent
from rollout.domain.progress.weights import Counts, approximate, ratio_percent
from rollout.domain.world import RunView
from tests.model import Model, routed_model, spec

ROLES: dict[str, Any] = {
    "canaryMetadata": {"labels": {"role": "canary"}, "annotations": {"watch": "closely"}},
    "stableMetadata": {"labels": {"role": "stable"}},
}


def test_a_restart_takes_one_pod_after_another_and_remembers_that_it_is_done() -> None:
    model = Model.of(spec("v1", canary={"maxUnavailable": 1}))
    model.settle()
    model.now += 60
    old = set(model.pods)
    model.edit(spec("v1", canary={"maxUnavailable": 1}, restartAt=rfc3339(model.now)))
    most = 0
    for _ in range(20):
        decision = model.turn()
        most = max(most, sum(isinstance(action, act.EvictPod) for action in decision.actions))
        model.kubelet()
    assert most == 1
    assert not old & set(model.pods)
    assert model.rollout.status.restarted_at == model.rollout.spec.restart_at
    assert model.rollout.status.phase == "Healthy"


def test_no_pod_is_restarted_while_others_are_missing() -> None:
    model = Model.of(spec("v1", canary={"maxUnavailable": 1}))
    model.settle()
    model.one_dies(next(iter(model.replica_sets)))
    model.now += 60
    model.edit(spec("v1", canary={"maxUnavailable": 1}, restartAt=rfc3339(model.now)))
    decision = model.turn()
    assert not any(isinstance(action, act.EvictPod) for action in decision.actions)
    assert decision.status.message == "rollout is restarting"


def test_a_restart_in_the_future_waits_for_its_time() -> None:
    model = Model.of(spec("v1"))
    model.settle()
    model.edit(spec("v1", restartAt=rfc3339(model.now + 100)))
    decision = model.turn()
    assert decision.actions == ()
    assert decision.wake_at == model.now + 100


def test_pods_carry_the_role_that_they_play_now() -> None:
    model = routed_model(canary=ROLES)
    model.settle()
    model.edit(spec("v2", routed=True, canary=ROLES))
    model.settle()
    model.settle()
    roles = {dict(pod.labels).get("role") for pod in model.pods.values() if _is_new(model, pod.pod_hash)}
    assert roles == {"canary"}
    model.status(pause_conditions=())
    model.settle()
    model.settle()
    assert {dict(pod.labels).get("role") for pod in model.pods.values() if _is_new(model, pod.pod_hash)} == {"stable"}
    assert all("watch" not in dict(pod.annotations) for pod in model.pods.values())


def _is_new(model: Model, pod_hash: str) -> bool:
    return pod_hash == model.rollout.status.current_pod_hash


def test_a_pod_that_goes_keeps_its_labels() -> None:
    model = routed_model(canary=ROLES)
    model.turn()
    model.turn()
    model.pods = {name: replace(pod, deleting=True) for name, pod in model.pods.items()}
    assert not any(isinstance(action, act.LabelPod) for action in model.turn().actions)


def test_finished_runs_beyond_the_limits_are_forgotten_and_the_present_one_is_not() -> None:
    analysed = {"analysis": {"templates": [{"templateName": "errors"}]}}
    limits = {"analysis": {"successfulRunHistoryLimit": 1, "unsuccessfulRunHistoryLimit": 0}}
    model = Model.of(spec("v1", canary=analysed, **limits))
    model.settle()
    model.now += 60
    model.edit(spec("v2", canary=analysed, **limits))
    model.settle()
    for number, phase in enumerate([AnalysisPhase.SUCCESSFUL, AnalysisPhase.SUCCESSFUL, AnalysisPhase.ERROR]):
        model.runs[f"old-{number}"] = RunView(f"old-{number}", f"uid-{number}", "old", 1, float(number), phase=phase)
    gone = {action.name for action in model.turn().actions if isinstance(action, act.DeleteRun)}
    assert gone == {"old-0", "old-2"}


def test_a_name_that_somebody_else_has_leads_to_another_hash() -> None:
    model = Model.of(spec("v1"))
    first = model.turn().actions
    created = next(action for action in first if isinstance(action, act.CreateReplicaSet))
    other = Model.of(spec("v1"))
    other.taken_names = frozenset({created.name})
    assert other.turn().status.collision_count == 1
    other.settle()
    assert [name != created.name for name in other.replica_sets] == [True]
    assert other.rollout.status.phase == "Healthy"


def test_a_version_that_comes_back_gets_the_highest_number() -> None:
    model = Model.of(spec("v1", steps=[]))
    for image in ("v1", "v2", "v1"):
        model.now += 60
        model.edit(spec(image, steps=[], revisionHistoryLimit=5))
        model.settle()
    revisions = {rs.pod_hash: rs.revision for rs in model.replica_sets.values()}
    assert revisions[model.rollout.status.stable_rs] == 3
    assert model.rollout.metadata.annotations["coalmine.dev/revision"] == "3"


def test_a_replica_set_of_another_hash_is_known_by_its_fingerprint() -> None:
    model = Model.of(spec("v1"))
    model.settle()
    name, rs = next(iter(model.replica_sets.items()))
    opaque = "opaque"
    model.replica_sets = {name: replace(rs, pod_hash=opaque)}
    model.pods = {pod.name: replace(pod, pod_hash=opaque) for pod in model.pods.values()}
    model.status(stable_rs=opaque, current_pod_hash=opaque)
    assert model.settle().status.phase == "Healthy"
    assert list(model.replica_sets) == [name], "an unchanged template made a new version"


def test_the_selector_for_an_autoscaler_has_all_kinds_of_expressions() -> None:
    expressions = [
        {"key": "tier", "operator": "In", "values": ["a", "b"]},
        {"key": "zone", "operator": "NotIn", "values": ["c"]},
        {"key": "real", "operator": "Exists"},
        {"key": "test", "operator": "DoesNotExist"},
    ]
    written = spec("v1")
    written["selector"] = {"matchLabels": {"app": "web"}, "matchExpressions": expressions}
    assert Model.of(written).turn().status.selector == "app=web,tier in (a,b),zone notin (c),real,!test"
    del written["selector"]
    assert Model.of(written).turn().status.selector == ""


def test_pods_that_come_and_go_are_no_healthy_rollout_yet() -> None:
    at_once = {"maxSurge": "100%", "steps": []}
    model = Model.of(spec("v1", canary=at_once))
    model.settle()
    model.edit(spec("v2", canary=at_once))
    assert model.turn().status.message == "more replicas need to be updated"
    model.turn()
    assert model.turn().status.message == "updated replicas are still becoming available"
    model.slow = True
    model.kubelet()
    assert model.turn().status.message == "old replicas are pending termination"
    model.kubelet()
    model.turn()
    model.kubelet()
    assert model.turn().status.message == ""
    assert model.rollout.status.phase == "Healthy"


@pytest.mark.parametrize(
    ("weight", "replicas", "surge", "counts"),
    [
        (50, 0, 1, Counts(0, 0)),
        (0, 4, 1, Counts(0, 4)),
        (100, 4, 1, Counts(4, 0)),
        (50, 4, 0, Counts(2, 2)),
        (20, 4, 1, Counts(1, 4)),
        (1, 2, 0, Counts(1, 1)),
        (99, 2, 0, Counts(1, 1)),
        (50, 1, 0, Counts(1, 0)),
    ],
)
def test_pod_counts_come_as_close_to_the_weight_as_pods_can(
    weight: int, replicas: int, surge: int, counts: Counts
) -> None:
    assert approximate(weight, replicas, surge) == counts


def test_shares_without_pods_are_none() -> None:
    assert ratio_percent(0, 0) == 0
    assert carried_percent(0, 0) == 0
    assert carried_percent(1, 3) == 33
    assert int_or_percent("25%", 4, default="25%", round_up=True, field="maxSurge") == 1


def test_a_large_template_has_a_hash_like_any_other() -> None:
    large = spec("v1")
    large["template"]["metadata"]["annotations"] = {"notes": "x" * 40_000}
    model = Model.of(large)
    model.settle()
    assert model.rollout.status.phase == "Healthy"
    assert json.loads(msgspec.json.encode(model.rollout.status))["phase"] == "Healthy"
