"""Telling users where the Rollout stands: counts, conditions, phase and message, in Argo's words and order."""

from dataclasses import dataclass

import msgspec

from analysis.verdict import AnalysisPhase
from rollout.api.meta import Condition
from rollout.api.rollout import RolloutStatus
from rollout.domain.conditions import drop, find, put
from rollout.domain.decision import Decision
from rollout.domain.progress.deadline import EXCEEDED, exceeded, exceeded_at
from rollout.domain.progress.runs import background, of_update
from rollout.domain.progress.standing import first_deployment, fully_promoted, updating
from rollout.domain.world import World


@dataclass(frozen=True, slots=True)
class Phase:
    """Healthy, Progressing, Paused or Degraded, and why."""

    phase: str
    message: str = ""


def describe(world: World, status: RolloutStatus, now: float) -> Decision[RolloutStatus]:
    """Fill in counts, conditions, phase and message."""
    counted = _count(world, status)
    progressed = _progress(world.rollout.status) != _progress(counted)
    stuck = not progressed and exceeded(world, counted, now)
    generation = world.rollout.metadata.generation
    conditions = drop(counted.conditions, "InvalidSpec")
    for condition in _conditions(world, counted, stuck=stuck):
        moved = progressed and condition.type == "Progressing"
        conditions = put(conditions, condition, now, generation, progressed=moved)
    described = msgspec.structs.replace(counted, conditions=conditions, observed_generation=generation)
    phase = phase_of(world, described)
    final = msgspec.structs.replace(described, phase=phase.phase, message=phase.message)
    deadline = exceeded_at(world, final)
    return Decision(final, wake_at=deadline if deadline is not None and deadline > now else None)


def _count(world: World, status: RolloutStatus) -> RolloutStatus:
    live = [rs for rs in world.replica_sets if not rs.deleting]
    new = world.by_hash(status.current_pod_hash)
    pods = sum(rs.current for rs in live)
    return msgspec.structs.replace(
        status,
        replicas=pods,
        hpa_replicas=pods,
        updated_replicas=new.current if new else 0,
        ready_replicas=sum(rs.ready for rs in live),
        available_replicas=sum(rs.available for rs in live),
        selector=_selector(world),
    )


def _selector(world: World) -> str:
    selector = world.rollout.spec.selector
    if selector is None:
        return ""
    equal = [f"{key}={value}" for key, value in sorted(selector.match_labels.items())]
    words = {"In": "in", "NotIn": "notin"}
    for expression in selector.match_expressions:
        if expression.operator in words:
            equal.append(f"{expression.key} {words[expression.operator]} ({','.join(expression.values)})")
        else:
            equal.append(expression.key if expression.operator == "Exists" else f"!{expression.key}")
    return ",".join(equal)


def _progress(status: RolloutStatus) -> tuple[object, ...]:
    """What counts as progress: anything of this that changes."""
    weights = status.canary.weights
    return (
        status.current_pod_hash,
        status.stable_rs,
        status.current_step_index,
        status.updated_replicas,
        status.ready_replicas,
        status.available_replicas,
        status.replicas,
        weights.canary.weight if weights else None,
        bool(status.pause_conditions),
        status.abort,
    )


def phase_of(world: World, status: RolloutStatus) -> Phase:
    """Argo's order of phases (utils/rollout/rolloututil.go, GetRolloutPhase)."""
    progressing = find(status.conditions, "Progressing")
    if progressing is not None and progressing.reason in {"RolloutAborted", EXCEEDED}:
        return Phase("Degraded", f"{progressing.reason}: {progressing.message}")
    if world.rollout.spec.paused:
        return Phase("Paused", "manually paused")
    if status.pause_conditions:
        return Phase("Paused", status.pause_conditions[0].reason)
    if message := _waiting(world, status):
        return Phase("Progressing", message)
    return Phase("Healthy")


def _waiting(world: World, status: RolloutStatus) -> str:
    spec = world.rollout.spec
    new = world.by_hash(status.current_pod_hash)
    available = new.available if new else 0
    if spec.restart_at is not None and spec.restart_at != status.restarted_at:
        return "rollout is restarting"
    if status.updated_replicas < world.replicas:
        return "more replicas need to be updated"
    if available < status.updated_replicas:
        return "updated replicas are still becoming available"
    if not world.routed and fully_promoted(status) and status.replicas > status.updated_replicas:
        return "old replicas are pending termination"
    return "" if fully_promoted(status) else "waiting for all steps to complete"


