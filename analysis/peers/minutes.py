"""What the other judges look at: one number a minute and arm. Young pods are in it, and request counts are not."""

from dataclasses import dataclass

import numpy as np

from analysis.evidence.special import FloatArray
from analysis.evidence.table import ArmTable
from analysis.simulation.fleet import ArmName
from analysis.simulation.rollout import SimulatedRollout

_POINT_SECONDS = 60.0


@dataclass(frozen=True)
class ArmMinutes:
    """Sums over an arm's pods, (minutes,) but for `buckets`, (minutes, buckets).

    Attributes:
        seconds: that pods were watched.
        memory_bytes: mean of a pod, NaN without samples.
        bounds: upper bounds of the buckets in seconds, without the open last one.
    """

    requests: FloatArray
    errors: FloatArray
    buckets: FloatArray
    cpu_seconds: FloatArray
    seconds: FloatArray
    memory_bytes: FloatArray
    bounds: tuple[float, ...]

    def over(self, minutes: int) -> "ArmMinutes":
        """Return at each minute what happened in the last few, as a range query does; memory stays as it is."""

        def rolled(values: FloatArray) -> FloatArray:
            sums = np.cumsum(values, axis=0)
            sums[minutes:] = sums[minutes:] - sums[:-minutes]
            return sums

        return ArmMinutes(
            rolled(self.requests),
            rolled(self.errors),
            rolled(self.buckets),
            rolled(self.cpu_seconds),
            rolled(self.seconds),
            self.memory_bytes,
            self.bounds,
        )

    def error_ratio(self) -> FloatArray:
        """Return errors per request, NaN without requests."""
        return divided(self.errors, self.requests)

    def cpu_per_request(self) -> FloatArray:
        """Return core seconds per request, NaN without requests."""
        return divided(self.cpu_seconds, self.requests)

    def cpu_per_pod(self) -> FloatArray:
        """Return cores of a pod, NaN where none was watched."""
        return divided(self.cpu_seconds, self.seconds)

    def mean_latency(self) -> FloatArray:
        """Return seconds, from the geometric middles of the buckets; NaN without requests."""
        lower = np.array([self.bounds[0] / 2.5, *self.bounds])
        upper = np.array([*self.bounds, self.bounds[-1] * 2.5])
        return divided(self.buckets @ np.sqrt(lower * upper), self.requests)

    def quantile(self, share: float) -> FloatArray:
        """Return a quantile of latency in seconds as Prometheus' histogram_quantile does: linear within a bucket."""
        within = np.cumsum(self.buckets, axis=1)
        rank = share * within[:, -1]
        column = np.minimum((within >= rank[:, None]).argmax(axis=1), len(self.bounds) - 1)
        row = np.arange(rank.size)
        lower = np.concatenate([[0.0], self.bounds])[column]
        below = np.where(column > 0, within[row, column - 1], 0.0)
        position = np.clip(divided(rank - below, self.buckets[row, column]), 0.0, 1.0)
        value = lower + (np.asarray(self.bounds)[column] - lower) * position
        # A quantile in the open bucket is told as the last bound.
        value = np.where(rank > within[:, -2], self.bounds[-1], value)
        return np.where(within[:, -1] > 0, value, np.nan)


def divided(above: FloatArray, below: FloatArray) -> FloatArray:
    """Return above / below, NaN where below is 0."""
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)


def windows_a_point(window_seconds: float) -> int:
    """Return how many windows make one point: a minute, or one window where that is longer."""
    return max(round(_POINT_SECONDS / window_seconds), 1)


def minutes_of(rollout: SimulatedRollout, control: ArmName = ArmName.STABLE) -> tuple[ArmMinutes, ArmMinutes]:
    """Return the canary's and the control's points."""
    tables = rollout.tables_after(0.0, control)
    group = windows_a_point(rollout.window_seconds)
    canary, other = (
        _arm_minutes({name: table.canary for name, table in tables.items()}, rollout.bounds, group),
        _arm_minutes({name: table.stable for name, table in tables.items()}, rollout.bounds, group),
    )
    return canary, other


def _arm_minutes(arms: dict[str, ArmTable], bounds: tuple[float, ...], group: int) -> ArmMinutes:
    errors, cpu = arms["errors"], arms["cpu"]
    memory = arms["memory"]
    known = (memory.seconds > 0).astype(np.float64)
    held = np.nan_to_num(memory.amounts[:, :, 0])
    return ArmMinutes(
        requests=_summed(errors.amounts[:, :, 1], group),
        errors=_summed(errors.amounts[:, :, 0], group),
        buckets=_summed(arms["latency"].amounts, group),
        cpu_seconds=_summed(cpu.amounts[:, :, 0], group),
        seconds=_summed(cpu.seconds, group),
        memory_bytes=divided(_summed(held, group), _summed(known, group)),
        bounds=bounds,
    )


def _summed(values: FloatArray, group: int) -> FloatArray:
    by_window = values.sum(axis=0)
    points = by_window.shape[0] // group
    return np.asarray(by_window[: points * group].reshape(points, group, *by_window.shape[1:]).sum(axis=1))
