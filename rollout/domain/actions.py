"""What a Rollout's decision may do to the cluster. `rollout.execute` carries the actions out, in order."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class PatchRollout:
    """Merge-patch the Rollout itself (never its status): defaults that an autoscaler needs, the revision annotation."""

    patch: dict[str, Any]


@dataclass(frozen=True, slots=True)
class CreateReplicaSet:
    """Create the ReplicaSet of a revision, with as many pods as it may have at once."""

    name: str
    pod_hash: str
    template: dict[str, Any]
    annotations: dict[str, str]
    replicas: int = 0


@dataclass(frozen=True, slots=True)
class ScaleReplicaSet:
    """Set the number of pods, and remember for which spec.replicas."""

    name: str
    replicas: int
    desired: int


@dataclass(frozen=True, slots=True)
class AnnotateReplicaSet:
    """Set annotations of a ReplicaSet; None removes one."""

    name: str
    annotations: dict[str, str | None]


@dataclass(frozen=True, slots=True)
class DeleteReplicaSet:
    """Delete a ReplicaSet beyond the history limit."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class SelectPods:
    """Point a Service to the pods of one hash; an empty hash gives the Service back to its owner."""

    service: str
    pod_hash: str


@dataclass(frozen=True, slots=True)
class SetWeight:
    """Write the canary's share into a route."""

    route: str
    canary_service: str
    stable_service: str
    canary_weight_percent: int


@dataclass(frozen=True, slots=True)
class RestoreRoute:
    """Give a route back as its owner wrote it."""

    route: str
    canary_service: str
    stable_service: str


@dataclass(frozen=True, slots=True)
class CreateRun:
    """Create an AnalysisRun."""

    name: str
    pod_hash: str
    revision: int
    kind: str
    spec: dict[str, Any]
    labels: dict[str, str]
    annotations: dict[str, str]


@dataclass(frozen=True, slots=True)
class TerminateRun:
    """Ask an AnalysisRun to end."""

    name: str


@dataclass(frozen=True, slots=True)
class RecordWeights:
    """Write the weight timeline of an AnalysisRun."""

    name: str
    timeline: str


@dataclass(frozen=True, slots=True)
class DeleteRun:
    """Delete an AnalysisRun beyond the history limit."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class LabelPod:
    """Set or remove labels and annotations that mark a pod's role."""

    name: str
    labels: dict[str, str | None]
    annotations: dict[str, str | None]


@dataclass(frozen=True, slots=True)
class EvictPod:
    """Restart a pod through the Eviction API, so that disruption budgets hold."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class SetFinalizer:
    """Hold or release the Rollout's deletion."""

    present: bool


Action = (
    PatchRollout
    | CreateReplicaSet
    | ScaleReplicaSet
    | AnnotateReplicaSet
    | DeleteReplicaSet
    | SelectPods
    | SetWeight
    | RestoreRoute
    | CreateRun
    | TerminateRun
    | RecordWeights
    | DeleteRun
    | LabelPod
    | EvictPod
    | SetFinalizer
)
