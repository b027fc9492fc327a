"""Whether the world has become what a weight asks for."""

from rollout.api.rollout import RolloutStatus
from rollout.domain.progress.standing import new_replica_set, pods_for, stable_replica_set
from rollout.domain.progress.weights import approximate, room
from rollout.domain.world import World


def weight_settled(world: World, status: RolloutStatus, weight_percent: int) -> bool:
    """Whether the canary has its pods and its share, confirmed by the router where there is one."""
    if world.routed:
        return _canary_available(world, status) >= pods_for(weight_percent, world.replicas) and routed_to(
            world, weight_percent
        )
    return _ratio_settled(world, status, weight_percent)


def routed_to(world: World, weight_percent: int) -> bool:
    """Whether every route has the weight and a gateway has taken it."""
    return bool(world.routes) and all(
        route.canary_weight_percent == weight_percent and route.accepted is True for route in world.routes
    )


def _canary_available(world: World, status: RolloutStatus) -> int:
    new = new_replica_set(world, status)
    return min(new.available, new.replicas) if new else 0


def _ratio_settled(world: World, status: RolloutStatus, weight_percent: int) -> bool:
    strategy = world.canary
    surge = room(strategy.max_surge, strategy.max_unavailable, world.replicas).surge
    counts = approximate(weight_percent, world.replicas, surge)
    new, stable = new_replica_set(world, status), stable_replica_set(world, status)
    if new is None or stable is None:
        return False
    others = [rs for rs in world.replica_sets if rs.name not in {new.name, stable.name}]
    return (
        new.replicas == counts.canary
        and new.available >= counts.canary
        and stable.replicas == counts.stable
        and stable.current <= counts.stable
        and all(rs.current == 0 and rs.replicas == 0 for rs in others)
    )
