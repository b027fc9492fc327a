"""What pods are good for: which fields of theirs anybody reads, and which Rollouts decide by them.

There are more pods, and more events of them, than of anything else.
"""

from typing import Any

from rollout.kube.cache import slim

Json = dict[str, Any]

_STATUS = ("phase", "startTime", "conditions")
_CONTAINERS = ("containerStatuses", "initContainerStatuses")
_CONTAINER = ("name", "imageID", "restartCount", "state", "lastState")


def slim_pod(pod: Json) -> Json:
    """A pod as the cache keeps it: without its spec and most of its status."""
    kept = slim(pod)
    kept.pop("spec", None)
    status = pod.get("status") or {}
    kept["status"] = {field: status[field] for field in _STATUS if field in status}
    for kind in _CONTAINERS:
        if status.get(kind):
            kept["status"][kind] = [{f: c[f] for f in _CONTAINER if f in c} for c in status[kind]]
    return kept


def decides_by_pods(rollout: Json) -> bool:
    """Whether decisions about a Rollout read its pods: a restart under way, or labels that tell their role.

    Else its ReplicaSets say all of them that counts.
    """
    spec = rollout.get("spec") or {}
    canary = (spec.get("strategy") or {}).get("canary") or {}
    restart_at = spec.get("restartAt")
    restarting = restart_at is not None and restart_at != (rollout.get("status") or {}).get("restartedAt")
    return bool(restarting or canary.get("canaryMetadata") or canary.get("stableMetadata"))