def _conditions(world: World, status: RolloutStatus, *, stuck: bool) -> tuple[Condition, ...]:
    healthy = fully_promoted(status) and not _waiting(world, status) and not status.abort
    completed = fully_promoted(status)
    revision = world.rollout.metadata.annotations.get("coalmine.dev/revision", "")
    stable = world.by_hash(status.stable_rs)
    enough = status.available_replicas >= world.replicas
    paused = bool(world.rollout.spec.paused or status.pause_conditions)
    reason = status.pause_conditions[0].reason if status.pause_conditions else "RolloutPaused"
    conditions = [
        _progressing(world, status, stuck=stuck, healthy=healthy),
        _condition(
            "Available",
            enough,
            "AvailableReason",
            "Rollout has minimum availability"
            if enough
            else f"Rollout does not have minimum availability: {status.available_replicas} of {world.replicas} pods",
        ),
        _condition(
            "Paused",
            paused,
            reason if paused else "RolloutNotPaused",
            "Rollout is paused" if paused else "Rollout is not paused",
        ),
        _condition(
            "Healthy",
            healthy,
            "RolloutHealthy" if healthy else "RolloutNotHealthy",
            "Rollout is healthy" if healthy else "Rollout is not healthy",
        ),
        _condition(
            "Completed",
            completed,
            "RolloutCompleted" if completed else "RolloutNotCompleted",
            f"Rollout completed update to revision {stable.revision if stable else revision}"
            if completed
            else "Rollout is not completed",
        ),
    ]
    analysis = _analysis(world, status)
    return (*conditions, analysis) if analysis else tuple(conditions)


def _condition(kind: str, holds: bool, reason: str, message: str) -> Condition:  # noqa: FBT001  the value itself
    return Condition(type=kind, status="True" if holds else "False", reason=reason, message=message)


def _progressing(world: World, status: RolloutStatus, *, stuck: bool, healthy: bool) -> Condition:
    if status.abort:
        return _condition("Progressing", False, "RolloutAborted", _abort_message(world, status))
    new = world.by_hash(status.current_pod_hash)
    name = new.name if new else world.rollout.metadata.name
    if stuck:
        return _condition(
            "Progressing",
            False,
            EXCEEDED,
            f'ReplicaSet "{name}" has timed out progressing.',
        )
    if world.rollout.spec.paused or status.pause_conditions:
        return Condition(type="Progressing", status="Unknown", reason="RolloutPaused", message="Rollout is paused")
    if healthy:
        return _condition(
            "Progressing", True, "NewReplicaSetAvailable", f'ReplicaSet "{name}" has successfully progressed.'
        )
    if first_deployment(world, status) and status.updated_replicas == 0:
        return _condition("Progressing", True, "NewReplicaSetCreated", f'Created new replica set "{name}"')
    return _condition("Progressing", True, "ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.')


def _abort_message(world: World, status: RolloutStatus) -> str:
    """Why the update was given up; said once, and kept while it stays given up."""
    old = find(world.rollout.status.conditions, "Progressing")
    if world.rollout.status.abort and old is not None and old.reason == "RolloutAborted":
        return old.message
    new = world.by_hash(status.current_pod_hash)
    revision = new.revision if new else 0
    run = background(world, status)
    if run is not None and run.phase in {AnalysisPhase.FAILED, AnalysisPhase.ERROR}:
        return f"Rollout aborted update to revision {revision}: {run.message}"
    if old is not None and old.reason == EXCEEDED:
        return f"Rollout aborted update to revision {revision}: it made no progress within progressDeadlineSeconds"
    return f"Rollout aborted update to revision {revision}"


def _analysis(world: World, status: RolloutStatus) -> Condition | None:
    """PASS, FAIL and INCONCLUSIVE stay apart: True, False and Unknown, each with its own reason."""
    runs = of_update(world, status)
    run = background(world, status) or (runs[-1] if runs else None)
    if run is None or not (updating(world, status) or run.phase.completed):
        return find(status.conditions, "AnalysisPassed")
    if run.no_data_since and not run.phase.completed:
        message = f"No data since {run.no_data_since}; the rollout goes on by itself when data return"
        return Condition(type="AnalysisPassed", status="Unknown", reason="NoData", message=message)
    words = {AnalysisPhase.SUCCESSFUL: "True", AnalysisPhase.FAILED: "False"}
    value = words.get(run.phase, "Unknown")
    return Condition(
        type="AnalysisPassed",
        status="True" if value == "True" else "False" if value == "False" else "Unknown",
        reason=str(run.phase),
        message=run.message if run.phase.completed else run.anomaly or run.message,
    )
