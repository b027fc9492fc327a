"""Where an update stands, derived from the world and the status: shared questions of all stages."""

from math import ceil

from rollout.api.rollout import RolloutStatus
from rollout.api.steps import CanaryStep
from rollout.domain.world import ReplicaSetView, World


def new_replica_set(world: World, status: RolloutStatus) -> ReplicaSetView | None:
    """The ReplicaSet of the wanted revision."""
    return world.by_hash(status.current_pod_hash)


def stable_replica_set(world: World, status: RolloutStatus) -> ReplicaSetView | None:
    """The ReplicaSet that took over last."""
    return world.by_hash(status.stable_rs)


def first_deployment(world: World, status: RolloutStatus) -> bool:
    """Whether there is no stable version yet (or its ReplicaSet is gone), so that the strategy does not apply."""
    return stable_replica_set(world, status) is None


def fully_promoted(status: RolloutStatus) -> bool:
    """Whether the wanted revision is the stable one."""
    return bool(status.stable_rs) and status.stable_rs == status.current_pod_hash


def updating(world: World, status: RolloutStatus) -> bool:
    """Whether two revisions stand side by side."""
    return not first_deployment(world, status) and not fully_promoted(status)


def step_index(world: World, status: RolloutStatus) -> int:
    """Index of the current step, at most the number of steps."""
    return min(max(status.current_step_index or 0, 0), len(world.canary.steps))


def current_step(world: World, status: RolloutStatus) -> CanaryStep | None:
    """The current step; None behind the last one."""
    steps = world.canary.steps
    index = step_index(world, status)
    return steps[index] if index < len(steps) else None


def skipping(world: World, status: RolloutStatus) -> bool:
    """Whether steps and analysis are skipped: on demand, or on the way back to a recent revision."""
    return status.promote_full or within_rollback_window(world, status)


def within_rollback_window(world: World, status: RolloutStatus) -> bool:
    """Whether the wanted revision is one of the last ones (Argo: isRollbackWithinWindow).

    It counts the ReplicaSets created after the wanted one and before stable; the wanted one must be older.
    """
    window = world.rollout.spec.rollback_window
    new, stable = new_replica_set(world, status), stable_replica_set(world, status)
    if window is None or new is None or stable is None or new.created_at >= stable.created_at:
        return False
    between = [rs for rs in world.replica_sets if new.created_at < rs.created_at < stable.created_at]
    return len(between) < window.revisions


def target_weight_percent(world: World, status: RolloutStatus) -> int:
    """The canary's share that the current step asks for, whether or not its pods can carry it yet.

    A Rollout that wants no pods gives no traffic to anybody, and goes through its steps without.
    """
    if not updating(world, status) or status.abort or world.replicas == 0:
        return 0
    index, steps = step_index(world, status), world.canary.steps
    if skipping(world, status) or index >= len(steps):
        return 100
    done = (step.set_weight for step in reversed(steps[: index + 1]) if step.set_weight is not None)
    return next(done, 0)


def pods_for(weight_percent: int, replicas: int) -> int:
    """Pods that a share of the traffic needs: rounded up (Argo, with a traffic router)."""
    return ceil(weight_percent * replicas / 100)


def carried_percent(available: int, replicas: int) -> int:
    """The largest share that available pods carry without more load a pod than `replicas` pods would have."""
    if available >= replicas:
        return 100 if available else 0
    return available * 100 // replicas
