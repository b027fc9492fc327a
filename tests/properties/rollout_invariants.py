"""What must hold in every turn of a Rollout, whatever happened before it. Each check looks at one turn only."""

from collections.abc import Set as AbstractSet

from rollout.api.keys import FINALIZER
from rollout.api.rollout import RolloutStatus
from rollout.api.values import int_or_percent
from rollout.domain import actions as act
from rollout.domain.decision import Decision
from rollout.domain.progress.invalid import problems
from rollout.domain.progress.weights import room
from rollout.domain.rollout import decide
from rollout.domain.world import World
from tests.model import Model


def check_decision(world: World, decision: Decision[RolloutStatus], condemned: AbstractSet[str]) -> None:
    """A decision, against the world that it was made in.

    Args:
        world: what was seen.
        decision: what is to happen.
        condemned: hashes of versions that failed, and that no user has tried again since.
    """
    if world.rollout.metadata.deletion_timestamp:
        return
    if problems(world):
        # The last good state keeps running; only a version that was given up loses its traffic.
        gone = [a for a in decision.actions if isinstance(a, act.SetWeight) and a.canary_weight_percent == 0]
        assert decision.actions == tuple(gone), "an invalid Rollout was touched"
        assert not gone or decision.status.abort
        return
    _check_weights(world, decision)
    _check_promotion(world, decision, condemned)
    _check_order(world, decision)
    _check_evictions(world, decision)
    _check_history(world, decision)
    if world.routed and world.by_hash(decision.status.stable_rs):
        _check_stable(world, decision)
    else:
        _check_rolling(world, decision)


def carried_percent(world: World, pod_hash: str) -> int:
    """The share of the traffic that the ready pods of a version carry."""
    new = world.by_hash(pod_hash)
    available = min(new.available, new.replicas) if new else 0
    return 100 if available and available >= world.replicas else available * 100 // max(world.replicas, 1)


def _check_weights(world: World, decision: Decision[RolloutStatus]) -> None:
    weights = [a.canary_weight_percent for a in decision.actions if isinstance(a, act.SetWeight)]
    carried = carried_percent(world, decision.status.current_pod_hash)
    assert all(0 <= weight <= 100 for weight in weights), weights
    assert all(weight <= carried for weight in weights), (weights, carried)
    assert not (decision.status.abort and any(weights)), "a failed version got traffic"
    shown = decision.status.canary.weights
    assert shown is None or (0 <= shown.canary.weight <= 100 and shown.canary.weight + shown.stable.weight == 100)


def _check_promotion(world: World, decision: Decision[RolloutStatus], condemned: AbstractSet[str]) -> None:
    status = decision.status
    if status.stable_rs == world.rollout.status.stable_rs:
        return
    assert status.stable_rs not in condemned, "a version that failed was promoted"
    assert not status.abort
    new = world.by_hash(status.stable_rs)
    assert new is not None
    assert min(new.available, new.replicas) >= world.replicas, "promoted before its pods were there"


def _check_order(world: World, decision: Decision[RolloutStatus]) -> None:
    """Where a canary loses traffic, that happens before anything else does."""
    if decision.status.stable_rs == decision.status.current_pod_hash:
        return  # After a promotion stable's Service goes first.
    present = {route.name: route.canary_weight_percent for route in world.routes}
    sizes = {rs.name: rs.replicas for rs in world.replica_sets}
    lowering, others = [], []
    for index, action in enumerate(decision.actions):
        match action:
            case act.SetWeight() if action.canary_weight_percent < present[action.route]:
                lowering.append(index)
            case act.SelectPods():
                others.append(index)
            case act.ScaleReplicaSet() if action.replicas < sizes[action.name]:
                others.append(index)
    assert not lowering or not others or max(lowering) < min(others), "pods or Services went before the traffic"


def _check_evictions(world: World, decision: Decision[RolloutStatus]) -> None:
    """A restart leaves as many ready pods as an update would."""
    evicted = {action.name for action in decision.actions if isinstance(action, act.EvictPod)}
    ready = {pod.name for pod in world.pods if pod.ready and not pod.deleting}
    if not evicted:
        return
    missing_max = int_or_percent(
        world.canary.max_unavailable, world.replicas, default="25%", round_up=False, field="maxUnavailable"
    )
    wanted = sum(rs.replicas for rs in world.replica_sets)
    assert len(ready - evicted) >= min(wanted - max(missing_max, 1), len(ready)), "too many pods restart at once"


def _check_history(world: World, decision: Decision[RolloutStatus]) -> None:
    hashes = {rs.name: rs.pod_hash for rs in world.replica_sets}
    gone = {hashes[action.name] for action in decision.actions if isinstance(action, act.DeleteReplicaSet)}
    assert not gone & {decision.status.stable_rs, decision.status.current_pod_hash}, "a needed version was forgotten"


