"""The likelihood of a log ratio, given counts of both arms: conditional, over-dispersed, in blocks."""

import numpy as np

from analysis.evidence.grid import GRID, smooth
from analysis.evidence.noise import Noise
from analysis.evidence.special import FloatArray, log_beta
from analysis.evidence.windows import ArmBlocks, CountWindows, blocks_of

# Below this variance the beta-binomial is the binomial to machine precision.
_VARIANCE_MIN = 1e-9
_CONCENTRATION_MIN = 0.5


def log_likelihood(windows: CountWindows, noise: Noise) -> FloatArray:
    """Return ln L(u) on the grid, the lasting difference between pods integrated out.

    Given the events of both arms together, those of the canary are beta-binomial with mean
    n_c e^u / (n_c e^u + n_s): the unknown base rate, the time of day and everything else that hits both arms
    cancels. Variance of its logit: omega^2 (1/m_c + 1/m_s) a window.
    """
    size = windows.block_windows
    canary = blocks_of(windows.canary, size, windows.interval_seconds)
    stable = blocks_of(windows.stable, size, windows.interval_seconds)
    total = block_log_likelihoods(canary, stable, noise.omega2).sum(axis=0)
    return smooth(np.asarray(total, dtype=np.float64), lasting_variance(canary, stable, noise.tau2))


def lasting_variance(canary: ArmBlocks, stable: ArmBlocks, tau2: float) -> float:
    """Return the variance of the lasting difference between the arms: tau^2 (1/m_c + 1/m_s), effective pods."""
    return tau2 * (1 / max(canary.effective_pods, 1.0) + 1 / max(stable.effective_pods, 1.0))


def block_log_likelihoods(canary: ArmBlocks, stable: ArmBlocks, omega2: float) -> FloatArray:
    """Return ln L(u), a row a block and a column a point of the grid; rows without information are zero."""
    informative = (canary.totals > 0) & (stable.totals > 0) & (canary.events + stable.events > 0)
    rows = np.zeros((canary.totals.size, GRID.size))
    if not informative.any():
        return rows
    xc, xs = canary.events[informative, None], stable.events[informative, None]
    nc, ns = canary.totals[informative, None], stable.totals[informative, None]
    variance = omega2 * (canary.noise_weight + stable.noise_weight)[informative, None]
    theta = 1.0 / (1.0 + np.exp(np.log(ns) - np.log(nc) - GRID[None, :]))
    theta0 = nc / (nc + ns)
    if omega2 < _VARIANCE_MIN:
        rows[informative] = xc * np.log(theta) + xs * np.log1p(-theta)
        return rows
    concentration = np.maximum(1.0 / (variance * theta0 * (1 - theta0)) - 1.0, _CONCENTRATION_MIN)
    a, b = concentration * theta, concentration * (1 - theta)
    rows[informative] = log_beta(xc + a, xs + b) - log_beta(a, b)
    return rows
