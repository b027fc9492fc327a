"""What pods did by window: the one shape that the series layer makes, the judge eats, and a model learns from."""

from dataclasses import dataclass, replace

import numpy as np

from analysis.evidence.special import FloatArray

EVENTS, TOTAL = 0, 1
"""Columns of counts."""
USED, LOAD = 0, 1
"""Columns of a Usage."""


@dataclass(frozen=True)
class ArmTable:
    """What the pods of one arm did, a row a pod and a column a window; pods that are too young are left out.

    Attributes:
        pods: names, sorted; one empty name where series carry none.
        seconds: (pods, windows) seconds that the pod was watched in the window; 0 where nothing is known of it.
        amounts: (pods, windows, columns). Counts: events and total (requests, or pod-seconds). Histogram: what fell
            into each bucket, not cumulative, the last one open. Usage: what was used, and the load. All of these are
            increases of counters, 0 where unknown. Level and Growth: one column, the mean of the window's samples, NaN
            where there are none.
    """

    pods: tuple[str, ...]
    seconds: FloatArray
    amounts: FloatArray

    def cut(self, start: int, stop: int) -> "ArmTable":
        """Return some of the windows, counted from the table's first."""
        return ArmTable(self.pods, self.seconds[:, start:stop], self.amounts[:, start:stop])


@dataclass(frozen=True)
class Table:
    """Both arms over the same windows.

    Attributes:
        first: index of the first window; window 0 begins when the run starts.
        interval_seconds: length of a window.
        bounds: upper bounds of a histogram's buckets in seconds, without the open last one; else empty.
    """

    canary: ArmTable
    stable: ArmTable
    first: int
    interval_seconds: float
    bounds: tuple[float, ...] = ()

    @property
    def windows(self) -> int:
        """Number of windows."""
        return int(self.canary.seconds.shape[1])

    @property
    def end(self) -> int:
        """Index of the window after the last."""
        return self.first + self.windows

    def cut(self, start: int, stop: int) -> "Table":
        """Return the windows from index `start` up to `stop`, both counted from the run's start."""
        low, high = max(start - self.first, 0), max(stop - self.first, 0)
        return replace(
            self, canary=self.canary.cut(low, high), stable=self.stable.cut(low, high), first=max(start, self.first)
        )

    def swapped(self) -> "Table":
        """Return the same with the arms exchanged: a decrease becomes an increase."""
        return replace(self, canary=self.stable, stable=self.canary)


def joined(before: Table, after: Table) -> Table:
    """Return two tables that follow each other as one; pods of either have empty windows in the other."""
    return replace(before, canary=_joined(before.canary, after.canary), stable=_joined(before.stable, after.stable))


def _joined(before: ArmTable, after: ArmTable) -> ArmTable:
    pods = tuple(sorted({*before.pods, *after.pods}))
    parts = [_spread(arm, pods) for arm in (before, after)]
    return ArmTable(
        pods,
        np.concatenate([part.seconds for part in parts], axis=1),
        np.concatenate([part.amounts for part in parts], axis=1),
    )


def _spread(arm: ArmTable, pods: tuple[str, ...]) -> ArmTable:
    if arm.pods == pods:
        return arm
    rows = [pods.index(pod) for pod in arm.pods]
    windows, columns = arm.amounts.shape[1:]
    seconds = np.zeros((len(pods), windows))
    amounts = np.full((len(pods), windows, columns), np.nan if _is_gauge(arm) else 0.0)
    seconds[rows], amounts[rows] = arm.seconds, arm.amounts
    return ArmTable(pods, seconds, amounts)


def _is_gauge(arm: ArmTable) -> bool:
    return bool(arm.amounts.shape[2] == 1)
