"""A model of the cluster for the pure core: it carries actions out on values, as the API server and kubelets would.

It stands for the outside in property tests only; the stories run on real parts.
"""

from dataclasses import dataclass, field, replace
from typing import Any, assert_never

import msgspec

from analysis.verdict import AnalysisPhase
from rollout.api.keys import DESIRED_REPLICAS, FINALIZER, FINGERPRINT, REVISION, SCALE_DOWN_DEADLINE
from rollout.api.meta import ObjectMeta
from rollout.api.rollout import Rollout, RolloutSpec, RolloutStatus
from rollout.domain import actions as act
from rollout.domain.clock import epoch
from rollout.domain.decision import Decision
from rollout.domain.rollout import decide
from rollout.domain.world import PodView, ReplicaSetView, RouteView, RunView, ServiceView, World


@dataclass
class Model:
    """A cluster with one Rollout. `now` moves by hand."""

    rollout: Rollout
    now: float = 1_700_000_000.0
    replica_sets: dict[str, ReplicaSetView] = field(default_factory=dict)
    services: dict[str, ServiceView] = field(default_factory=dict)
    routes: dict[str, RouteView] = field(default_factory=dict)
    runs: dict[str, RunView] = field(default_factory=dict)
    pods: dict[str, PodView] = field(default_factory=dict)
    log: list[Any] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    """Hashes whose pods never become ready."""
    slow: bool = False
    """Whether ReplicaSets act on a new size only when the kubelet's turn comes, as they do in a busy cluster."""
    ends_as: AnalysisPhase = AnalysisPhase.INCONCLUSIVE
    """What a run says that was asked to end."""
    problems: tuple[str, ...] = ()
    """What validation would say."""
    rivals: tuple[str, ...] = ()
    taken_names: frozenset[str] = frozenset()
    deleted: bool = False
    born: int = 0
    """Pods so far."""

    @classmethod
    def of(cls, spec: dict[str, Any], *, services: tuple[str, ...] = (), routes: tuple[str, ...] = ()) -> "Model":
        """A cluster with this Rollout, its Services and its routes."""
        rollout = Rollout(
            metadata=ObjectMeta(name="web", namespace="shop", uid="u1", generation=1),
            spec=msgspec.convert(spec, RolloutSpec),
        )
        model = cls(rollout)
        model.services = {name: ServiceView(name) for name in services}
        model.routes = {name: RouteView(name, 0, accepted=True, original=True) for name in routes}
        return model

    def world(self) -> World:
        """What the caches would hold."""
        return World(
            self.rollout,
            tuple(self.replica_sets.values()),
            tuple(self.services.values()),
            tuple(self.routes.values()),
            tuple(self.runs.values()),
            tuple(self.pods.values()),
            taken_names=self.taken_names,
            rivals=self.rivals,
            problems=self.problems,
            run_spec={"metrics": []},
            run_arms=(self.rollout.status.current_pod_hash, self.rollout.status.stable_rs),
        )

    def turn(self) -> Decision[RolloutStatus]:
        """One turn of the controller."""
        decision = decide(self.world(), self.now)
        for action in decision.actions:
            self.log.append(action)
            self.apply(action)
        self.rollout = msgspec.structs.replace(self.rollout, status=decision.status)
        return decision

    def settle(self, turns: int = 60) -> Decision[RolloutStatus]:
        """Turns with a busy kubelet and gateway until nothing moves; time stands still."""
        for _ in range(turns):
            before = self.world()
            decision = self.turn()
            self.others()
            if self.world() == before:
                return decision
        raise AssertionError("the model does not settle")

    def others(self) -> None:
        """Everybody but the controller does what was asked of them."""
        self.kubelet()
        self.gateway()
        self.analyses()

    def kubelet(self) -> None:
        """Every pod that is wanted becomes available at once, unless its version is broken."""
        self.count()
        for rs in self.replica_sets.values():
            for name, pod in self.pods_of(rs).items():
                self.pods[name] = replace(pod, ready=rs.pod_hash not in self.broken)
        self.count()

    def pods_of(self, rs: ReplicaSetView) -> dict[str, PodView]:
        """The pods of a ReplicaSet by name."""
        return {name: pod for name, pod in self.pods.items() if pod.pod_hash == rs.pod_hash}

    def one_ready(self, name: str) -> None:
        """One more pod of a ReplicaSet becomes available."""
        rs = self.replica_sets[name]
        unready = [pod for pod in self.pods_of(rs).values() if not pod.ready]
        if unready and rs.pod_hash not in self.broken:
            self.pods[unready[0].name] = replace(unready[0], ready=True)
            self.count()

    def one_dies(self, name: str) -> None:
        """One pod of a ReplicaSet goes, and an unready one takes its place."""
        pods = sorted(self.pods_of(self.replica_sets[name]).values(), key=lambda pod: pod.ready)
        if pods:
            del self.pods[pods[-1].name]
            self.count()

    def remove(self, name: str) -> None:
        """Somebody deletes a ReplicaSet, and its pods go with it."""
        rs = self.replica_sets.pop(name)
        self.pods = {pod.name: pod for pod in self.pods.values() if pod.pod_hash != rs.pod_hash}

    def count(self) -> None:
        """The ReplicaSet controller: creates and removes pods, unready ones first, and counts them."""
        for rs in self.replica_sets.values():
            pods = sorted(self.pods_of(rs).values(), key=lambda pod: pod.ready)
            for pod in pods[: max(len(pods) - rs.replicas, 0)]:
                del self.pods[pod.name]
            for _ in range(rs.replicas - len(pods)):
                self.born += 1
                name = f"{rs.name}-{self.born}"
                self.pods[name] = PodView(name, name, rs.pod_hash, self.second)
            pods = list(self.pods_of(rs).values())
            ready = sum(pod.ready for pod in pods)
            self.replica_sets[rs.name] = replace(rs, current=len(pods), ready=ready, available=ready)

    @property
    def second(self) -> float:
        """The time as manifests write it."""
        return float(int(self.now))

    def gateway(self) -> None:
        """Every route is accepted."""
        self.routes = {name: replace(route, accepted=True) for name, route in self.routes.items()}

    def analyses(self) -> None:
        """Runs that were asked to end have ended."""
        for name, run in self.runs.items():
            if run.terminating and not run.phase.completed:
                self.runs[name] = replace(run, phase=self.ends_as, message="terminated without data to judge")

    def edit(self, spec: dict[str, Any]) -> None:
        """A user changes the spec."""
        metadata = msgspec.structs.replace(self.rollout.metadata, generation=self.rollout.metadata.generation + 1)
        new = msgspec.convert(spec, RolloutSpec)
        self.rollout = msgspec.structs.replace(self.rollout, spec=new, metadata=metadata)

    def status(self, **fields: Any) -> None:
        """A user patches the status, as the CLI does."""
        status = msgspec.structs.replace(self.rollout.status, **fields)
        self.rollout = msgspec.structs.replace(self.rollout, status=status)

    def run(self, **fields: Any) -> None:
        """The youngest analysis run reports."""
        name = max(self.runs, key=lambda n: self.runs[n].created_at)
        self.runs[name] = replace(self.runs[name], **fields)

    def apply(self, action: act.Action) -> None:  # noqa: C901, PLR0912, PLR0915  one arm an action
        match action:
            case act.CreateReplicaSet():
                self.replica_sets[action.name] = ReplicaSetView(
                    action.name, action.name, action.pod_hash, self.second, action.replicas,
                    revision=int(action.annotations[REVISION]), fingerprint=action.annotations[FINGERPRINT],
                    desired=self.rollout.spec.replicas if self.rollout.spec.replicas is not None else 1,
                )  # fmt: skip
                if not self.slow:
                    self.count()
            case act.ScaleReplicaSet():
                rs = self.replica_sets[action.name]
                self.replica_sets[action.name] = replace(rs, replicas=action.replicas, desired=action.desired)
                if not self.slow:
                    self.count()
            case act.AnnotateReplicaSet():
                self._annotate(action)
            case act.DeleteReplicaSet():
                del self.replica_sets[action.name]
            case act.SelectPods():
                self.services[action.service] = ServiceView(
                    action.service, action.pod_hash, "web" if action.pod_hash else ""
                )
            case act.SetWeight():
                weight = action.canary_weight_percent
                self.routes[action.route] = RouteView(action.route, weight, accepted=None, original=weight == 0)
            case act.RestoreRoute():
                self.routes[action.route] = RouteView(action.route, 0, accepted=None, original=True)
            case act.CreateRun():
                self.runs[action.name] = RunView(
                    action.name, action.name, action.pod_hash, action.revision, self.second,
                    weights=action.annotations["coalmine.dev/weights"],
                )  # fmt: skip
            case act.TerminateRun():
                run = self.runs[action.name]
                self.runs[action.name] = replace(run, terminating=True)
            case act.RecordWeights():
                self.runs[action.name] = replace(self.runs[action.name], weights=action.timeline)
            case act.DeleteRun():
                del self.runs[action.name]
            case act.SetFinalizer():
                finalizers = (FINALIZER,) if action.present else ()
                self._metadata(finalizers=finalizers)
                self.deleted = not action.present and bool(self.rollout.metadata.deletion_timestamp)
            case act.PatchRollout():
                self._patch(action.patch)
            case act.EvictPod():
                self.pods.pop(action.name, None)
                self.count()
            case act.LabelPod():
                pod = self.pods.get(action.name)
                if pod is None:
                    return  # Gone by an earlier action: the API server would say so, and the turn is taken anew.
                labels = {k: v for k, v in (dict(pod.labels) | action.labels).items() if v is not None}
                self.pods[action.name] = replace(pod, labels=tuple(labels.items()))
            case _:
                assert_never(action)

    def _annotate(self, action: act.AnnotateReplicaSet) -> None:
        rs = self.replica_sets[action.name]
        for key, value in action.annotations.items():
            if key == REVISION:
                rs = replace(rs, revision=int(value or 0))
            if key == SCALE_DOWN_DEADLINE:
                rs = replace(rs, scale_down_at=epoch(value) if value else None)
            if key == DESIRED_REPLICAS:
                rs = replace(rs, desired=int(value or 0))
        self.replica_sets[action.name] = rs

    def _metadata(self, **fields: Any) -> None:
        metadata = msgspec.structs.replace(self.rollout.metadata, **fields)
        self.rollout = msgspec.structs.replace(self.rollout, metadata=metadata)

    def _patch(self, patch: dict[str, Any]) -> None:
        if annotations := patch.get("metadata", {}).get("annotations"):
            self._metadata(annotations={**self.rollout.metadata.annotations, **annotations})
        if "replicas" in patch.get("spec", {}):
            spec = msgspec.structs.replace(self.rollout.spec, replicas=patch["spec"]["replicas"])
            self.rollout = msgspec.structs.replace(self.rollout, spec=spec)


def template(image: str) -> dict[str, Any]:
    """A pod template with one container."""
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": image}]}}


def spec(
    image: str = "v1",
    *,
    replicas: int = 4,
    routed: bool = False,
    steps: list[dict[str, Any]] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """A Rollout's spec."""
    canary: dict[str, Any] = {"steps": [{"setWeight": 50}, {"pause": {}}] if steps is None else steps}
    if routed:
        canary |= {
            "stableService": "stable",
            "canaryService": "canary",
            "trafficRouting": {"gatewayAPI": {"httpRoutes": [{"name": "web"}]}},
        }
    canary |= more.pop("canary", {})
    return {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": "web"}},
        "template": template(image),
        "strategy": {"canary": canary},
        **more,
    }


def routed_model(**more: Any) -> Model:
    """A cluster whose Rollout has a route and two Services."""
    return Model.of(spec(routed=True, **more), services=("stable", "canary"), routes=("web",))
