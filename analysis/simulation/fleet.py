"""Pods of a simulated rollout: whose they are, when they start, and when they start again."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from analysis.evidence.special import FloatArray
from analysis.simulation.schedule import Schedule
from analysis.simulation.world import Fault, World

BoolArray = npt.NDArray[np.bool_]
OLD_SECONDS = 300_000.0
"""Age of stable pods at the start, 83 hours."""


class ArmName(StrEnum):
    """Whose a pod is; the baseline is fresh pods of the old version."""

    STABLE = "stable"
    CANARY = "canary"
    BASELINE = "baseline"


@dataclass(frozen=True)
class SimulatedPod:
    """A pod.

    Attributes:
        started_window: the window at whose beginning it starts, negative for pods older than the rollout.
        restarts_before: restarts of its container before the rollout began.
    """

    name: str
    arm: ArmName
    started_window: int
    restarts_before: int = 0


@dataclass(frozen=True)
class Life:
    """What runs, (pods, windows).

    Attributes:
        alive: the pod exists.
        restarted: its process ended in this window and another began; no scrape tells what either did in it.
        age_seconds: of the process at the beginning of the window; 0 in a window with a restart.
    """

    alive: BoolArray
    restarted: BoolArray
    age_seconds: FloatArray


def pods_of(
    world: World, schedule: Schedule | None, windows: int, window_seconds: float, random: np.random.Generator
) -> tuple[SimulatedPod, ...]:
    """Return the pods; stable's only where there is no schedule."""
    old = -round(OLD_SECONDS / window_seconds)
    restarts = random.poisson(world.restarts_per_pod_hour * OLD_SECONDS / 3600, world.stable_pods)
    stable = [
        SimulatedPod(f"stable-{index:03d}", ArmName.STABLE, old, int(before)) for index, before in enumerate(restarts)
    ]
    for index in range(min(world.young_stable_pods, world.stable_pods)):
        # Spread over the rollout; the last pods, so that a hot one stays old.
        start = windows * (2 * index + 1) // (2 * world.young_stable_pods)
        stable[-1 - index] = SimulatedPod(stable[-1 - index].name, ArmName.STABLE, start)
    if schedule is None:
        return tuple(stable)
    canary = _new(ArmName.CANARY, schedule.canary_starts(window_seconds))
    return (*canary, *stable, *_new(ArmName.BASELINE, schedule.baseline_starts(window_seconds)))


def _new(arm: ArmName, starts: tuple[int, ...]) -> tuple[SimulatedPod, ...]:
    return tuple(SimulatedPod(f"{arm}-{index:03d}", arm, start) for index, start in enumerate(starts))


def life_of(
    pods: tuple[SimulatedPod, ...],
    world: World,
    fault: Fault,
    windows: int,
    window_seconds: float,
    random: np.random.Generator,
) -> Life:
    """Draw the restarts of all pods."""
    time = np.arange(windows)
    started = np.array([pod.started_window for pod in pods])[:, None]
    alive = time >= started
    rates = np.full((len(pods), windows), world.restarts_per_pod_hour)
    if fault.restarts_per_pod_hour is not None:
        faulty = fault_active(pods, fault, windows, window_seconds)
        rates[faulty] = fault.restarts_per_pod_hour
    restarted = (random.random(rates.shape) < rates * window_seconds / 3600) & (time > started + 1)
    process = np.maximum.accumulate(np.where(restarted, time, started), axis=1)
    return Life(alive, restarted, np.where(alive, time - process, 0) * window_seconds)


def fault_active(pods: tuple[SimulatedPod, ...], fault: Fault, windows: int, window_seconds: float) -> BoolArray:
    """Return where the fault shows, (pods, windows)."""
    late = np.arange(windows) * window_seconds >= fault.from_seconds
    return rows_of(pods, ArmName.CANARY)[:, None] & late


def rows_of(pods: tuple[SimulatedPod, ...], arm: ArmName) -> BoolArray:
    """Return which pods are of an arm, (pods,)."""
    return np.array([pod.arm == arm for pod in pods], dtype=np.bool_)
