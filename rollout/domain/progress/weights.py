"""How many pods each arm gets where the ratio of pods is the weight. Pure arithmetic."""

from dataclasses import dataclass
from math import ceil, floor

from rollout.api.values import int_or_percent


@dataclass(frozen=True, slots=True)
class Counts:
    """Pods of both arms."""

    canary: int
    stable: int


@dataclass(frozen=True, slots=True)
class Room:
    """How far a rolling change may stray from the desired number of pods."""

    surge: int
    unavailable: int


def room(max_surge: int | str | None, max_unavailable: int | str | None, replicas: int) -> Room:
    """Surge rounds up, unavailability rounds down; both zero would stand still, so one pod may be missing (Argo)."""
    path = "spec.strategy.canary."
    surge = int_or_percent(max_surge, replicas, default="25%", round_up=True, field=path + "maxSurge")
    unavailable = int_or_percent(
        max_unavailable, replicas, default="25%", round_up=False, field=path + "maxUnavailable"
    )
    return Room(surge, max(unavailable, 1) if surge == 0 else unavailable)


def approximate(weight_percent: int, replicas: int, surge: int) -> Counts:
    """The pod counts whose ratio is closest to the weight.

    As Argo's approximateWeightedCanaryStableReplicaCounts: the total is `replicas`, or one more where surge allows it;
    the closest ratio wins, on a tie the larger canary; a weight of 1 to 99 gives both arms a pod where there are two.
    """
    if replicas == 0:
        return Counts(0, 0)
    if weight_percent <= 0:
        return Counts(0, replicas)
    if weight_percent >= 100:
        return Counts(replicas, 0)
    totals = (replicas, replicas + 1) if surge > 0 else (replicas,)
    options = [
        Counts(canary, total - canary)
        for total in totals
        for canary in (ceil(total * weight_percent / 100), floor(total * weight_percent / 100))
        if total == 1 or 0 < canary < total
    ]
    return min(options, key=lambda c: (_distance(c, weight_percent), -c.canary, c.canary + c.stable))


def _distance(counts: Counts, weight_percent: int) -> float:
    return abs(counts.canary * 100 / (counts.canary + counts.stable) - weight_percent)


def ratio_percent(canary: int, stable: int) -> int:
    """The canary's share of the pods, rounded down."""
    return canary * 100 // (canary + stable) if canary + stable else 0
