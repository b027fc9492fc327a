"""In which order objects are applied: what others need first; waves by annotation."""

import re
from collections.abc import Iterable
from itertools import groupby

from rollout.domain.sync.objects import RenderedObject

WAVE = "coalmine.dev/sync-wave"
_NUMBER = re.compile(r"-?[0-9]{1,5}")

# Stages; kinds that are not named come in the one before the last.
_STAGES = (
    frozenset(
        {"CustomResourceDefinition", "Namespace", "ClusterRole", "PriorityClass", "StorageClass", "GatewayClass"}
    ),
    frozenset(
        {
            "ServiceAccount",
            "Role",
            "RoleBinding",
            "ClusterRoleBinding",
            "ConfigMap",
            "Secret",
            "PersistentVolume",
            "PersistentVolumeClaim",
            "ResourceQuota",
            "LimitRange",
            "NetworkPolicy",
        }
    ),
    frozenset({"Service", "Gateway", "AnalysisTemplate", "ClusterAnalysisTemplate", "FailureModel", "GitRepository"}),
    frozenset({"HTTPRoute", "Ingress", "VirtualService", "DestinationRule", "PodDisruptionBudget"}),
    frozenset[str](),
    frozenset({"Rollout", "HorizontalPodAutoscaler"}),
)
_OTHERS = 4


def stage_of(kind: str) -> int:
    """Number of the stage in which a kind is applied."""
    return next((number for number, kinds in enumerate(_STAGES) if kind in kinds), _OTHERS)


def wave_of(rendered: RenderedObject) -> int:
    """The object's wave; 0 without the annotation, or with one that is no number."""
    text = (rendered.obj["metadata"].get("annotations") or {}).get(WAVE, "0")
    return int(text) if _NUMBER.fullmatch(text) else 0


def in_stages(objects: Iterable[RenderedObject]) -> list[list[RenderedObject]]:
    """Groups to apply one after the other; within a group the order does not matter, and is that of the ids."""
    ordered = sorted(objects, key=lambda o: (*_key(o), o.id))
    return [list(group) for _, group in groupby(ordered, key=_key)]


def _key(rendered: RenderedObject) -> tuple[int, int]:
    return wave_of(rendered), stage_of(rendered.id.kind)
