"""From caches to the World of a Rollout. Pure functions of objects; no I/O."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import msgspec

from analysis.arguments import pods_pattern
from analysis.comparison_spec import ComparisonSettings
from analysis.durations import parse_time
from analysis.errors import InvalidSpec
from analysis.run_spec import AnalysisRunSpec, AnalysisRunStatus, Arm, Arms, RunComparisonStatus
from analysis.spec import AnalysisTemplateSpec, TemplateRef
from analysis.template import build_run, can_prove, resolve_arguments
from analysis.verdict import AnalysisPhase
from rollout.api.keys import (
    DESIRED_REPLICAS,
    FINGERPRINT,
    HASH_LABEL,
    MANAGED_BY,
    REVISION,
    SCALE_DOWN_DEADLINE,
    UPDATE,
)
from rollout.api.rollout import CanaryStrategy, Rollout
from rollout.api.validate_rollout import validate_rollout
from rollout.controllers.pods_read import decides_by_pods
from rollout.controllers.terms import claim_term, claims
from rollout.domain.progress.deadline import abort_deadline_seconds
from rollout.domain.progress.podhash import pod_hashes
from rollout.domain.progress.runs import background
from rollout.domain.progress.standing import skipping, updating
from rollout.domain.world import PodView, ReplicaSetView, RouteView, RunView, ServiceView, World
from rollout.kube.cache import Cache, Key, key_of
from rollout.kube.resources import (
    ANALYSIS_RUNS,
    ANALYSIS_TEMPLATES,
    CLUSTER_ANALYSIS_TEMPLATES,
    FAILURE_MODELS,
    HTTP_ROUTES,
    PODS,
    REPLICA_SETS,
    ROLLOUTS,
    SERVICES,
    Resource,
)
from rollout.traffic import httproute

Json = dict[str, Any]
Caches = dict[Resource, Cache]
NAME_CHARACTERS_MAX = 220


def observe(caches: Caches, key: Key) -> World | None:
    """The World of a Rollout; None where it is gone."""
    live = caches[ROLLOUTS].get(key)
    if live is None:
        return None
    try:
        rollout = msgspec.convert(live, Rollout)
    except msgspec.ValidationError as error:
        return World(_unreadable(live), problems=(f"the manifest does not fit the CRD: {error}",))
    strategy = rollout.spec.strategy.canary or CanaryStrategy()
    owned = caches[REPLICA_SETS].owned(rollout.metadata.uid)
    world = World(
        rollout,
        replica_sets=tuple(map(replica_set, owned)),
        services=_services(caches, rollout, strategy),
        routes=_routes(caches, rollout, strategy),
        runs=tuple(map(run, caches[ANALYSIS_RUNS].owned(rollout.metadata.uid))),
        pods=_pods(caches, owned, live),
        taken_names=_taken(caches, key[0], rollout),
        rivals=_rivals(caches, live),
        problems=(*_name_problems(rollout), *(str(problem) for problem in validate_rollout(rollout.spec))),
    )
    return _with_run(caches, live, world)


def _name_problems(rollout: Rollout) -> tuple[str, ...]:
    length = len(rollout.metadata.name)
    if length <= NAME_CHARACTERS_MAX:
        return ()
    remedy = f"use at most {NAME_CHARACTERS_MAX}, since ReplicaSets and AnalysisRuns add theirs to it"
    return (f"metadata.name: has {length} characters; {remedy}",)


def _unreadable(live: Json) -> Rollout:
    """The metadata and the status, so that the problem can be told and nothing of the status is lost by that."""
    return msgspec.convert({"metadata": live["metadata"], "status": live.get("status") or {}}, Rollout)


def replica_set(obj: Json) -> ReplicaSetView:
    """What decisions read of a ReplicaSet."""
    metadata, status = obj["metadata"], obj.get("status") or {}
    annotations = metadata.get("annotations") or {}
    deadline = annotations.get(SCALE_DOWN_DEADLINE)
    desired = annotations.get(DESIRED_REPLICAS, "")
    return ReplicaSetView(
        name=metadata["name"],
        uid=metadata["uid"],
        pod_hash=(metadata.get("labels") or {}).get(HASH_LABEL, ""),
        created_at=parse_time(metadata["creationTimestamp"]),
        replicas=obj["spec"].get("replicas", 1),
        ready=status.get("readyReplicas", 0),
        available=status.get("availableReplicas", 0),
        current=status.get("replicas", 0),
        observed=status.get("observedGeneration", 0) >= metadata.get("generation", 0),
        revision=_number(annotations.get(REVISION, "")) or 0,
        desired=_number(desired),
        scale_down_at=_time(deadline),
        fingerprint=annotations.get(FINGERPRINT, ""),
        deleting="deletionTimestamp" in metadata,
    )


def _number(text: str) -> int | None:
    """An annotation is a user's to spoil: what is no number of a sane length counts as none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _time(text: str | None) -> float | None:
    """An annotation is a user's to spoil: what is no time counts as long ago."""
    if text is None:
        return None
    try:
        return parse_time(text)
    except ValueError:
        return 0.0


