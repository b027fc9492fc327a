"""A Rollout that is being deleted gives routes and Services back as it found them."""

from rollout.api.keys import FINALIZER
from rollout.api.rollout import RolloutStatus
from rollout.domain.actions import Action, RestoreRoute, SelectPods, SetFinalizer
from rollout.domain.decision import Decision
from rollout.domain.world import World


def leave(world: World) -> Decision[RolloutStatus]:
    """Give everything back, routes first; then let the deletion happen."""
    if FINALIZER not in world.rollout.metadata.finalizers:
        return Decision(world.rollout.status)
    strategy = world.canary
    routes: tuple[Action, ...] = tuple(
        RestoreRoute(r.name, strategy.canary_service, strategy.stable_service) for r in world.routes if not r.original
    )
    services: tuple[Action, ...] = tuple(
        SelectPods(s.name, "") for s in world.services if s.managed_by == world.rollout.metadata.name
    )
    return Decision(world.rollout.status, (*routes, *services, SetFinalizer(present=False)))
