"""Objects as the API server gives them, for tests of what the command line makes of them."""

from typing import Any

import msgspec

from rollout.api.application import Application
from rollout.api.keys import FINGERPRINT, HASH_LABEL, REVISION
from rollout.api.rollout import Rollout
from rollout.domain.progress.revision import fingerprint

Json = dict[str, Any]

CREATED = "2026-11-26T10:00:00Z"
OWNED = {
    "apiVersion": "coalmine.dev/v1alpha1", "kind": "Rollout", "name": "web", "uid": "u-web", "controller": True,
}  # fmt: skip
CONTAINER = {"name": "web", "image": "demo:1", "imageID": "sha256:1", "restartCount": 0}
STEPS = [{"setWeight": 25}, {"pause": {}}, {"setWeight": 50}, {"pause": {}}]


def template(image: str, **container: Any) -> Json:
    return {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": image, **container}]},
    }


def live_rollout(image: str = "demo:2", *, spec: Json | None = None, **status: Any) -> Json:
    """A Rollout at generation 3; its status is about that generation unless told otherwise."""
    return {
        "apiVersion": "coalmine.dev/v1alpha1",
        "kind": "Rollout",
        "metadata": {
            "name": "web", "namespace": "shop", "uid": "u-web", "generation": 3, "resourceVersion": "7",
            "creationTimestamp": CREATED,
        },
        "spec": {
            "replicas": 4,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template(image),
            "strategy": {"canary": {"steps": STEPS}},
            **(spec or {}),
        },
        "status": {"observedGeneration": 3, **status},
    }  # fmt: skip


def updating(**status: Any) -> Json:
    """Paused at the second step, unless told otherwise."""
    paused = {"reason": "CanaryPauseStep", "startTime": CREATED}
    known = {
        "phase": "Paused", "message": "CanaryPauseStep", "stableRS": "old", "currentPodHash": "new",
        "currentStepIndex": 1, "controllerPause": True, "pauseConditions": [paused], "replicas": 4, "readyReplicas": 4,
        "availableReplicas": 4, "updatedReplicas": 1,
        "canary": {"weights": {"canary": {"weight": 25}, "stable": {"weight": 75}}},
    }  # fmt: skip
    spec = status.pop("spec", None)
    return live_rollout(spec=spec, **{**known, **status})


def healthy(**status: Any) -> Json:
    known = {"phase": "Healthy", "stableRS": "new", "currentPodHash": "new", "currentStepIndex": 4}
    spec = status.pop("spec", None)
    return live_rollout(spec=spec, **{**known, **status})


def rollout(live: Json) -> Rollout:
    return msgspec.convert(live, Rollout)


def replica_set(pod_hash: str, revision: int, written: Json, *, replicas: int = 0, defaulted: bool = True) -> Json:
    """A ReplicaSet of the Rollout, with what the API server fills in."""
    labels = {**written["metadata"]["labels"], HASH_LABEL: pod_hash}
    spec: Json = dict(written["spec"])
    if defaulted:
        filled = {
            "imagePullPolicy": "IfNotPresent", "resources": {}, "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
        }  # fmt: skip
        spec["containers"] = [{**filled, **container} for container in spec["containers"]]
        spec = {
            "dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "schedulerName": "default-scheduler",
            "securityContext": {}, "terminationGracePeriodSeconds": 30, **spec,
        }  # fmt: skip
    return {
        "metadata": {
            "name": f"web-{pod_hash}",
            "namespace": "shop",
            "uid": f"u-{pod_hash}",
            "creationTimestamp": CREATED,
            "generation": 1,
            "labels": labels,
            "annotations": {REVISION: str(revision), FINGERPRINT: fingerprint(written)},
            "ownerReferences": [OWNED],
        },
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
        "status": {
            "replicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas, "observedGeneration": 1,
        },
    }  # fmt: skip


def pod(name: str, pod_hash: str, **status: Any) -> Json:
    return {
        "metadata": {"name": name, "creationTimestamp": CREATED, "ownerReferences": [{"uid": f"u-{pod_hash}"}]},
        "spec": {"containers": [{"name": "web"}]},
        "status": {"phase": "Running", "containerStatuses": [{**CONTAINER, "ready": True}], **status},
    }


def analysis_run(revision: int, **status: Any) -> Json:
    return {
        "metadata": {
            "name": f"web-new-{revision}",
            "creationTimestamp": CREATED,
            "annotations": {REVISION: str(revision)},
            "ownerReferences": [OWNED],
        },
        "spec": {"metrics": []},
        "status": status,
    }


def application(*, spec: Json | None = None, **status: Any) -> Application:
    source = {"repositoryRef": {"name": "config"}, "path": "apps/web"}
    raw = {
        "metadata": {"name": "web", "namespace": "shop", "generation": 1},
        "spec": {"source": source, **(spec or {})},
        "status": {"observedGeneration": 1, **status},
    }
    return msgspec.convert(raw, Application)
