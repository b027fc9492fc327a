"""The words by which the caches find objects, so that a turn costs what belongs to it, not what exists."""

from collections.abc import Callable, Iterable
from typing import Any

from rollout.api.keys import HASH_LABEL, MANAGED_BY
from rollout.kube.resources import APPLICATIONS, FAILURE_MODELS, PODS, ROLLOUTS, SERVICES, Resource

Json = dict[str, Any]


def claims(rollout: Json) -> tuple[str, ...]:
    """What only one Rollout of a namespace may have, in words: its Services, and the pods it selects."""
    spec = rollout.get("spec") or {}
    canary = (spec.get("strategy") or {}).get("canary") or {}
    services = [f'Service "{canary[f]}"' for f in ("stableService", "canaryService") if canary.get(f)]
    labels = (spec.get("selector") or {}).get("matchLabels") or {}
    selector = [f"selector {','.join(f'{k}={v}' for k, v in sorted(labels.items()))}"] if labels else []
    return (*services, *selector)


def claim_term(namespace: str, claim: str) -> str:
    """Finds the Rollouts that claim something."""
    return f"{namespace} claims {claim}"


def manager_term(namespace: str, rollout: str) -> str:
    """Finds the Services that a Rollout manages."""
    return f"{namespace} managed by {rollout}"


def hash_term(namespace: str, pod_hash: str) -> str:
    """Finds the pods of a revision."""
    return f"{namespace} hash {pod_hash}"


def model_term(namespace: str, rollout: str) -> str:
    """Finds the FailureModels of a Rollout."""
    return f"{namespace} model of {rollout}"


def reverts_term(namespace: str, repository: str) -> str:
    """Finds the Applications of a GitRepository that have reverts to tell of."""
    return f"{namespace} reverts in {repository}"


def _rollout(obj: Json) -> Iterable[str]:
    return [claim_term(obj["metadata"]["namespace"], claim) for claim in claims(obj)]


def _service(obj: Json) -> Iterable[str]:
    manager = (obj["metadata"].get("annotations") or {}).get(MANAGED_BY)
    return [manager_term(obj["metadata"]["namespace"], manager)] if manager else []


def _pod(obj: Json) -> Iterable[str]:
    pod_hash = (obj["metadata"].get("labels") or {}).get(HASH_LABEL)
    return [hash_term(obj["metadata"]["namespace"], pod_hash)] if pod_hash else []


def _model(obj: Json) -> Iterable[str]:
    rollout = ((obj.get("spec") or {}).get("rolloutRef") or {}).get("name")
    return [model_term(obj["metadata"]["namespace"], rollout)] if rollout else []


def _application(obj: Json) -> Iterable[str]:
    records = (obj.get("status") or {}).get("rollouts") or []
    if not any(isinstance(record, dict) and record.get("revert") for record in records):
        return []
    source = (obj.get("spec") or {}).get("source") or {}
    return [reverts_term(obj["metadata"]["namespace"], (source.get("repositoryRef") or {}).get("name", ""))]


TERMS: dict[Resource, Callable[[Json], Iterable[str]]] = {
    ROLLOUTS: _rollout,
    SERVICES: _service,
    PODS: _pod,
    FAILURE_MODELS: _model,
    APPLICATIONS: _application,
}
