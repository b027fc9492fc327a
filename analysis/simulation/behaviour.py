"""What pods do with their requests: fail some, take their time, use CPU and memory."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analysis.evidence.special import FloatArray
from analysis.simulation.fleet import ArmName, BoolArray, Life, SimulatedPod, rows_of
from analysis.simulation.noise import Noise
from analysis.simulation.normal import normal_cdf
from analysis.simulation.traffic import Trouble
from analysis.simulation.world import Fault, World

IntArray = npt.NDArray[np.int64]

_COLD_ERRORS = 2.0
_COLD_LOG_LATENCY = 0.5
_COLD_CPU = 0.8
_COLD_MEMORY = 0.4
_RATE_MIN = 1e-3


@dataclass(frozen=True)
class Scene:
    """Everything that the pods' behaviour depends on; arrays are (pods, windows) unless said otherwise.

    Attributes:
        rates: requests per second.
        faulty: where the fault shows.
    """

    pods: tuple[SimulatedPod, ...]
    world: World
    fault: Fault
    life: Life
    noise: Noise
    trouble: Trouble
    rates: FloatArray
    faulty: BoolArray
    window_seconds: float

    @property
    def coldness(self) -> FloatArray:
        """1 for a process that has just started, falling to 0."""
        cold = np.exp(-self.life.age_seconds / self.world.warm_up_seconds)
        return np.where(self.life.alive, cold, 0.0)

    @property
    def endpoint_share(self) -> FloatArray:
        """Share of requests to the expensive endpoint, (pods, 1)."""
        canary = rows_of(self.pods, ArmName.CANARY)[:, None]
        return np.where(canary, self.world.endpoint.canary_share, self.world.endpoint.stable_share)

    @property
    def hot(self) -> BoolArray:
        """Which pod is hot, (pods, 1)."""
        names = [pod.name for pod in self.pods if pod.arm is ArmName.STABLE]
        return np.array([[pod.name == names[0]] for pod in self.pods])

    def factor(self, fault: float) -> FloatArray:
        """Return a factor of the fault where it shows, and 1 elsewhere."""
        return np.where(self.faulty, fault, 1.0)


def requests_and_errors(scene: Scene, random: np.random.Generator) -> tuple[IntArray, IntArray]:
    """Draw requests, retries among them, and how many of them fail."""
    asked = random.poisson(scene.rates * scene.window_seconds * np.exp(scene.noise.pod_traffic))
    failing = random.binomial(asked, np.clip(_error_rate(scene), 0.0, 1.0))
    requests, errors = asked, failing
    for _ in range(scene.world.retries.attempts):
        requests = requests + failing
        failing = random.binomial(failing, scene.world.retries.fails)
        errors = errors + failing
    return requests, errors


def _error_rate(scene: Scene) -> FloatArray:
    world = scene.world
    rate = world.error_rate * scene.trouble.errors * np.exp(scene.noise.errors)
    rate = rate * (1 + _COLD_ERRORS * scene.coldness) * scene.factor(scene.fault.errors)
    rate = rate * (1 + scene.endpoint_share * (world.endpoint.errors - 1))
    return np.where(scene.hot, rate * world.hot_pod.errors, rate)


def latency_buckets(scene: Scene, requests: IntArray, random: np.random.Generator) -> IntArray:
    """Draw the bucket of every request, (pods, windows, buckets), the last one open."""
    center = _log_latency(scene)
    below = _below_bounds(scene, center)
    if scene.fault.tail_share > 0:
        slow = _below_bounds(scene, center + np.log(scene.fault.tail_factor))
        share = np.where(scene.faulty, scene.fault.tail_share, 0.0)[:, :, None]
        below = (1 - share) * below + share * slow
    edges = np.concatenate([np.zeros((*requests.shape, 1)), below, np.ones((*requests.shape, 1))], axis=2)
    drawn: IntArray = random.multinomial(requests, np.diff(edges, axis=2))
    return drawn


def _log_latency(scene: Scene) -> FloatArray:
    world, noise = scene.world, scene.noise
    usual = world.requests_per_second / world.stable_pods
    load = world.load_elasticity * np.log(np.maximum(scene.rates, _RATE_MIN) / usual)
    common = np.log(world.latency_seconds) + noise.latency_drift + scene.trouble.log_latency
    center = common + load + noise.latency + _COLD_LOG_LATENCY * scene.coldness
    center = center + np.log(scene.factor(scene.fault.latency))
    return np.asarray(np.where(scene.hot, center + np.log(world.hot_pod.latency), center), dtype=np.float64)


def _below_bounds(scene: Scene, center: FloatArray) -> FloatArray:
    """Share of requests within each bound, (pods, windows, bounds); some go to the slower endpoint."""
    world = scene.world
    distance = (np.log(world.bounds) - center[:, :, None]) / world.latency_sigma
    below = normal_cdf(distance)
    if world.endpoint.latency == 1.0:
        return below
    share = scene.endpoint_share[:, :, None]
    slower = normal_cdf(distance - np.log(world.endpoint.latency) / world.latency_sigma)
    return np.asarray((1 - share) * below + share * slower, dtype=np.float64)


def cpu_seconds(scene: Scene, requests: IntArray) -> FloatArray:
    """Return core seconds a window: idle, and by request."""
    world = scene.world
    cost = world.cpu_per_request * (1 + scene.endpoint_share * (world.endpoint.cpu - 1))
    used = world.cpu_idle_cores * scene.window_seconds + cost * requests
    used = used * np.exp(scene.noise.cpu) * (1 + _COLD_CPU * scene.coldness) * scene.factor(scene.fault.cpu)
    return np.where(scene.life.alive, used, 0.0)


def memory_bytes(scene: Scene) -> FloatArray:
    """Return the memory of the process at the end of each window, NaN where there is no pod."""
    world, fault, age = scene.world, scene.fault, scene.life.age_seconds
    allocated = 1 - _COLD_MEMORY * np.exp(-age / world.memory_warm_up_seconds)
    memory = world.memory_bytes * allocated * np.exp(scene.noise.memory) * scene.factor(fault.memory)
    since = np.maximum(np.arange(age.shape[1]) * scene.window_seconds - fault.from_seconds, 0.0)
    leaked = fault.leak_bytes_per_minute * np.minimum(age, since) / 60
    return np.where(scene.life.alive, memory + np.where(scene.faulty, leaked, 0.0), np.nan)
