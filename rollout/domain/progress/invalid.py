"""What makes a Rollout InvalidSpec: its own spec, what it names and is not there, and what another one claims."""

import msgspec

from rollout.api.meta import Condition
from rollout.api.rollout import RolloutStatus
from rollout.domain.conditions import put
from rollout.domain.decision import Decision, Event
from rollout.domain.progress import abort, runs, traffic
from rollout.domain.progress.standing import updating
from rollout.domain.world import World

RETRY_SECONDS = 20


def problems(world: World) -> tuple[str, ...]:
    """Everything that has to be mended first, in words; empty where the Rollout can go on."""
    return (*world.problems, *world.rivals, *_missing(world))


def _missing(world: World) -> tuple[str, ...]:
    strategy, path = world.canary, "spec.strategy.canary."
    named = [
        (path + field, "Service", name, {s.name for s in world.services})
        for field, name in (
            ("stableService", strategy.stable_service),
            ("canaryService", strategy.canary_service),
        )
        if name
    ]
    routing = strategy.traffic_routing
    gateway = routing.gateway_api if routing else None
    names = (
        [r.name for r in gateway.http_routes] + ([gateway.http_route] if gateway.http_route else []) if gateway else []
    )
    routes = {r.name for r in world.routes}
    named += [(path + "trafficRouting.gatewayAPI.httpRoutes", "HTTPRoute", name, routes) for name in names]
    absent = [
        f'{field}: {kind} "{name}" not found; create it, or correct the name'
        for field, kind, name, there in named
        if name not in there
    ]
    taken = [
        f'{path}{field}: Service "{s.name}" is managed by Rollout {s.managed_by}; one Service belongs to one Rollout'
        for field, name in (
            ("stableService", strategy.stable_service),
            ("canaryService", strategy.canary_service),
        )
        if (s := world.service(name)) is not None and s.managed_by not in {"", world.rollout.metadata.name}
    ]
    unfit = [f"{path}trafficRouting.gatewayAPI.httpRoutes: {r.problem}" for r in world.routes if r.problem]
    return (*absent, *taken, *unfit, *_controlled(world))


def _controlled(world: World) -> tuple[str, ...]:
    """What another controller owns: it would take back every weight and every selector that we write."""
    services = ((f'Service "{s.name}"', s.controlled_by) for s in world.services)
    routes = ((f'HTTPRoute "{r.name}"', r.controlled_by) for r in world.routes)
    return tuple(
        f"spec.strategy.canary: {what} is controlled by {owner}, which would undo our changes; "
        "name one that nobody controls, or remove that ownerReference"
        for what, owner in (*services, *routes)
        if owner
    )


def refuse(world: World, found: tuple[str, ...], now: float) -> Decision[RolloutStatus]:
    """Say what is wrong and touch nothing but the traffic of a version that failed: what was good keeps running."""
    turn = _give_up(world, now)
    old = turn.status
    message = "InvalidSpec: " + "; ".join(found[:5])
    generation = world.rollout.metadata.generation
    condition = Condition(type="InvalidSpec", status="True", reason="InvalidSpec", message=message)
    status = msgspec.structs.replace(
        old,
        phase="Degraded",
        message=message,
        observed_generation=generation,
        conditions=put(old.conditions, condition, now, generation),
    )
    events = () if old.message == message else (Event("Warning", "InvalidSpec", message),)
    return turn.then(Decision(status, events=events, wake_at=now + RETRY_SECONDS))


def _give_up(world: World, now: float) -> Decision[RolloutStatus]:
    """FAIL and a user's abort are heard in any state: a Service that is missing must not keep traffic on a canary."""
    untouched = Decision(world.rollout.status)
    heard = runs.judge(world, untouched.status, now)
    if not heard.status.abort or not updating(world, heard.status):
        return untouched
    settled = heard.then(abort.settle(world, heard.status, now))
    return settled.then(traffic.withdraw(world, settled.status))
