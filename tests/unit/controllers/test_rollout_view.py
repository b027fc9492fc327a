"""How a live Rollout looks to its Application: versions, health, failures and their causes."""

from typing import Any

import pytest

from rollout.controllers.rollout_view import rollout_view
from rollout.domain.sync.digest import template_digest
from rollout.domain.sync.objects import ObjectId, RenderedObject
from rollout.domain.sync.world import RolloutView

NOW = 1_764_000_000.0
ABORTED_AT = "2025-11-24T15:59:50Z"
TEMPLATE = {"spec": {"containers": [{"name": "web", "image": "web:2"}]}}
FAILED = {"currentBackgroundAnalysisRunStatus": {"name": "web-2", "status": "Failed", "message": "errors doubled"}}


def live(status: dict[str, Any], *, generation: int = 4, digest: str = "sha256:bb") -> dict[str, Any]:
    annotations = {"coalmine.dev/template-digest": digest} if digest else {}
    return {
        "apiVersion": "coalmine.dev/v1alpha1",
        "kind": "Rollout",
        "metadata": {
            "name": "web",
            "namespace": "shop",
            "uid": "u",
            "generation": generation,
            "annotations": annotations,
        },
        "spec": {"template": TEMPLATE},
        "status": {"observedGeneration": 4, "currentPodHash": "new", "stableRS": "old", **status},
    }


def pod(pod_hash: str, digest: str) -> dict[str, Any]:
    statuses = [{"name": "web", "imageID": f"registry/web@{digest}"}]
    labels = {"rollouts-pod-template-hash": pod_hash}
    return {"metadata": {"labels": labels}, "status": {"containerStatuses": statuses}}


def view(status: dict[str, Any], *, pods: list[Any] | None = None, now: float = NOW, **options: Any) -> RolloutView:
    weights = {"coalmine.dev/weights": "2025-11-24T15:00:00Z=5,2025-11-24T15:10:00Z=25,2025-11-24T15:59:50Z=0"}
    run = {"metadata": {"name": "web-2", "annotations": weights}}
    return rollout_view(live(status, **options), None, [run], pods or [], {}, now)


def aborted(**status: Any) -> dict[str, Any]:
    return {"abort": True, "abortedAt": ABORTED_AT, "phase": "Degraded", **status}


def test_a_failed_analysis_is_a_failure_with_its_words_weight_and_images() -> None:
    status = aborted(canary={**FAILED, "weights": {"canary": {"weight": 0}, "stable": {"weight": 100}}})
    failure = view(status, pods=[pod("new", "sha256:bad"), pod("old", "sha256:good")]).failure
    assert failure is not None
    assert (failure.cause, failure.message, failure.weight_percent) == ("AnalysisFailed", "errors doubled", 25)
    assert (failure.traffic_restored, failure.analysis_run, failure.at) == (True, "web-2", ABORTED_AT)
    assert [(i.reference, i.digest) for i in failure.images] == [("web:2", "sha256:bad")]


def test_while_the_canary_has_traffic_it_is_not_restored_unless_that_takes_too_long() -> None:
    status = aborted(canary={**FAILED, "weights": {"canary": {"weight": 5}, "stable": {"weight": 95}}})
    early, late = view(status).failure, view(status, now=NOW + 1000).failure
    assert early is not None
    assert late is not None
    assert (early.traffic_restored, late.traffic_restored) == (False, True)


def test_without_a_router_the_pods_of_the_failed_version_have_to_go() -> None:
    there, gone = (view(aborted(canary=FAILED, updatedReplicas=n)).failure for n in (2, 0))
    assert there is not None
    assert gone is not None
    assert (there.traffic_restored, gone.traffic_restored) == (False, True)


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        ({}, "AbortedByUser"),
        ({"canary": {"currentBackgroundAnalysisRunStatus": {"name": "r", "status": "Running"}}}, "AbortedByUser"),
        (
            {
                "conditions": [
                    {
                        "type": "Progressing",
                        "status": "False",
                        "reason": "RolloutAborted",
                        "message": "aborted update: it made no progress within progressDeadlineSeconds",
                    }
                ]
            },
            "ProgressDeadlineExceeded",
        ),
    ],
)
def test_other_causes_are_told_apart(status: dict[str, Any], cause: str) -> None:
    failure = view(aborted(**status)).failure
    assert failure is not None
    assert failure.cause == cause


def test_an_error_of_the_analysis_proves_nothing() -> None:
    status = aborted(canary={"currentBackgroundAnalysisRunStatus": {"name": "r", "status": "Error"}})
    assert view(status).failure is None
    assert view(status).aborted


def test_a_status_about_an_older_spec_says_nothing() -> None:
    seen = view(aborted(canary=FAILED), generation=5)
    assert (seen.failure, seen.aborted, seen.healthy, seen.observed) == (None, False, False, False)


def test_healthy_means_stable_is_what_is_declared() -> None:
    assert view({"phase": "Healthy", "stableRS": "new"}).healthy
    assert not view({"phase": "Healthy", "stableRS": "old"}).healthy
    assert not view({"phase": "Progressing", "stableRS": "new"}).healthy


def test_digests_of_pods_that_are_gone_are_remembered() -> None:
    digests: dict[tuple[str, str], dict[str, str]] = {}
    rollout_view(live({}), None, [], [pod("new", "sha256:bad")], digests, NOW)
    assert rollout_view(live({}), None, [], [], digests, NOW).images[0].digest == "sha256:bad"


def test_where_somebody_else_applies_the_declared_template_is_recognised() -> None:
    obj = {"apiVersion": "coalmine.dev/v1alpha1", "kind": "Rollout", "metadata": {"name": "web", "namespace": "shop"}}
    declared = RenderedObject(ObjectId.of(obj), {**obj, "spec": {"template": TEMPLATE}})
    other = {"spec": {"containers": [{"name": "web", "image": "web:3"}]}}
    changed = RenderedObject(declared.id, {**obj, "spec": {"template": other}})
    there = live({}, digest="")
    assert rollout_view(there, declared, [], [], {}, NOW).template_digest == template_digest(TEMPLATE)
    assert rollout_view(there, changed, [], [], {}, NOW).template_digest == ""
