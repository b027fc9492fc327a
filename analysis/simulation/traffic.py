"""Requests: how many arrive at each pod, and what troubles all pods at once."""

from dataclasses import dataclass

import numpy as np

from analysis.evidence.special import FloatArray
from analysis.simulation.fleet import ArmName, Life, SimulatedPod, rows_of
from analysis.simulation.noise import Noise
from analysis.simulation.schedule import Schedule
from analysis.simulation.world import Fault, World

_DAY_SECONDS = 86_400.0
_DAILY_SWING = 0.3
_INCIDENT_ERRORS = (4.0, 15.0)
_INCIDENT_LOG_LATENCY = (0.1, 0.5)
_INCIDENT_SECONDS = (60.0, 210.0)


@dataclass(frozen=True)
class Shares:
    """Share of the traffic of each arm by window, (windows,)."""

    canary: FloatArray
    baseline: FloatArray

    def of(self, arm: ArmName) -> FloatArray:
        """Return one arm's."""
        if arm is ArmName.STABLE:
            return 1 - self.canary - self.baseline
        return self.canary if arm is ArmName.CANARY else self.baseline


@dataclass(frozen=True)
class Trouble:
    """What hits all pods, (windows,): a factor on the error rate, and an addition to the logarithm of latency."""

    errors: FloatArray
    log_latency: FloatArray


def shares_of(schedule: Schedule | None, windows: int, window_seconds: float) -> Shares:
    """Return the shares; all to stable where there is no schedule."""
    if schedule is None:
        return Shares(np.zeros(windows), np.zeros(windows))
    return Shares(schedule.weights(window_seconds), schedule.baseline_weights(window_seconds))


def service_rate(world: World, noise: Noise, window_seconds: float, random: np.random.Generator) -> FloatArray:
    """Return the requests per second of the whole service by window: time of day, noise, and a peak at half time."""
    time = np.arange(noise.traffic.size) * window_seconds
    phase = random.random() * 2 * np.pi
    daily = 1 + _DAILY_SWING * np.sin(2 * np.pi * time / _DAY_SECONDS + phase)
    length = time.size * window_seconds
    peak = 1 + (world.peak - 1) * np.exp(-0.5 * ((time - length / 2) / (length / 6)) ** 2)
    return np.asarray(world.requests_per_second * daily * peak * np.exp(noise.traffic), dtype=np.float64)


def pod_rates(
    pods: tuple[SimulatedPod, ...], life: Life, world: World, shares: Shares, service: FloatArray
) -> FloatArray:
    """Return requests per second, (pods, windows): an arm's traffic spread over its pods that live."""
    load = life.alive.astype(np.float64)
    load[_first_stable(pods)] *= world.hot_pod.load
    rates = np.zeros_like(load)
    for arm in ArmName:
        rows = rows_of(pods, arm)
        whole = load[rows].sum(axis=0)
        rates[rows] = load[rows] * shares.of(arm) * service / np.maximum(whole, 1e-9)
    return rates


def _first_stable(pods: tuple[SimulatedPod, ...]) -> int:
    return next(index for index, pod in enumerate(pods) if pod.arm is ArmName.STABLE)


def trouble_of(
    world: World, fault: Fault, shares: Shares, window_seconds: float, random: np.random.Generator
) -> Trouble:
    """Draw incidents, and add an outage and what the canary does to a dependency of both arms."""
    windows = shares.canary.size
    errors, log_latency = np.ones(windows), np.zeros(windows)
    for _ in range(random.poisson(world.incidents_per_hour * windows * window_seconds / 3600)):
        start = int(random.integers(0, windows))
        length = max(int(random.uniform(*_INCIDENT_SECONDS) // window_seconds), 1)
        errors[start : start + length] *= random.uniform(*_INCIDENT_ERRORS)
        log_latency[start : start + length] += random.uniform(*_INCIDENT_LOG_LATENCY)
    time = np.arange(windows) * window_seconds
    if world.outage is not None:
        ill = (time >= world.outage.from_seconds) & (time < world.outage.from_seconds + world.outage.seconds)
        errors[ill] *= world.outage.errors
        log_latency[ill] += np.log(world.outage.latency)
    errors[time >= fault.from_seconds] *= 1 + fault.poison_errors * shares.canary[time >= fault.from_seconds]
    return Trouble(errors, log_latency)