def _check_stable(world: World, decision: Decision[RolloutStatus]) -> None:
    """With a router stable keeps all its pods, so that the traffic can return at once."""
    stable = world.by_hash(decision.status.stable_rs)
    assert stable is not None
    for action in decision.actions:
        if isinstance(action, act.ScaleReplicaSet) and action.name == stable.name:
            assert action.replicas >= world.replicas


def _check_rolling(world: World, decision: Decision[RolloutStatus]) -> None:
    """Surge and unavailability hold as in a Deployment."""
    after = {rs.name: rs.replicas for rs in world.replica_sets}
    after |= {a.name: a.replicas for a in decision.actions if isinstance(a, act.ScaleReplicaSet)}
    born = sum(a.replicas for a in decision.actions if isinstance(a, act.CreateReplicaSet))
    bounds = room(world.canary.max_surge, world.canary.max_unavailable, world.replicas)
    sets = world.replica_sets
    before = sum(max(rs.replicas, rs.current) for rs in sets)
    total = sum(max(after[rs.name], min(rs.current, rs.replicas)) for rs in sets) + born
    assert total <= max(world.replicas + bounds.surge, before), "more pods than surge allows"
    available = sum(min(rs.available, rs.replicas) for rs in sets)
    left = sum(min(rs.available, after[rs.name]) for rs in sets)
    assert left >= min(world.replicas - bounds.unavailable, available), "we took pods that were needed"


def check_before(model: Model, action: act.Action) -> None:
    """An action, against the cluster at the moment in which it happens."""
    match action:
        case act.SelectPods() if action.pod_hash:
            target = model.world().by_hash(action.pod_hash)
            assert target is not None
            assert target.available >= 1, "a Service would select nothing"
        case act.SetWeight() if action.canary_weight_percent > 0:
            assert FINALIZER in model.rollout.metadata.finalizers, "a deletion could not give the route back"
        case act.ScaleReplicaSet() if model.rollout.spec.replicas and model.routes and _stable(model):
            # Without a route users come through a Service of their own over both arms, and pods move within surge.
            rs = model.replica_sets[action.name]
            selected = any(service.pod_hash == rs.pod_hash for service in model.services.values())
            assert action.replicas or not (selected and rs.available), "a Service lost all its pods"
        case act.DeleteReplicaSet():
            rs = model.replica_sets[action.name]
            assert (rs.replicas, rs.current) == (0, 0), "a version with pods was forgotten"


def _stable(model: Model) -> bool:
    """Whether there is a stable version, or somebody took it away."""
    return model.world().by_hash(model.rollout.status.stable_rs) is not None


def check_after(seen: World, model: Model, decision: Decision[RolloutStatus]) -> None:
    """The cluster after a whole turn: routes carry what pods can, and nothing of a version that was given up."""
    world = model.world()
    ours = FINALIZER in seen.rollout.metadata.finalizers  # An invalid Rollout mends no route that it did not change.
    if seen.rollout.metadata.deletion_timestamp or (problems(seen) and not ours):
        return
    weights = [route.canary_weight_percent for route in world.routes]
    assert not (decision.status.abort and any(weights)), "a version that was given up has traffic"
    if problems(seen):
        return
    if decision.status.current_pod_hash == seen.rollout.status.current_pod_hash and "canary" in model.services:
        # The turn that names a new version ends there; the next one takes the traffic from the old one.
        carried = carried_percent(seen, model.services["canary"].pod_hash)
        assert all(weight <= carried for weight in weights), "more traffic than ready pods carry"


def _check_wake_up(world: World, decision: Decision[RolloutStatus], now: float) -> None:
    """Time alone changes nothing before the wake-up; without one, never."""
    last = now + 1e6 if decision.wake_at is None else decision.wake_at - 0.5
    for later in {min(now + 1, last), last}:
        asleep = decide(world, later)
        assert not asleep.actions, f"asleep when something was to be done: {asleep.actions}"
        assert asleep.status == decision.status, "asleep when the status was to change"


def check_rest(model: Model, decision: Decision[RolloutStatus], *, expected: bool) -> None:
    """A world in which the controller has nothing left to do.

    Args:
        model: the cluster.
        decision: of the last turn, which changed nothing.
        expected: whether something is to come that asks for the next turn.
    """
    assert not decision.actions, "a world at rest is acted upon"
    assert not decision.events
    if decision.wake_at is not None:
        assert decision.wake_at > model.now, "a wake-up in the past is a loop without rest"
    else:
        healthy = decision.status.phase == "Healthy"
        assert healthy or expected or model.deleted, f"nobody looks at it again: {decision.status}"
    world = model.world()
    _check_wake_up(world, decision, model.now)
    if problems(world) or model.deleted or world.rollout.metadata.deletion_timestamp:
        return
    if world.routes:
        differs = not all(route.original for route in world.routes)
        assert (FINALIZER in world.rollout.metadata.finalizers) == differs
