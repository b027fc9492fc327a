"""Blocks: some windows taken together, long enough that the noise of successive ones is independent."""

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from analysis.evidence.special import FloatArray
from analysis.evidence.table import ArmTable, Table

BLOCK_WINDOWS_MIN = 4
BLOCK_SECONDS_MIN = 120.0

Scale = Literal["Sum", "Log", "Logit"]
_SECONDS_AN_HOUR = 3600.0


@dataclass(frozen=True)
class ArmBlock:
    """What the pods of one arm did in a block, a row a pod.

    Attributes:
        pods: names.
        seconds: (pods,) seconds that the pod was watched.
        amounts: (pods, columns). Of counters: sums. Of gauges: the mean of the logarithm (or the logit), and the
            mean time of the samples in hours since the run's start.
    """

    pods: tuple[str, ...]
    seconds: FloatArray
    amounts: FloatArray


@dataclass(frozen=True)
class Block:
    """Both arms over the windows from `first` on; `bounds` as in a Table.

    Attributes:
        evenness: by column, how evenly the windows contributed events, both arms together: 1 where all did alike, 1
            over the windows where all came in one, as in an incident. Of a histogram: of what is in a bucket or above
            it. Noise averages out over windows only as far as these contribute. Empty of gauges.
    """

    canary: ArmBlock
    stable: ArmBlock
    first: int
    windows: int
    interval_seconds: float
    bounds: tuple[float, ...] = ()
    evenness: tuple[float, ...] = ()

    def evenness_of(self, column: int) -> float:
        """Return how evenly the windows contributed to a column; 1 where that is not known."""
        return self.evenness[column] if column < len(self.evenness) else 1.0

    def swapped(self) -> "Block":
        """Return the same with the arms exchanged."""
        return replace(self, canary=self.stable, stable=self.canary)


def block_windows(interval_seconds: float) -> int:
    """Return how many windows make a block."""
    return max(BLOCK_WINDOWS_MIN, math.ceil(BLOCK_SECONDS_MIN / interval_seconds))


def block_of(table: Table, scale: Scale) -> Block:
    """Return a table's windows as one block; pods of which nothing is known are left out."""
    return Block(
        canary=_arm(table.canary, table, scale),
        stable=_arm(table.stable, table, scale),
        first=table.first,
        windows=table.windows,
        interval_seconds=table.interval_seconds,
        bounds=table.bounds,
        evenness=_evenness(table) if scale == "Sum" else (),
    )


def paired(table: Table) -> Table:
    """Return a table without what one arm did before the other was watched, or after.

    A canary that becomes old enough in the middle of a block is compared with stable from that moment on: what hit
    both arms before would count for stable only.
    """
    spans = [_span(arm, table.interval_seconds) for arm in (table.canary, table.stable)]
    if None in spans:
        return table
    first = max(span[0] for span in spans if span is not None)
    end = min(span[1] for span in spans if span is not None)
    return replace(table, canary=_within(table.canary, first, end), stable=_within(table.stable, first, end))


def _span(arm: ArmTable, interval_seconds: float) -> tuple[int, int] | None:
    """Return the windows from the first that an arm was watched in to the last; None where it never was.

    A window after missed scrapes covers those before it, too.
    """
    longest = arm.seconds.max(axis=0, initial=0.0)
    watched = np.flatnonzero(longest > 0)
    if watched.size == 0:
        return None
    covered = math.ceil(float(longest[watched[0]]) / interval_seconds - 1e-6)
    return max(int(watched[0]) - covered + 1, 0), int(watched[-1]) + 1


def _within(arm: ArmTable, first: int, end: int) -> ArmTable:
    if first == 0 and end == arm.seconds.shape[1]:
        return arm
    outside = np.ones(arm.seconds.shape[1], dtype=np.bool_)
    outside[first:end] = False
    seconds, amounts = arm.seconds.copy(), arm.amounts.copy()
    seconds[:, outside] = 0.0
    amounts[:, outside] = np.nan if amounts.shape[2] == 1 else 0.0
    return ArmTable(arm.pods, seconds, amounts)


def _evenness(table: Table) -> tuple[float, ...]:
    """Return (sum of E)^2 / (windows * sum of E^2) by column, E being the events expected in a window.

    What Poisson counts vary by themselves is taken off: E (E - 1) has the mean of the square of what was expected.
    """
    counts = table.canary.amounts.sum(axis=0) + table.stable.amounts.sum(axis=0)
    if table.bounds:
        counts = counts[:, ::-1].cumsum(axis=1)[:, ::-1]
    # A window that nobody watched makes no block less even: its noise is that of fewer windows already.
    watched = max(int(((table.canary.seconds.sum(axis=0) + table.stable.seconds.sum(axis=0)) > 0).sum()), 1)
    whole = counts.sum(axis=0)
    squares = (counts * np.maximum(counts - 1, 0)).sum(axis=0) * watched
    pairs = whole * np.maximum(whole - 1, 0)
    even = np.divide(pairs, squares, out=np.ones_like(whole), where=squares > 0)
    return tuple(np.clip(even, 1 / watched, 1.0).tolist())


def _arm(arm: ArmTable, table: Table, scale: Scale) -> ArmBlock:
    if scale == "Sum":
        seconds, amounts = arm.seconds.sum(axis=1), arm.amounts.sum(axis=1)
    else:
        seconds, amounts = _levels(arm, table, scale)
    seen = seconds > 0
    return ArmBlock(
        tuple(pod for pod, is_seen in zip(arm.pods, seen.tolist(), strict=True) if is_seen),
        np.asarray(seconds[seen], dtype=np.float64),
        np.asarray(amounts[seen], dtype=np.float64),
    )


def _levels(arm: ArmTable, table: Table, scale: Scale) -> tuple[FloatArray, FloatArray]:
    values = arm.amounts[:, :, 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        levels = np.log(values) if scale == "Log" else np.log(values) - np.log1p(-values)
    usable = np.isfinite(levels)
    count = usable.sum(axis=1)
    middle = (table.first + 0.5 + np.arange(values.shape[1])) * table.interval_seconds / _SECONDS_AN_HOUR
    divisor = np.maximum(count, 1)
    level = np.where(usable, levels, 0.0).sum(axis=1) / divisor
    hours = np.where(usable, middle[None, :], 0.0).sum(axis=1) / divisor
    return count * table.interval_seconds, np.stack([level, hours], axis=1)
