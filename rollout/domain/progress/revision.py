"""Which ReplicaSet is wanted, and what a change of the template or of the steps resets."""

import hashlib
import json
from typing import Any

import msgspec

from rollout.api.keys import FINGERPRINT, HASH_LABEL, REVISION
from rollout.api.rollout import CanaryStatus, RolloutDuration, RolloutStatus
from rollout.domain.actions import Action, AnnotateReplicaSet, CreateReplicaSet, PatchRollout
from rollout.domain.clock import rfc3339
from rollout.domain.decision import Decision, Event
from rollout.domain.progress.podhash import PodHashes, pod_hashes, safe_hash
from rollout.domain.progress.replicas import first_size
from rollout.domain.progress.standing import fully_promoted
from rollout.domain.world import ReplicaSetView, World


def establish(world: World, status: RolloutStatus, now: float) -> Decision[RolloutStatus]:
    """Find or create the wanted ReplicaSet; start afresh when the template or the steps have changed."""
    hashes = pod_hashes(world.rollout.spec.template, status.collision_count)
    wanted = find(world, status, hashes)
    if wanted is None and world.rollout.spec.paused:
        return Decision(status)
    if wanted is None:
        return _create(world, status, hashes, now)
    steps_hash = step_hash(world)
    changed = status.current_pod_hash != wanted.pod_hash or status.current_step_hash != steps_hash
    fresh = _afresh(world, status, wanted.pod_hash, steps_hash, now) if changed else Decision(status)
    return Decision(
        fresh.status, (*_number(world, wanted), *_persist_defaults(world)), fresh.events, halted=fresh.halted
    )


def find(world: World, status: RolloutStatus, hashes: PodHashes) -> ReplicaSetView | None:
    """The ReplicaSet of the wanted template.

    By either form of the hash; else by our own fingerprint, but only among the two ReplicaSets that the status names:
    a live label is opaque, and a mutated older ReplicaSet must not pass for the new one (Argo Rollouts #4976).
    """
    live = sorted((rs for rs in world.replica_sets if not rs.deleting), key=lambda rs: rs.created_at)
    by_hash = [rs for rs in live if rs.pod_hash == hashes.newer] or [rs for rs in live if rs.pod_hash == hashes.older]
    if by_hash:
        return by_hash[0]
    print_ = fingerprint(world.rollout.spec.template)
    recorded = (status.current_pod_hash, status.stable_rs)
    return next((rs for rs in live if rs.pod_hash in recorded and rs.fingerprint == print_), None)


def fingerprint(template: dict[str, Any]) -> str:
    """Our own identity of a template: independent of Go's types, so that no library upgrade changes it."""
    text = json.dumps(template, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def step_hash(world: World) -> str:
    """Argo's hash of the steps: a change of them starts the update afresh."""
    steps = world.canary.steps
    text = msgspec.json.encode(steps) if steps else b"null"
    return safe_hash(text)


def latest_revision(world: World) -> int:
    """The highest revision number so far."""
    return max((rs.revision for rs in world.replica_sets), default=0)


def _create(world: World, status: RolloutStatus, hashes: PodHashes, now: float) -> Decision[RolloutStatus]:
    """Create the ReplicaSet. The status names the new revision at once: it must not call the old one Healthy again."""
    name = f"{world.rollout.metadata.name}-{hashes.newer}"
    if name in world.taken_names:
        collisions = (status.collision_count or 0) + 1
        unnamed = msgspec.structs.replace(status, collision_count=collisions, current_pod_hash="")
        return Decision(unnamed, halted=True)
    revision = latest_revision(world) + 1
    fresh = _afresh(world, status, hashes.newer, step_hash(world), now)
    born = ReplicaSetView(name, "", hashes.newer, created_at=now, replicas=0, revision=revision)
    action = CreateReplicaSet(
        name,
        hashes.newer,
        labelled(world.rollout.spec.template, hashes.newer),
        {REVISION: str(revision), FINGERPRINT: fingerprint(world.rollout.spec.template)},
        first_size(world, fresh.status, born),
    )
    size = f" with size {action.replicas}" if action.replicas else ""
    event = Event("Normal", "NewReplicaSetCreated", f"Created ReplicaSet {name} (revision {revision}){size}")
    return Decision(fresh.status, (action,), (event, *fresh.events), halted=True)


def labelled(template: dict[str, Any], pod_hash: str) -> dict[str, Any]:
    """The template with the hash as a label."""
    metadata = dict(template.get("metadata") or {})
    metadata["labels"] = {**(metadata.get("labels") or {}), HASH_LABEL: pod_hash}
    return {**template, "metadata": metadata}


def _afresh(world: World, status: RolloutStatus, pod_hash: str, steps_hash: str, now: float) -> Decision[RolloutStatus]:
    """Reset what belongs to the former update (Argo: resetRolloutStatus)."""
    back = pod_hash == status.stable_rs
    fresh = msgspec.structs.replace(
        status,
        abort=False,
        aborted_at=None,
        promote_full=False,
        pause_conditions=(),
        controller_pause=False,
        current_pod_hash=pod_hash,
        current_step_hash=steps_hash,
        current_step_index=len(world.canary.steps) if back or not status.stable_rs else 0,
        current_step_started_at=rfc3339(now),
        canary=CanaryStatus(weights=status.canary.weights),
        duration=RolloutDuration(rollout_started_at=rfc3339(now)),
    )
    if back and not fully_promoted(status):
        events = (Event("Normal", "SkipSteps", "Back to the stable version: steps and analysis are skipped"),)
        return Decision(fresh, events=events)
    if status.current_pod_hash and status.current_pod_hash != pod_hash:
        return Decision(fresh, events=(Event("Normal", "RolloutUpdated", f"Rollout updated to {pod_hash}"),))
    return Decision(fresh)


def _number(world: World, wanted: ReplicaSetView) -> tuple[Action, ...]:
    """The wanted ReplicaSet carries the highest number, the Rollout the same."""
    latest = latest_revision(world)
    others = [rs.revision for rs in world.replica_sets if rs.name != wanted.name]
    number = latest if not others or wanted.revision > max(others) else latest + 1
    actions: tuple[Action, ...] = ()
    if wanted.revision != number:
        actions += (AnnotateReplicaSet(wanted.name, {REVISION: str(number)}),)
    if world.rollout.metadata.annotations.get(REVISION) != str(number):
        actions += (PatchRollout({"metadata": {"annotations": {REVISION: str(number)}}}),)
    return actions


def _persist_defaults(world: World) -> tuple[Action, ...]:
    """An autoscaler reads spec.replicas, so the default is written back (Argo does the same)."""
    if world.rollout.spec.replicas is None:
        return (PatchRollout({"spec": {"replicas": 1}}),)
    return ()
