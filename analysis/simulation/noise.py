"""What varies without anybody's fault."""

from dataclasses import dataclass

import numpy as np

from analysis.evidence.special import FloatArray
from analysis.simulation.world import REFERENCE_SECONDS, Variation, World

_TRAFFIC = Variation(0.0, 0.06, 0.8)
_POD_TRAFFIC = Variation(0.0, 0.03, 0.3)


@dataclass(frozen=True)
class Noise:
    """Deviations of logarithms: (windows,) where all pods share them, else (pods, windows)."""

    traffic: FloatArray
    pod_traffic: FloatArray
    errors: FloatArray
    latency_drift: FloatArray
    latency: FloatArray
    cpu: FloatArray
    memory: FloatArray


def noise_of(world: World, pods: int, windows: int, window_seconds: float, random: np.random.Generator) -> Noise:
    """Draw all noise of a rollout at once."""
    variations = [_TRAFFIC, world.latency_drift, _POD_TRAFFIC, world.errors, world.latency, world.cpu, world.memory]
    sizes = [1, 1, pods, pods, pods, pods, pods]
    deviations = np.repeat([one.window_sd for one in variations], sizes)
    correlations = np.repeat([one.correlation for one in variations], sizes) ** (window_seconds / REFERENCE_SECONDS)
    drawn = correlated(deviations, correlations, windows, random)
    common, drift, pod_traffic, errors, latency, cpu, memory = np.split(drawn, np.cumsum(sizes)[:-1], axis=1)
    # The error rate keeps its mean whatever the noise; for the others the median is what a world says.
    errors = errors + _lasting(world.errors, pods, random) - world.errors.window_sd**2 / 2
    return Noise(
        traffic=common[:, 0],
        pod_traffic=pod_traffic.T,
        errors=errors.T,
        latency_drift=drift[:, 0],
        latency=(latency + _lasting(world.latency, pods, random)).T,
        cpu=(cpu + _lasting(world.cpu, pods, random)).T,
        memory=(memory + _lasting(world.memory, pods, random)).T,
    )


def correlated(
    deviations: FloatArray, correlations: FloatArray, windows: int, random: np.random.Generator
) -> FloatArray:
    """Return stationary AR(1) series, (windows, columns), with these standard deviations and lag-1 correlations."""
    series = random.standard_normal((windows, deviations.size))
    series[1:] *= np.sqrt(1 - correlations**2)
    for window in range(1, windows):
        series[window] += correlations * series[window - 1]
    return series * deviations


def _lasting(variation: Variation, pods: int, random: np.random.Generator) -> FloatArray:
    return random.standard_normal(pods) * variation.pod_sd