def run(obj: Json) -> RunView:
    """What decisions read of an AnalysisRun."""
    metadata = obj["metadata"]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    status = msgspec.convert(obj.get("status") or {}, AnalysisRunStatus)
    comparison = status.comparison
    return RunView(
        name=metadata["name"],
        uid=metadata["uid"],
        pod_hash=labels.get(HASH_LABEL, ""),
        revision=_number(annotations.get(REVISION, "")) or 0,
        created_at=parse_time(metadata["creationTimestamp"]),
        phase=AnalysisPhase(status.phase),
        message=status.message,
        kind=labels.get("rollout-type", ""),
        terminating=bool(obj["spec"].get("terminate")),
        no_data_since=comparison.no_data_since if comparison else "",
        anomaly=_anomaly(comparison),
        proven_at_weight=comparison.proven_at_weight if comparison else None,
        weights=annotations.get("coalmine.dev/weights", ""),
        update_started_at=annotations.get(UPDATE, ""),
    )


def _anomaly(comparison: RunComparisonStatus | None) -> str:
    sentinel = comparison.sentinel if comparison else None
    return sentinel.message if sentinel is not None and sentinel.action == "Pause" else ""


def named_services(strategy: CanaryStrategy) -> tuple[str, ...]:
    """The Services that a strategy names."""
    return tuple(dict.fromkeys(name for name in (strategy.stable_service, strategy.canary_service) if name))


def named_routes(strategy: CanaryStrategy) -> tuple[str, ...]:
    """The HTTPRoutes that a strategy names."""
    gateway = strategy.traffic_routing and strategy.traffic_routing.gateway_api
    if not gateway:
        return ()
    names = [route.name for route in gateway.http_routes]
    return tuple(dict.fromkeys([*names, *([gateway.http_route] if gateway.http_route else [])]))


def _services(caches: Caches, rollout: Rollout, strategy: CanaryStrategy) -> tuple[ServiceView, ...]:
    found = (caches[SERVICES].get((rollout.metadata.namespace, name)) for name in named_services(strategy))
    return tuple(
        ServiceView(
            obj["metadata"]["name"],
            ((obj.get("spec") or {}).get("selector") or {}).get(HASH_LABEL, ""),
            (obj["metadata"].get("annotations") or {}).get(MANAGED_BY, ""),
            controlled_by=_other_controller(obj, rollout),
        )
        for obj in found
        if obj is not None
    )


def _routes(caches: Caches, rollout: Rollout, strategy: CanaryStrategy) -> tuple[RouteView, ...]:
    found = (caches[HTTP_ROUTES].get((rollout.metadata.namespace, name)) for name in named_routes(strategy))
    return tuple(
        replace(
            httproute.view(obj, strategy.canary_service, strategy.stable_service),
            controlled_by=_other_controller(obj, rollout),
        )
        for obj in found
        if obj is not None
    )


def _other_controller(obj: Json, rollout: Rollout) -> str:
    """Kind and name of the owner that controls an object, where that is not this Rollout."""
    owners = obj["metadata"].get("ownerReferences") or []
    others = (o for o in owners if o.get("controller") and o.get("uid") != rollout.metadata.uid)
    return next((f'{o.get("kind", "")} "{o.get("name", "")}"' for o in others), "")


def _pods(caches: Caches, replica_sets: list[Json], live: Json) -> tuple[PodView, ...]:
    if not decides_by_pods(live):
        return ()
    return tuple(pod(obj) for rs in replica_sets for obj in caches[PODS].owned(rs["metadata"]["uid"]))


def pod(obj: Json) -> PodView:
    """What decisions read of a pod."""
    metadata, status = obj["metadata"], obj.get("status") or {}
    conditions = {c["type"]: c["status"] for c in status.get("conditions") or []}
    return PodView(
        metadata["name"],
        metadata["uid"],
        (metadata.get("labels") or {}).get(HASH_LABEL, ""),
        parse_time(metadata["creationTimestamp"]),
        ready=conditions.get("Ready") == "True",
        deleting="deletionTimestamp" in metadata,
        labels=tuple((metadata.get("labels") or {}).items()),
        annotations=tuple((metadata.get("annotations") or {}).items()),
    )


def _taken(caches: Caches, namespace: str, rollout: Rollout) -> frozenset[str]:
    """The name that a new ReplicaSet would get, where somebody else has it."""
    hashes = pod_hashes(rollout.spec.template, rollout.status.collision_count)
    name = f"{rollout.metadata.name}-{hashes.newer}"
    existing = caches[REPLICA_SETS].get((namespace, name))
    if existing is None:
        return frozenset()
    owners = existing["metadata"].get("ownerReferences") or []
    return frozenset() if any(o["uid"] == rollout.metadata.uid for o in owners) else frozenset({name})


