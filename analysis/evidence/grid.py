"""The grid of log ratios on which all evidence lives, its priors, and the lasting difference between pods.

u = ln(canary / stable), turned so that u > 0 is harm. Priors and scales: design of the judge, found by simulation.
"""

import functools
import math

import numpy as np

from analysis.evidence.special import FloatArray, log_sum_exp

GRID: FloatArray = np.arange(-75, 126, dtype=np.float64) * 0.04
"""Log ratios from 0.05x to 148x in steps of 4 %; 0 is one of them."""

HARM_SCALES = (0.12, 0.4, 1.5)
SAFE_SCALES = (0.1, 0.35, 1.0)
INTERVAL_SCALE = 0.7
_TINY = 1e-300


def _log(weights: FloatArray) -> FloatArray:
    return np.asarray(np.log(np.maximum(weights, _TINY)), dtype=np.float64)


@functools.lru_cache(maxsize=256)
def harm_prior(delta: float) -> FloatArray:
    """Return the log weights of a mixture of half-normals beyond the null bound `delta`."""
    return _mixture(delta < GRID, GRID - delta, HARM_SCALES)


@functools.lru_cache(maxsize=256)
def safe_prior(margin: float) -> FloatArray:
    """Return the log weights of a mixture of normals around no difference, cut at the margin."""
    return _mixture(margin > GRID, GRID, SAFE_SCALES)


@functools.lru_cache(maxsize=1)
def interval_prior() -> FloatArray:
    """Return the log weights of the normal mixture behind the confidence sequence."""
    weights = -0.5 * (GRID / INTERVAL_SCALE) ** 2
    return np.asarray(weights - log_sum_exp(weights), dtype=np.float64)


def _mixture(mask: "np.typing.NDArray[np.bool_]", distance: FloatArray, scales: tuple[float, ...]) -> FloatArray:
    total = np.zeros_like(GRID)
    for scale in scales:
        part = np.where(mask, np.exp(-0.5 * (distance / scale) ** 2), 0.0)
        total += part / max(float(part.sum()), _TINY)
    return _log(total / max(float(total.sum()), _TINY))


def smooth(log_likelihood: FloatArray, tau2: float) -> FloatArray:
    """Integrate out a lasting normal difference of variance tau2: ln of the sum over v of K(v) exp L(u + v).

    Evidence saturates by it when pods' differences alone explain the gap.
    """
    kernel = _kernel(round(math.sqrt(tau2), 3))
    largest = float(log_likelihood.max())
    # A flat likelihood says nothing, and stays flat to the last bit.
    if kernel is None or largest == float(log_likelihood.min()):
        return log_likelihood
    return _log(kernel @ np.exp(log_likelihood - largest)) + largest


@functools.lru_cache(maxsize=64)
def _kernel(tau: float) -> FloatArray | None:
    # Below a tenth of the grid's step the kernel is one point.
    if tau < 0.004:
        return None
    weights = np.exp(-0.5 * ((GRID[:, None] - GRID[None, :]) / tau) ** 2)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float64)
