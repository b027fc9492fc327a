"""Each arm's share of the traffic, and the Services that select the arms.

Invariants: the canary never gets more than its available pods carry; a smaller share is written before anything else
changes; a Service is pointed to pods that are there.
"""

import msgspec

from rollout.api.keys import FINALIZER
from rollout.api.rollout import RolloutStatus, TrafficWeights, WeightDestination
from rollout.domain.actions import Action, SelectPods, SetFinalizer, SetWeight
from rollout.domain.decision import Decision, Event
from rollout.domain.progress.standing import (
    carried_percent,
    first_deployment,
    new_replica_set,
    stable_replica_set,
    target_weight_percent,
    updating,
)
from rollout.domain.progress.weights import ratio_percent
from rollout.domain.world import RouteView, ServiceView, World


def route(world: World, status: RolloutStatus, now: float) -> Decision[RolloutStatus]:
    """Move weights and Services towards what the current step asks for, as far as pods carry it."""
    del now
    if not world.routed:
        return Decision(_with_weights(world, status, _ratio(world, status)), _select(world, status))
    weight = allowed_weight_percent(world, status)
    weights = tuple(
        SetWeight(r.name, world.canary.canary_service, world.canary.stable_service, weight)
        for r in world.routes
        if not r.problem and r.canary_weight_percent != weight
    )
    selects = _select(world, status)
    actions: tuple[Action, ...] = (*weights, *selects) if _falling(world, status, weight) else (*selects, *weights)
    events = tuple(
        Event(
            "Normal",
            "TrafficWeightUpdated",
            f"Traffic weight of {w.route}: canary {weight} %, stable {100 - weight} %",
        )
        for w in weights
    )
    return Decision(_with_weights(world, status, weight), (*_hold(world, weight), *actions), events)


def withdraw(world: World, status: RolloutStatus) -> Decision[RolloutStatus]:
    """Take all traffic from the canary and do nothing else, in routes that this Rollout has changed."""
    if not world.routed or world.rivals or FINALIZER not in world.rollout.metadata.finalizers:
        return Decision(status)
    weights = tuple(
        SetWeight(r.name, world.canary.canary_service, world.canary.stable_service, 0)
        for r in world.routes
        if not r.problem and not r.controlled_by and r.canary_weight_percent != 0
    )
    return Decision(_with_weights(world, status, 0), weights)


def _falling(world: World, status: RolloutStatus, weight_percent: int) -> bool:
    """Whether the canary loses traffic: then weights go first. After a promotion, stable's Service goes first."""
    return updating(world, status) and any(r.canary_weight_percent > weight_percent for r in world.routes)


def _hold(world: World, weight_percent: int) -> tuple[Action, ...]:
    """A finalizer only while a route differs from its original, so that deletion gives it back first."""
    held = FINALIZER in world.rollout.metadata.finalizers
    differs = weight_percent > 0 or not all(r.original for r in world.routes)
    return () if held == differs else (SetFinalizer(differs),)


def allowed_weight_percent(world: World, status: RolloutStatus) -> int:
    """The share to write now: the target once pods carry it, else the present share, lowered to what pods carry."""
    target = target_weight_percent(world, status)
    present = max((r.canary_weight_percent for r in world.routes), default=0)
    if not updating(world, status):
        return 0
    new = new_replica_set(world, status)
    carried = carried_percent(min(new.available, new.replicas), world.replicas) if new else 0
    if carried >= target:
        return target
    return max(0, min(present, carried, target))


def _select(world: World, status: RolloutStatus) -> tuple[Action, ...]:
    wanted: list[tuple[str, str]] = []
    stable = stable_replica_set(world, status)
    if world.canary.stable_service and stable is not None:
        wanted.append((world.canary.stable_service, stable.pod_hash))
    if world.canary.canary_service and stable is not None:
        wanted.append((world.canary.canary_service, _canary_target(world, status)))
    return tuple(
        SelectPods(service.name, pod_hash)
        for name, pod_hash in wanted
        if (service := world.service(name)) is not None and _needs_switch(world, service, pod_hash)
    )


def _needs_switch(world: World, service: ServiceView, pod_hash: str) -> bool:
    if service.pod_hash == pod_hash and service.managed_by == world.rollout.metadata.name:
        return False
    target = world.by_hash(pod_hash)
    return target is not None and target.available >= 1


def _canary_target(world: World, status: RolloutStatus) -> str:
    """The canary's pods while they exist and are wanted, else stable's: the Service never selects nothing."""
    new = new_replica_set(world, status)
    if updating(world, status) and not status.abort and new is not None and new.available >= 1:
        return new.pod_hash
    if updating(world, status) and any(r.canary_weight_percent != 0 or not r.accepted for r in world.routes):
        # The gateway may still send traffic to the canary Service; its selector follows when the weight is gone.
        service = world.service(world.canary.canary_service)
        selected = world.by_hash(service.pod_hash) if service else None
        if selected is not None and selected.available >= 1:
            return selected.pod_hash
    return status.stable_rs


def _ratio(world: World, status: RolloutStatus) -> int:
    if not updating(world, status):
        return 0
    new = new_replica_set(world, status)
    available = new.available if new else 0
    return ratio_percent(available, sum(rs.available for rs in world.replica_sets) - available)


def _with_weights(world: World, status: RolloutStatus, weight_percent: int) -> RolloutStatus:
    """Show the weights in the status."""
    if first_deployment(world, status):
        return status
    canary = WeightDestination(
        weight=weight_percent,
        service_name=world.canary.canary_service,
        pod_template_hash=status.current_pod_hash if updating(world, status) else status.stable_rs,
    )
    stable = WeightDestination(
        weight=100 - weight_percent,
        service_name=world.canary.stable_service,
        pod_template_hash=status.stable_rs,
    )
    verified = all(_confirmed(r, weight_percent) for r in world.routes) if world.routes else None
    weights = TrafficWeights(canary=canary, stable=stable, verified=verified)
    return msgspec.structs.replace(status, canary=msgspec.structs.replace(status.canary, weights=weights))


def _confirmed(view: RouteView, weight_percent: int) -> bool:
    return view.canary_weight_percent == weight_percent and view.accepted is True