def _rivals(caches: Caches, live: Json) -> tuple[str, ...]:
    """Older Rollouts of the namespace that claim the same Service or the same pods: the later one is refused."""
    namespace = live["metadata"]["namespace"]
    return tuple(
        f'{claim} is claimed by Rollout "{key_of(other)[1]}" already; one belongs to one Rollout'
        for claim in sorted(claims(live))
        for other in caches[ROLLOUTS].find(claim_term(namespace, claim))
        if other["metadata"]["uid"] != live["metadata"]["uid"] and _age(other) < _age(live)
    )


def _age(obj: Json) -> tuple[str, str]:
    return obj["metadata"]["creationTimestamp"], obj["metadata"]["name"]


def _with_run(caches: Caches, live: Json, world: World) -> World:
    """Resolve the templates of the background analysis; what is missing or wrong is a problem of the Rollout."""
    analysis = world.canary.analysis
    if analysis is None or not analysis.templates:
        return world
    namespace, status = world.rollout.metadata.namespace, world.rollout.status
    latest = pod_hashes(world.rollout.spec.template, status.collision_count).newer
    current = status.current_pod_hash or latest
    try:
        args = resolve_arguments(analysis.args, latest_hash=current, stable_hash=status.stable_rs, rollout=live)
        spec = build_run(
            analysis,
            lambda ref: template(caches, namespace, ref),
            args=args,
            arms=_arms(world, current),
            weight_increases=weight_increases(world.canary),
            failure_model_digest=_model_digest(caches, world, analysis.comparison),
            progress_deadline_seconds=abort_deadline_seconds(world),
        )
        if spec.comparison is not None:
            _tell_apart(world, current)
        _demand_proof(world, spec)
    except InvalidSpec as problem:
        if not _needs_run(world):
            return world
        return replace(world, problems=(*world.problems, f"spec.strategy.canary.analysis.{problem}"))
    return replace(world, run_spec=msgspec.to_builtins(spec), run_arms=(current, status.stable_rs))


def _model_digest(caches: Caches, world: World, settings: ComparisonSettings | None) -> str:
    """The digest of the FailureModel that the next run pins; empty where it may not be used, so that priors hold."""
    if settings is None or settings.failure_model_ref is None:
        return ""
    namespace, name = world.rollout.metadata.namespace, world.rollout.metadata.name
    live = caches[FAILURE_MODELS].get((namespace, settings.failure_model_ref.name))
    if live is None or ((live.get("spec") or {}).get("rolloutRef") or {}).get("name") != name:
        return ""
    status = live.get("status") or {}
    return str(status.get("digest") or "") if status.get("phase") in ("Active", "Shadow") else ""


def _tell_apart(world: World, current: str) -> None:
    """Raise InvalidSpec where pods of both arms may have the same name: every sample would be one of both arms."""
    name, stable = world.rollout.metadata.name, world.rollout.status.stable_rs
    canary, other = (current, stable) if current != stable else ("a", "b")
    if pods_pattern(f"{name}-{canary}") == pods_pattern(f"{name}-{other}"):
        problem = f"cannot tell pods apart, since Kubernetes cuts names of pods, and metadata.name has {len(name)}"
        raise InvalidSpec("templates", f"{problem} characters", "use a name of at most 46")


def _demand_proof(world: World, spec: AnalysisRunSpec) -> None:
    """Raise InvalidSpec where the step `verify` would wait for a proof that never comes."""
    if any(step.verify is not None for step in world.canary.steps) and not can_prove(spec):
        problem = "no metric has a tolerance, so the step `verify` would wait for a proof that never comes"
        raise InvalidSpec("templates", problem, "give a comparison a `tolerance` (no dry run), or remove the step")


def _needs_run(world: World) -> bool:
    """Whether a run may still have to be made; no run of an earlier update, or of one before a retry, stands for it."""
    status = world.rollout.status
    if not updating(world, status):
        return True
    return not status.abort and not skipping(world, status) and background(world, status) is None


def template(caches: Caches, namespace: str, ref: TemplateRef) -> AnalysisTemplateSpec | None:
    """A template by reference."""
    if ref.cluster_scope:
        obj = caches[CLUSTER_ANALYSIS_TEMPLATES].get(("", ref.template_name))
    else:
        obj = caches[ANALYSIS_TEMPLATES].get((namespace, ref.template_name))
    return None if obj is None else msgspec.convert(obj.get("spec") or {}, AnalysisTemplateSpec)


def _arms(world: World, canary_hash: str) -> Arms:
    name, stable_hash = world.rollout.metadata.name, world.rollout.status.stable_rs
    return Arms(
        canary=Arm(
            pod_template_hash=canary_hash,
            pods=pods_pattern(f"{name}-{canary_hash}"),
            service=world.canary.canary_service,
        ),
        stable=Arm(
            pod_template_hash=stable_hash,
            pods=pods_pattern(f"{name}-{stable_hash}"),
            service=world.canary.stable_service,
        ),
    )


def weight_increases(canary: CanaryStrategy) -> int:
    """How often the steps raise the weight."""
    weights = [0, *(step.set_weight for step in canary.steps if step.set_weight is not None)]
    return max(sum(later > earlier for earlier, later in pairwise(weights)), 1)
