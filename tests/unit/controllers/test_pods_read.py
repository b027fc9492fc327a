"""What is kept of pods is all that anybody reads, and only those Rollouts are asked for that decide by pods."""

from typing import Any

import pytest

from rollout.api.keys import HASH_LABEL
from rollout.controllers.observe import pod as pod_view
from rollout.controllers.pods_read import decides_by_pods, slim_pod
from rollout.controllers.pods_seen import pod_seen
from rollout.controllers.rollout_view import rollout_view
from rollout.kube.cache import Cache
from rollout.kube.resources import ANALYSIS_RUNS, PODS, REPLICA_SETS, ROLLOUTS, Resource
from rollout.runtime.wiring import References, work_for
from tests.unit.controllers.test_pods_seen import BORN, container, ended, pod, running

Json = dict[str, Any]
ROLES = {"labels": {"role": "canary"}}


def whole_pod() -> Json:
    """With more than anybody reads."""
    found = pod(container(running(80), 2, ended(1, 25)), ready_since=12)
    found["metadata"] |= {
        "uid": "p", "resourceVersion": "7", "creationTimestamp": "2026-11-22T10:00:00Z",
        "labels": {HASH_LABEL: "abc", "app": "web"}, "annotations": {"a": "b"},
        "managedFields": [{"manager": "kubelet"}], "ownerReferences": [owner("ReplicaSet", "web-abc", "rs")],
    }  # fmt: skip
    found["spec"] = {"containers": [{"name": "app", "image": "web:2", "env": [{"name": "A", "value": "b"}]}]}
    found["status"] |= {
        "initContainerStatuses": [container(running(1), 1, ended(2, 5), "migrate")],
        "qosClass": "Burstable",
    }
    found["status"]["containerStatuses"][0]["imageID"] = "web@sha256:bad0"
    return found


def owner(kind: str, name: str, uid: str) -> Json:
    return {"kind": kind, "name": name, "uid": uid, "controller": True}


def test_decisions_see_the_same_in_what_is_kept() -> None:
    whole = whole_pod()
    kept = slim_pod(whole)
    assert pod_seen(kept) == pod_seen(whole)
    assert pod_view(kept) == pod_view(whole)
    live = {
        "metadata": {"name": "web", "namespace": "shop", "uid": "u", "generation": 1},
        "spec": {"template": {"spec": {"containers": [{"name": "app", "image": "web:2"}]}}},
        "status": {"currentPodHash": "abc", "stableRS": "abc"},
    }
    seen = [rollout_view(live, None, (), (one,), {}, BORN) for one in (kept, whole)]
    assert seen[0] == seen[1]
    assert "sha256:bad0" in repr(seen[0])


def test_the_specification_and_the_managers_of_fields_are_not_kept() -> None:
    whole = whole_pod()
    kept = slim_pod(whole)
    assert set(kept) == {"metadata", "status"}
    assert "managedFields" not in kept["metadata"]
    assert "env" in repr(whole), "what was given stays whole"


def test_a_pod_without_a_status_is_kept() -> None:
    assert slim_pod({"metadata": {"name": "web-a"}, "spec": {}}) == {"metadata": {"name": "web-a"}, "status": {}}


RESTART = "2026-11-22T11:00:00Z"
DECIDING: list[tuple[Json, Json, bool]] = [
    ({}, {}, False),
    ({"restartAt": RESTART}, {}, True),
    ({"restartAt": RESTART}, {"restartedAt": RESTART}, False),
    ({"restartAt": RESTART}, {"restartedAt": "2026-11-21T11:00:00Z"}, True),
    ({"strategy": {"canary": {"canaryMetadata": ROLES}}}, {}, True),
    ({"strategy": {"canary": {"stableMetadata": ROLES}}}, {}, True),
    ({"strategy": {"canary": {"steps": []}}}, {}, False),
]


@pytest.mark.parametrize(("spec", "status", "asked"), DECIDING)
def test_a_pod_asks_for_its_rollout_where_that_decides_by_pods(spec: Json, status: Json, asked: bool) -> None:
    rollout = {"metadata": named("web", "u"), "spec": spec, "status": status}
    assert decides_by_pods(rollout) == asked
    caches = family(rollout)
    wanted = [(ROLLOUTS, ("shop", "web"))] if asked else []
    assert work_for(caches, References(), PODS, whole_pod()) == wanted


def test_a_pod_asks_for_the_runs_that_watch_it() -> None:
    caches = family({"metadata": named("web", "u"), "spec": {}})
    for name, status in (("going", {}), ("ended", {"completedAt": RESTART})):
        owners = {"ownerReferences": [owner("Rollout", "web", "u")]}
        caches[ANALYSIS_RUNS].put({"metadata": named(name, name) | owners, "status": status})
    assert work_for(caches, References(), PODS, whole_pod()) == [(ANALYSIS_RUNS, ("shop", "going"))]


def named(name: str, uid: str) -> Json:
    return {"name": name, "namespace": "shop", "uid": uid, "resourceVersion": "1"}


def family(rollout: Json) -> dict[Resource, Cache]:
    """A Rollout with the ReplicaSet of the pod."""
    caches = {kind: Cache() for kind in (ROLLOUTS, REPLICA_SETS, ANALYSIS_RUNS, PODS)}
    caches[ROLLOUTS].put(rollout)
    owners = {"ownerReferences": [owner("Rollout", "web", "u")]}
    caches[REPLICA_SETS].put({"metadata": named("web-abc", "rs") | owners})
    return caches
