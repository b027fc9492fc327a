"""Deployments, ReplicaSets, StatefulSets, DaemonSets and Jobs."""

from rollout.domain.sync.health.base import HEALTHY, Health, Json, degraded, progressing
from rollout.domain.sync.health.conditions import words_of


def replicated_health(live: Json) -> Health:
    """Health of a Deployment, ReplicaSet or StatefulSet: all pods updated and available."""
    status = live.get("status") or {}
    failed = next((c for c in status.get("conditions") or [] if _has_failed(c)), None)
    if failed is not None:
        return degraded(words_of(failed))
    replicas = (live.get("spec") or {}).get("replicas")
    wanted = 1 if replicas is None else int(replicas)
    updated = int(status.get("updatedReplicas", wanted if live.get("kind") == "ReplicaSet" else 0) or 0)
    available = int(status.get("availableReplicas", status.get("readyReplicas", 0)) or 0)
    if min(updated, available) < wanted:
        return progressing(f"{min(updated, available)} of {wanted} pods are updated and available")
    return HEALTHY


def daemon_set_health(live: Json) -> Health:
    """Health of a DaemonSet: every node that wants a pod has it."""
    status = live.get("status") or {}
    wanted = int(status.get("desiredNumberScheduled") or 0)
    available = int(status.get("numberAvailable") or 0)
    return HEALTHY if available >= wanted else progressing(f"{available} of {wanted} pods are available")


def job_health(live: Json) -> Health:
    """Health of a Job: complete."""
    conditions = {c.get("type"): c for c in (live.get("status") or {}).get("conditions") or []}
    if conditions.get("Failed", {}).get("status") == "True":
        return degraded(words_of(conditions["Failed"]))
    return HEALTHY if conditions.get("Complete", {}).get("status") == "True" else progressing("is running")


def _has_failed(condition: Json) -> bool:
    kind, status = condition.get("type"), condition.get("status")
    if kind == "Progressing" and condition.get("reason") == "ProgressDeadlineExceeded":
        return status == "False"
    return kind == "ReplicaFailure" and status == "True"
