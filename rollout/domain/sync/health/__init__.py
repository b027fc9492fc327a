"""Health of live objects, a file a family of kinds; unknown kinds by the conventions of kstatus."""

from collections.abc import Callable

from rollout.domain.sync.health.base import HEALTHY, Health, Json, progressing
from rollout.domain.sync.health.conditions import health_by_conditions
from rollout.domain.sync.health.storage import claim_health
from rollout.domain.sync.health.workloads import daemon_set_health, job_health, replicated_health

__all__ = ["Health", "health_of"]

_BY_KIND: dict[str, Callable[[Json], Health]] = {
    "DaemonSet": daemon_set_health,
    "Deployment": replicated_health,
    "Job": job_health,
    "PersistentVolumeClaim": claim_health,
    "ReplicaSet": replicated_health,
    "StatefulSet": replicated_health,
}


def health_of(live: Json) -> Health:
    """Whether a live object does what it is for; Rollouts are judged by their own views instead."""
    metadata = live.get("metadata") or {}
    if metadata.get("deletionTimestamp"):
        return progressing("is being deleted")
    if live.get("kind") == "Rollout":
        return HEALTHY
    observed = (live.get("status") or {}).get("observedGeneration")
    if isinstance(observed, int) and observed < int(metadata.get("generation") or 0):
        return progressing("its controller has not seen the newest version yet")
    return _BY_KIND.get(str(live.get("kind")), health_by_conditions)(live)
