"""Draw a rollout, or a piece of history, from a world and a seed."""

import numpy as np

from analysis.evidence.special import FloatArray
from analysis.simulation.behaviour import (
    Scene,
    cpu_seconds,
    latency_buckets,
    memory_bytes,
    requests_and_errors,
)
from analysis.simulation.fleet import ArmName, fault_active, life_of, pods_of, rows_of
from analysis.simulation.noise import noise_of
from analysis.simulation.rollout import SimulatedRollout
from analysis.simulation.schedule import Schedule
from analysis.simulation.scrapes import Scraped, scraped
from analysis.simulation.traffic import pod_rates, service_rate, shares_of, trouble_of
from analysis.simulation.world import Fault, World

_HEALTHY = Fault()
_DEFAULT_SCHEDULE = Schedule()


def simulate(
    seed: int,
    world: World,
    fault: Fault = _HEALTHY,
    schedule: Schedule = _DEFAULT_SCHEDULE,
    window_seconds: float = 30.0,
) -> SimulatedRollout:
    """Return the rollout of this seed: the same numbers on every machine with the same numpy."""
    windows = schedule.weights(window_seconds).size
    return _drawn(seed, world, fault, schedule, windows, window_seconds)


def history(seed: int, world: World, seconds: float = 2400.0, window_seconds: float = 30.0) -> SimulatedRollout:
    """Return a piece of an ordinary day: stable pods only, to learn from and to cut placebo rollouts out of."""
    windows = max(round(seconds / window_seconds), 2)
    return _drawn(seed, world.on_an_ordinary_day(), _HEALTHY, None, windows, window_seconds)


def _drawn(
    seed: int, world: World, fault: Fault, schedule: Schedule | None, windows: int, window_seconds: float
) -> SimulatedRollout:
    random = np.random.Generator(np.random.PCG64(seed))
    shares = shares_of(schedule, windows, window_seconds)
    pods = pods_of(world, schedule, windows, window_seconds, random)
    life = life_of(pods, world, fault, windows, window_seconds, random)
    noise = noise_of(world, len(pods), windows, window_seconds, random)
    scene = Scene(
        pods=pods,
        world=world,
        fault=fault,
        life=life,
        noise=noise,
        trouble=trouble_of(world, fault, shares, window_seconds, random),
        rates=pod_rates(pods, life, world, shares, service_rate(world, noise, window_seconds, random)),
        faulty=fault_active(pods, fault, windows, window_seconds),
        window_seconds=window_seconds,
    )
    happened = _happened(scene, random)
    return SimulatedRollout(
        seed=seed,
        window_seconds=window_seconds,
        weights=shares.canary,
        step_starts=schedule.step_starts(window_seconds) if schedule else (0,),
        pods=pods,
        bounds=world.bounds,
        life=life,
        scraped=scraped(happened, life, world.missed_scrapes, random),
        canary_requests=_served(happened.requests, rows_of(pods, ArmName.CANARY)),
    )


def _happened(scene: Scene, random: np.random.Generator) -> Scraped:
    requests, errors = requests_and_errors(scene, random)
    alive = scene.life.alive
    return Scraped(
        shown=alive,
        seconds=np.where(alive, scene.window_seconds, 0.0),
        requests=requests.astype(np.float64),
        errors=errors.astype(np.float64),
        buckets=latency_buckets(scene, requests, random).astype(np.float64),
        cpu_seconds=cpu_seconds(scene, requests),
        memory_bytes=memory_bytes(scene),
    )


def _served(requests: FloatArray, canary: np.ndarray) -> FloatArray:
    return np.asarray(requests[canary].sum(axis=0), dtype=np.float64)
