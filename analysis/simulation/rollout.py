"""A simulated rollout: what a judge may look at, and what only the benchmark knows."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from analysis.evidence.guards import PodSeen
from analysis.evidence.special import FloatArray
from analysis.evidence.table import Table
from analysis.simulation.fleet import ArmName, Life, SimulatedPod, rows_of
from analysis.simulation.scrapes import Scraped
from analysis.simulation.tables import WARM_UP_SECONDS, tables_of

STARTED_AT = 1_800_000_000.0
"""Epoch seconds at which every simulated rollout starts."""
_READY_SECONDS = 10.0


@dataclass(frozen=True)
class SimulatedRollout:
    """A rollout, or a piece of history where no pod is a canary's.

    Attributes:
        seed: repeats it, with the same world, fault and schedule.
        weights: (windows,) the canary's share of the traffic, 0 to 1.
        step_starts: first window of each step.
        bounds: upper bounds of latency buckets, seconds.
        life: (pods, windows) truth about the pods.
        scraped: what the metrics store has, without what the canary's pods did before they were the canary's.
        canary_requests: (windows,) users' requests that the canary served, lost ones too.
    """

    seed: int
    window_seconds: float
    weights: FloatArray
    step_starts: tuple[int, ...]
    pods: tuple[SimulatedPod, ...]
    bounds: tuple[float, ...]
    life: Life
    scraped: Scraped
    canary_requests: FloatArray

    @property
    def windows(self) -> int:
        """Number of windows."""
        return int(self.weights.size)

    @cached_property
    def tables(self) -> Mapping[str, Table]:
        """`errors`, `latency`, `cpu`, `memory`, `restarts`, without pods in their first 180 s."""
        return self.tables_after(WARM_UP_SECONDS)

    @cached_property
    def raw(self) -> Mapping[str, Table]:
        """The same with young pods."""
        return self.tables_after(0.0)

    def tables_after(self, warm_up_seconds: float, control: ArmName = ArmName.STABLE) -> Mapping[str, Table]:
        """Return the tables without processes younger than this; a fresh baseline can take stable's place."""
        return tables_of(self, warm_up_seconds, control)

    def weight_changes(self) -> tuple[tuple[float, float], ...]:
        """Return (epoch seconds, share of the canary from then on), a pair a change."""
        changed = np.flatnonzero(np.diff(self.weights, prepend=0.0))
        return tuple((STARTED_AT + window * self.window_seconds, float(self.weights[window])) for window in changed)

    def pods_seen(self, elapsed_seconds: float) -> tuple[tuple[PodSeen, ...], tuple[PodSeen, ...]]:
        """Return canary's and stable's pods as the API server shows them so long after the start."""
        seen: dict[ArmName, list[PodSeen]] = {arm: [] for arm in ArmName}
        for index, pod in enumerate(self.pods):
            if pod.started_window * self.window_seconds <= elapsed_seconds:
                seen[pod.arm].append(self._pod_seen(index, pod, elapsed_seconds))
        return tuple(seen[ArmName.CANARY]), tuple(seen[ArmName.STABLE])

    def process_starts(self) -> Mapping[str, tuple[float, ...]]:
        """Return when the processes of each pod started, in epoch seconds, ascending."""
        return {pod.name: tuple(STARTED_AT + self._starts(index)) for index, pod in enumerate(self.pods)}

    def _starts(self, index: int) -> FloatArray:
        """Seconds since the rollout's start; a process that follows another starts with its window."""
        windows = [self.pods[index].started_window, *np.flatnonzero(self.life.restarted[index])]
        return np.asarray(windows, dtype=np.float64) * self.window_seconds

    def _pod_seen(self, index: int, pod: SimulatedPod, elapsed_seconds: float) -> PodSeen:
        starts = self._starts(index)
        later = starts[1:][starts[1:] < elapsed_seconds]
        lives = np.diff([float(starts[0]), *later, elapsed_seconds])
        return PodSeen(
            name=pod.name,
            started_at=STARTED_AT + float(starts[0]),
            restarts=pod.restarts_before + int(later.size),
            ready=bool((lives >= _READY_SECONDS).any()),
        )

    def users_exposed(self, windows: int) -> float:
        """Return the requests that the canary served in the first windows."""
        return float(self.canary_requests[:windows].sum())

    def has(self, arm: ArmName) -> bool:
        """Whether there are pods of an arm."""
        return bool(rows_of(self.pods, arm).any())
