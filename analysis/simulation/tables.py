"""What was scraped, as the tables that judges and models read."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from analysis.evidence.special import FloatArray
from analysis.evidence.table import ArmTable, Table
from analysis.simulation.fleet import ArmName, BoolArray, rows_of

if TYPE_CHECKING:
    from analysis.simulation.rollout import SimulatedRollout

WARM_UP_SECONDS = 180.0

_Amounts = tuple[FloatArray, FloatArray]
"""(pods, windows) seconds watched and (pods, windows, columns) amounts."""


def tables_of(
    rollout: "SimulatedRollout", warm_up_seconds: float = WARM_UP_SECONDS, control: ArmName = ArmName.STABLE
) -> Mapping[str, Table]:
    """Return a table a metric.

    Args:
        rollout: what was simulated.
        warm_up_seconds: increases that began when the process was younger are left out. Restarts are left out by
            the age of the pod, since a process that has just restarted is always young.
        control: the arm that stands in stable's place.
    """
    warm = _warm(rollout, warm_up_seconds)
    makers: dict[str, Callable[[], _Amounts]] = {
        "errors": lambda: _errors(rollout, warm),
        "latency": lambda: _latency(rollout, warm),
        "cpu": lambda: _cpu(rollout, warm),
        "memory": lambda: _memory(rollout, warm_up_seconds),
        "restarts": lambda: _restarts(rollout, warm_up_seconds),
    }
    return {name: _table(rollout, make(), control, name) for name, make in makers.items()}


def _table(rollout: "SimulatedRollout", amounts: _Amounts, control: ArmName, metric: str) -> Table:
    return Table(
        canary=_arm(rollout, amounts, ArmName.CANARY),
        stable=_arm(rollout, amounts, control),
        first=0,
        interval_seconds=rollout.window_seconds,
        bounds=rollout.bounds if metric == "latency" else (),
    )


def _arm(rollout: "SimulatedRollout", amounts: _Amounts, arm: ArmName) -> ArmTable:
    rows = np.flatnonzero(rows_of(rollout.pods, arm))
    rows = rows[np.argsort([rollout.pods[row].name for row in rows], kind="stable")] if rows.size else rows
    return ArmTable(tuple(rollout.pods[row].name for row in rows), amounts[0][rows], amounts[1][rows])


def _warm(rollout: "SimulatedRollout", warm_up_seconds: float) -> BoolArray:
    """Whether the process was old enough when the increase began, which a missed scrape makes earlier."""
    age_at_end = rollout.life.age_seconds + rollout.window_seconds
    return np.asarray(age_at_end - rollout.scraped.seconds >= warm_up_seconds, dtype=np.bool_)


def _counts(rollout: "SimulatedRollout", warm: BoolArray, *columns: FloatArray) -> _Amounts:
    return rollout.scraped.seconds * warm, np.stack(columns, axis=2) * warm[:, :, None]


def _errors(rollout: "SimulatedRollout", warm: BoolArray) -> _Amounts:
    return _counts(rollout, warm, rollout.scraped.errors, rollout.scraped.requests)


def _cpu(rollout: "SimulatedRollout", warm: BoolArray) -> _Amounts:
    return _counts(rollout, warm, rollout.scraped.cpu_seconds, rollout.scraped.requests)


def _latency(rollout: "SimulatedRollout", warm: BoolArray) -> _Amounts:
    return rollout.scraped.seconds * warm, rollout.scraped.buckets * warm[:, :, None]


def _memory(rollout: "SimulatedRollout", warm_up_seconds: float) -> _Amounts:
    # A gauge is read when its window ends.
    warm = rollout.life.age_seconds + rollout.window_seconds >= warm_up_seconds
    memory = np.where(warm, rollout.scraped.memory_bytes, np.nan)
    return np.where(np.isnan(memory), 0.0, rollout.window_seconds), memory[:, :, None]


def _restarts(rollout: "SimulatedRollout", warm_up_seconds: float) -> _Amounts:
    # The API server knows restarts, so no scrape of the pod can lose them.
    started = np.array([pod.started_window for pod in rollout.pods])[:, None]
    age = (np.arange(rollout.windows) - started) * rollout.window_seconds
    watched = rollout.life.alive & (age >= warm_up_seconds)
    seconds = np.where(watched, rollout.window_seconds, 0.0)
    return seconds, np.stack([rollout.life.restarted & watched, seconds], axis=2)
