"""What was gathered since a beginning: sums only, so that blocks can be added one by one and in any split."""

from dataclasses import dataclass

import numpy as np

from analysis.evidence.block import ArmBlock
from analysis.evidence.special import FloatArray


@dataclass(frozen=True, slots=True)
class PodSums:
    """Sums by pod: a row a kind of sum, a column a pod; pods are sorted."""

    pods: tuple[str, ...]
    sums: FloatArray

    def plus(self, other: "PodSums") -> "PodSums":
        """Return both together; a pod that only one knows counts as 0 in the other."""
        if self.pods == other.pods:
            return PodSums(self.pods, self.sums + other.sums)
        pods = tuple(sorted({*self.pods, *other.pods}))
        return PodSums(pods, _spread(self, pods) + _spread(other, pods))

    @property
    def effective_pods(self) -> float:
        """(sum of w)^2 / sum of w^2, w being the pods' first sums; at least 1."""
        weights = self.sums[0]
        squares = float(weights @ weights)
        return max(float(weights.sum()) ** 2 / squares, 1.0) if squares > 0 else 1.0


def by_pod(arm: ArmBlock, *rows: FloatArray) -> PodSums:
    """Return sums of one arm's pods."""
    return PodSums(arm.pods, np.stack(rows))


def _spread(one: PodSums, pods: tuple[str, ...]) -> FloatArray:
    spread = np.zeros((one.sums.shape[0], len(pods)))
    place = {pod: index for index, pod in enumerate(pods)}
    spread[:, [place[pod] for pod in one.pods]] = one.sums
    return spread


@dataclass(frozen=True, slots=True)
class Gathered:
    """Sums of one part of a metric: those of the whole, and those by pod of either arm."""

    sums: FloatArray
    canary: PodSums
    stable: PodSums

    def plus(self, other: "Gathered") -> "Gathered":
        """Return both together."""
        return Gathered(self.sums + other.sums, self.canary.plus(other.canary), self.stable.plus(other.stable))


def nothing(like: Gathered) -> Gathered:
    """Return the empty sums of the same shape."""
    return Gathered(np.zeros_like(like.sums), _no_pods(like.canary), _no_pods(like.stable))


def _no_pods(like: PodSums) -> PodSums:
    return PodSums((), np.zeros((like.sums.shape[0], 0)))


def noise_weight(arm: ArmBlock, weights: FloatArray, interval_seconds: float) -> float:
    """Return by how much one pod's variance in one window is to be multiplied to give that of the arm's mean.

    The sum over pods of (share of the arm's weight)^2 / windows watched. A pod watched for less than a window is
    as noisy as in a whole one, at most.
    """
    whole = float(weights.sum())
    if whole <= 0:
        return 0.0
    watched = np.maximum(arm.seconds / interval_seconds, 1e-3)
    return float(((weights / whole) ** 2 / watched).sum())


def log_load_ratio(block_load: tuple[float, float], seconds: tuple[float, float]) -> float:
    """Return ln of canary's load a pod-second over stable's; 0 where either is unknown."""
    if min(*block_load, *seconds) <= 0:
        return 0.0
    return float(np.log(block_load[0] / seconds[0]) - np.log(block_load[1] / seconds[1]))
