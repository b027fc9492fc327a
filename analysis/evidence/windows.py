"""Counts of both arms by window, and the blocks they are judged in."""

import math
from dataclasses import dataclass

import numpy as np

from analysis.evidence.special import FloatArray

BLOCK_WINDOWS_MIN = 4
BLOCK_SECONDS_MIN = 120.0


@dataclass(frozen=True)
class ArmWindows:
    """What the pods of one arm did, a row a pod and a column a window.

    Attributes:
        events: events.
        totals: requests, or pod-seconds.
        seconds: seconds that the counters were watched.
    """

    events: FloatArray
    totals: FloatArray
    seconds: FloatArray

    def since(self, window: int) -> "ArmWindows":
        """Return the windows from one on."""
        return ArmWindows(self.events[:, window:], self.totals[:, window:], self.seconds[:, window:])

    def until(self, window: int) -> "ArmWindows":
        """Return the windows before one."""
        return ArmWindows(self.events[:, :window], self.totals[:, :window], self.seconds[:, :window])

    @property
    def pods(self) -> int:
        """Number of pods that contributed."""
        return int((self.totals.sum(axis=1) > 0).sum())


@dataclass(frozen=True)
class CountWindows:
    """Both arms over the same windows of `interval_seconds`."""

    canary: ArmWindows
    stable: ArmWindows
    interval_seconds: float

    def since(self, window: int) -> "CountWindows":
        """Return the windows from one on."""
        return CountWindows(self.canary.since(window), self.stable.since(window), self.interval_seconds)

    def until(self, window: int) -> "CountWindows":
        """Return the windows before one."""
        return CountWindows(self.canary.until(window), self.stable.until(window), self.interval_seconds)

    def swapped(self) -> "CountWindows":
        """Return the same with the arms exchanged: a decrease becomes an increase."""
        return CountWindows(self.stable, self.canary, self.interval_seconds)

    @property
    def block_windows(self) -> int:
        """Windows a block: long enough that noise of successive blocks is independent."""
        return max(BLOCK_WINDOWS_MIN, math.ceil(BLOCK_SECONDS_MIN / self.interval_seconds))


@dataclass(frozen=True)
class ArmBlocks:
    """One arm by block; the last block may still grow.

    Attributes:
        events: events a block.
        totals: requests or pod-seconds a block.
        noise_weight: by how much the variance of one pod in one window is to be multiplied to give that of the
            arm in the block: the sum over pods of (share of the arm's total)^2 / windows watched.
        effective_pods: (sum of totals)^2 / sum of squares, over the pods and all blocks together.
    """

    events: FloatArray
    totals: FloatArray
    noise_weight: FloatArray
    effective_pods: float


def blocks_of(arm: ArmWindows, block_windows: int, interval_seconds: float) -> ArmBlocks:
    """Return one arm pooled over blocks; empty arrays where there is no window."""
    starts = np.arange(0, arm.totals.shape[1], block_windows)
    if starts.size == 0 or arm.totals.shape[0] == 0:
        zeros = np.zeros(starts.size)
        return ArmBlocks(zeros, zeros, zeros, 0.0)
    events = np.add.reduceat(arm.events, starts, axis=1).sum(axis=0)
    totals = np.add.reduceat(arm.totals, starts, axis=1)
    watched = np.add.reduceat(arm.seconds, starts, axis=1) / interval_seconds
    whole = totals.sum(axis=0)
    share = np.divide(totals, whole, out=np.zeros_like(totals), where=whole > 0)
    # A pod watched for less than a window is as noisy as in a whole one, at most.
    weight = np.where(totals > 0, share**2 / np.maximum(watched, 1e-3), 0.0).sum(axis=0)
    by_pod = arm.totals.sum(axis=1)
    squares = float((by_pod**2).sum())
    effective = float(by_pod.sum()) ** 2 / squares if squares > 0 else 0.0
    return ArmBlocks(events, whole, weight, effective)
