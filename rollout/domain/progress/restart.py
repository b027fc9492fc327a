"""`spec.restartAt`: pods created before are evicted, no more at a time than may be unavailable."""

import msgspec

from rollout.api.rollout import RolloutStatus
from rollout.api.values import int_or_percent
from rollout.domain.actions import EvictPod
from rollout.domain.clock import epoch
from rollout.domain.decision import Decision
from rollout.domain.world import World

RETRY_SECONDS = 10.0
"""After evictions: a disruption budget may have refused them, and nothing tells when it would not."""


def evict(world: World, status: RolloutStatus, now: float) -> Decision[RolloutStatus]:
    """Evict the next pods that are older than `restartAt`; done when none is left."""
    restart_at = world.rollout.spec.restart_at
    if restart_at is None or restart_at == status.restarted_at:
        return Decision(status)
    due = epoch(restart_at)
    if now < due:
        return Decision(status, wake_at=due)
    old = [pod for pod in world.pods if pod.created_at < due]
    if not old:
        return Decision(msgspec.structs.replace(status, restarted_at=restart_at))
    allowed = int_or_percent(
        world.canary.max_unavailable, world.replicas, default="25%", round_up=False, field="maxUnavailable"
    )
    missing = sum(pod.deleting or not pod.ready for pod in world.pods)
    wanted = sum(rs.replicas for rs in world.replica_sets)
    missing += max(wanted - len(world.pods), 0)
    room = max(max(allowed, 1) - missing, 0)
    standing = sorted((pod for pod in old if not pod.deleting), key=lambda pod: (pod.created_at, pod.name))
    evictions = tuple(EvictPod(pod.name, pod.uid) for pod in standing[:room])
    return Decision(status, evictions, wake_at=now + RETRY_SECONDS if evictions else None)
