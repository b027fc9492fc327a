"""The grid of log ratios on which likelihoods of counts live, its priors, and the lasting difference between pods.

u = ln(canary / stable), turned so that u > 0 is harm. The priors were chosen by simulation (`make bench-decisions`).
"""

import functools
import math

import numpy as np

from analysis.evidence.special import FloatArray, log_sum_exp

STEP = 0.04
GRID: FloatArray = np.arange(-80, 81, dtype=np.float64) * STEP
"""Log ratios from 1/25x to 25x in steps of 4 %; 0 is one of them, and the mirror image is the grid again."""

HARM_MIXTURE = ((0.6, 0.8), (1.8, 0.2))
"""Scale and weight of the half-normals of harm: most faults make something half again to three times as frequent."""
SAFE_MIXTURE = ((0.1, 1 / 3), (0.35, 1 / 3), (1.0, 1 / 3))
INTERVAL_SCALE = 0.7
_TINY = 1e-300


def _log(weights: FloatArray) -> FloatArray:
    return np.asarray(np.log(np.maximum(weights, _TINY)), dtype=np.float64)


@functools.lru_cache(maxsize=256)
def harm_prior(delta: float) -> FloatArray:
    """Return the log weights of a mixture of half-normals beyond the null bound `delta`."""
    return _mixture(delta < GRID, GRID - delta, HARM_MIXTURE)


@functools.lru_cache(maxsize=256)
def safe_prior(margin: float) -> FloatArray:
    """Return the log weights of a mixture of normals around no difference, cut at the margin."""
    return _mixture(margin > GRID, GRID, SAFE_MIXTURE)


@functools.lru_cache(maxsize=1)
def interval_prior() -> FloatArray:
    """Return the log weights of the normal mixture behind the confidence sequence."""
    weights = -0.5 * (GRID / INTERVAL_SCALE) ** 2
    return np.asarray(weights - log_sum_exp(weights), dtype=np.float64)


def _mixture(
    mask: "np.typing.NDArray[np.bool_]", distance: FloatArray, mixture: tuple[tuple[float, float], ...]
) -> FloatArray:
    total = np.zeros_like(GRID)
    for scale, weight in mixture:
        part = np.where(mask, np.exp(-0.5 * (distance / scale) ** 2), 0.0)
        total += weight * part / max(float(part.sum()), _TINY)
    return _log(total / max(float(total.sum()), _TINY))


def smooth(log_likelihood: FloatArray, variance: float) -> FloatArray:
    """Integrate out a lasting normal difference: ln of the sum over v of K(v) exp L(u + v).

    Evidence saturates by it when pods' differences alone explain the gap. Beyond its ends L counts as level.
    """
    kernel = _kernel(round(math.sqrt(variance), 3))
    largest = float(log_likelihood.max())
    # A flat likelihood says nothing, and stays flat to the last bit.
    if kernel is None or largest == float(log_likelihood.min()):
        return log_likelihood
    reach = kernel.size // 2
    inner = np.exp(log_likelihood - largest)
    padded = np.concatenate([np.full(reach, inner[0]), inner, np.full(reach, inner[-1])])
    return _log(np.convolve(padded, kernel, "valid")) + largest


@functools.lru_cache(maxsize=1024)
def _kernel(tau: float) -> FloatArray | None:
    # Below a tenth of the grid's step the kernel is one point.
    if tau < STEP / 10:
        return None
    reach = min(math.ceil(4 * tau / STEP), GRID.size)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) * STEP / tau) ** 2)
    return np.asarray(weights / weights.sum(), dtype=np.float64)
