"""The pods of each arm: as many as its share needs, within surge and unavailability."""

from dataclasses import replace

from rollout.api.keys import SCALE_DOWN_DEADLINE
from rollout.api.rollout import RolloutStatus
from rollout.domain.actions import Action, AnnotateReplicaSet, ScaleReplicaSet
from rollout.domain.clock import epoch, rfc3339
from rollout.domain.decision import Decision, Event, earliest
from rollout.domain.progress.rolling import Want, roll
from rollout.domain.progress.standing import (
    first_deployment,
    fully_promoted,
    new_replica_set,
    pods_for,
    stable_replica_set,
    target_weight_percent,
    updating,
)
from rollout.domain.progress.weights import approximate, room
from rollout.domain.world import ReplicaSetView, World

DEFAULT_DELAY_SECONDS = 30


def scale(world: World, status: RolloutStatus, now: float) -> Decision[RolloutStatus]:
    """Scale every ReplicaSet towards what the current step needs."""
    if new_replica_set(world, status) is None and stable_replica_set(world, status) is None:
        return Decision(status)
    if world.routed and not first_deployment(world, status):
        return _scale_routed(world, status, now)
    counts = _rolled(world, status)
    return _decision(world, status, [(rs, counts[rs.name]) for rs in world.replica_sets if not rs.deleting])


def first_size(world: World, status: RolloutStatus, born: ReplicaSetView) -> int:
    """Pods that a ReplicaSet may be made with: as many as the next turn would give it, if it stood there without any.

    With a router that is none: what the older canary still gets is taken back before a new one has pods.
    """
    with_it = replace(world, replica_sets=(*world.replica_sets, born))
    if world.routed and not first_deployment(with_it, status):
        return 0
    return _rolled(with_it, status)[born.name]


def _decision(
    world: World,
    status: RolloutStatus,
    targets: list[tuple[ReplicaSetView, int]],
    more: tuple[Action, ...] = (),
    wake_at: float | None = None,
) -> Decision[RolloutStatus]:
    changed = [(rs, count) for rs, count in targets if rs.replicas != count]
    actions = tuple(ScaleReplicaSet(rs.name, count, world.replicas) for rs, count in changed)
    events = tuple(
        Event(
            "Normal",
            "ScalingReplicaSet",
            f"Scaled {'up' if count > rs.replicas else 'down'} ReplicaSet {rs.name} (revision {rs.revision}) "
            f"from {rs.replicas} to {count}",
        )
        for rs, count in changed
    )
    return Decision(status, (*actions, *more), events, wake_at)


def _rolled(world: World, status: RolloutStatus) -> dict[str, int]:
    """Counts of the next move where the ratio of pods is the weight."""
    strategy = world.canary
    bounds = room(strategy.max_surge, strategy.max_unavailable, world.replicas)
    new, stable = new_replica_set(world, status), stable_replica_set(world, status)
    wants = []
    if new is not None and stable is not None and updating(world, status):
        counts = approximate(target_weight_percent(world, status), world.replicas, bounds.surge)
        wants = [Want(stable, counts.stable), Want(new, counts.canary)]
    else:
        first = new or stable
        wants = [Want(first, world.replicas)] if first is not None else []
    named = {want.replica_set.name for want in wants}
    live = [rs for rs in world.replica_sets if not rs.deleting]
    older = [Want(rs, 0) for rs in live if rs.name not in named]
    return roll([*wants, *older], world.replicas, bounds)


def _scale_routed(world: World, status: RolloutStatus, now: float) -> Decision[RolloutStatus]:
    """Counts where a router carries the weights: stable keeps all its pods, so that traffic can return at once."""
    new, stable = new_replica_set(world, status), stable_replica_set(world, status)
    targets: list[tuple[ReplicaSetView, int]] = []
    if stable is not None:
        targets.append((stable, world.replicas))
    wake_at: float | None = None
    if new is not None and not fully_promoted(status):
        count, wake_at = _canary_count(world, status, new, now)
        targets.append((new, count))
    kept = {rs.name for rs, _ in targets}
    revive = tuple(
        AnnotateReplicaSet(rs.name, {SCALE_DOWN_DEADLINE: None}) for rs, _ in targets if rs.scale_down_at is not None
    )
    older = [rs for rs in world.replica_sets if rs.name not in kept and not rs.deleting and rs.replicas > 0]
    decision = _decision(world, status, targets, revive, wake_at)
    return decision.then(_retire(world, status, older, now))


def _canary_count(world: World, status: RolloutStatus, new: ReplicaSetView, now: float) -> tuple[int, float | None]:
    """Pods of the canary and when that may change: what the target or the traffic still flowing needs."""
    flowing = max((r.canary_weight_percent if r.accepted else 100 for r in world.routes), default=0)
    if not status.abort:
        held = pods_for(flowing, world.replicas) if new.replicas else 0
        return max(pods_for(target_weight_percent(world, status), world.replicas), min(held, new.replicas)), None
    delay = world.canary.abort_scale_down_delay_seconds
    if delay == 0 or flowing > 0 or new.pod_hash in _selected(world):
        return new.replicas, None
    aborted_at = epoch(status.aborted_at) if status.aborted_at else now
    ends_at = aborted_at + (DEFAULT_DELAY_SECONDS if delay is None else delay)
    return (0, None) if now >= ends_at else (new.replicas, ends_at)


def _retire(world: World, status: RolloutStatus, older: list[ReplicaSetView], now: float) -> Decision[RolloutStatus]:
    """Old pods stay for a while, because gateways learn of new endpoints late; then they go."""
    delay = world.canary.scale_down_delay_seconds
    until = rfc3339(now + (DEFAULT_DELAY_SECONDS if delay is None else delay))
    limit = world.canary.scale_down_delay_revision_limit
    by_age = sorted(older, key=lambda rs: -rs.created_at)
    over = set() if limit is None else {rs.name for rs in by_age[limit:]}
    fresh = [rs for rs in older if rs.scale_down_at is None and rs.name not in over]
    marks = tuple(AnnotateReplicaSet(rs.name, {SCALE_DOWN_DEADLINE: until}) for rs in fresh)
    passed = [rs for rs in older if rs.name in over or (rs.scale_down_at is not None and now >= rs.scale_down_at)]
    due = [rs for rs in passed if rs.pod_hash not in _selected(world)]
    waits = [rs.scale_down_at for rs in older if rs not in passed and rs.scale_down_at is not None]
    waits += [epoch(until) for _ in fresh]
    return _decision(world, status, [(rs, 0) for rs in due], marks, earliest(*waits))


def _selected(world: World) -> set[str]:
    """Versions that a Service still selects: they may get traffic, and go once its selector has moved.

    That write asks for a turn. A Rollout that wants no pods keeps none for a Service.
    """
    return {service.pod_hash for service in world.services} if world.replicas else set()
