"""Everything a Rollout's decision may depend on, as values. The controllers fill it from their caches."""

from dataclasses import dataclass
from typing import Any

from analysis.verdict import AnalysisPhase
from rollout.api.rollout import CanaryStrategy, Rollout


@dataclass(frozen=True, slots=True)
class ReplicaSetView:
    """A ReplicaSet owned by the Rollout."""

    name: str
    uid: str
    pod_hash: str
    created_at: float
    replicas: int
    ready: int = 0
    available: int = 0
    current: int = 0
    """Pods that exist, `status.replicas`."""
    observed: bool = True
    """Whether the status is about the current spec."""
    revision: int = 0
    desired: int | None = None
    """spec.replicas of the Rollout when this ReplicaSet was scaled last."""
    scale_down_at: float | None = None
    fingerprint: str = ""
    template: dict[str, Any] | None = None
    deleting: bool = False


@dataclass(frozen=True, slots=True)
class ServiceView:
    """A Service that the Rollout names."""

    name: str
    pod_hash: str = ""
    """Value of `rollouts-pod-template-hash` in the selector; empty: absent."""
    managed_by: str = ""
    """Name of the Rollout that manages the selector."""
    controlled_by: str = ""
    """Kind and name of another owner that controls the Service; empty: nobody does."""


@dataclass(frozen=True, slots=True)
class RouteView:
    """An HTTPRoute that the Rollout names."""

    name: str
    canary_weight_percent: int
    """The canary's share in every rule that carries both Services; -1 where rules disagree."""
    accepted: bool | None
    """Whether a gateway took this generation; None: no answer yet."""
    message: str = ""
    """The gateway's words, where it refused."""
    problem: str = ""
    """Why the route cannot carry weights (no rule with both Services ...)."""
    original: bool = False
    """Whether it is as its owner wrote it, so that nothing has to be given back."""
    controlled_by: str = ""
    """Kind and name of another owner that controls the route; empty: nobody does."""


@dataclass(frozen=True, slots=True)
class RunView:
    """An AnalysisRun owned by the Rollout."""

    name: str
    uid: str
    pod_hash: str
    revision: int
    created_at: float
    phase: AnalysisPhase = AnalysisPhase.PENDING
    message: str = ""
    kind: str = "Background"
    terminating: bool = False
    no_data_since: str = ""
    anomaly: str = ""
    """What the sentinel of its model saw, where that is to pause the update; it stays as it was first said."""
    proven_at_weight: int | None = None
    weights: str = ""
    """The weight timeline written so far."""
    update_started_at: str = ""
    """When the update that it belongs to began, in that update's own words; empty: not known."""


@dataclass(frozen=True, slots=True)
class PodView:
    """A pod of one of the Rollout's ReplicaSets."""

    name: str
    uid: str
    pod_hash: str
    created_at: float
    ready: bool = False
    deleting: bool = False
    labels: tuple[tuple[str, str], ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class World:
    """One Rollout and all that belongs to it, as the caches have it."""

    rollout: Rollout
    replica_sets: tuple[ReplicaSetView, ...] = ()
    services: tuple[ServiceView, ...] = ()
    """Those of the named Services that exist."""
    routes: tuple[RouteView, ...] = ()
    """Those of the named routes that exist."""
    runs: tuple[RunView, ...] = ()
    pods: tuple[PodView, ...] = ()
    taken_names: frozenset[str] = frozenset()
    """Names of ReplicaSets in the namespace that are not ours."""
    rivals: tuple[str, ...] = ()
    """What another, older Rollout already claims, in words."""
    problems: tuple[str, ...] = ()
    """What validation of the spec and of the templates it names found, in words."""
    run_spec: dict[str, Any] | None = None
    """The background AnalysisRun's spec, resolved from its templates; None: not wanted, or not resolvable."""
    run_arms: tuple[str, str] = ("", "")
    """The hashes of canary and stable that `run_spec` compares: a run is never made for others."""

    @property
    def canary(self) -> CanaryStrategy:
        """The canary strategy; an empty one where the spec has none."""
        return self.rollout.spec.strategy.canary or CanaryStrategy()

    @property
    def replicas(self) -> int:
        """Desired pods."""
        wanted = self.rollout.spec.replicas
        return 1 if wanted is None else wanted

    @property
    def routed(self) -> bool:
        """Whether a traffic router carries the weights."""
        return self.canary.traffic_routing is not None

    def by_hash(self, pod_hash: str) -> ReplicaSetView | None:
        """The ReplicaSet of a hash."""
        return next((rs for rs in self.replica_sets if pod_hash and rs.pod_hash == pod_hash and not rs.deleting), None)

    def service(self, name: str) -> ServiceView | None:
        """A Service by name."""
        return next((s for s in self.services if s.name == name), None)
