"""One safe move of a rolling change: surge and unavailability as in a Deployment, for any number of ReplicaSets."""

from dataclasses import dataclass

from rollout.domain.progress.weights import Room
from rollout.domain.world import ReplicaSetView


@dataclass(frozen=True, slots=True)
class Want:
    """A ReplicaSet and the number of pods it shall have in the end. Order is the order of scaling up."""

    replica_set: ReplicaSetView
    count: int


def roll(wants: list[Want], replicas: int, room: Room) -> dict[str, int]:
    """The next number of pods of each ReplicaSet, by name.

    Never more than `replicas + surge` pods in all (pods that are still going count, since they take room); never
    fewer than `replicas - unavailable` available ones because of us. Unready pods are removed first, since that costs
    nothing; then older revisions; then whatever has more than it wants.
    """
    counts = {want.replica_set.name: want.replica_set.replicas for want in wants}
    free = replicas + room.surge - sum(max(w.replica_set.replicas, w.replica_set.current) for w in wants)
    for want in wants:
        grow = min(want.count - counts[want.replica_set.name], max(free, 0))
        if grow > 0:
            counts[want.replica_set.name] += grow
            free -= grow
    available = sum(min(w.replica_set.available, w.replica_set.replicas) for w in wants)
    spare = max(available - (replicas - room.unavailable), 0)
    for want in reversed(wants):
        spare -= _shrink(want, counts, spare)
    return counts


def _shrink(want: Want, counts: dict[str, int], spare: int) -> int:
    """Take pods from one ReplicaSet; returns how many available ones went."""
    rs = want.replica_set
    excess = rs.replicas - want.count
    if excess <= 0:
        return 0
    unready = rs.replicas - min(rs.available, rs.replicas)
    remove = min(excess, unready + spare)
    counts[rs.name] = rs.replicas - remove
    return max(remove - unready, 0)
