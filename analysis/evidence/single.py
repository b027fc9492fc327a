"""One arm alone: its rate against a fixed rate. The guard `limit`, and the proof of a service without errors."""

import math

import numpy as np

from analysis.evidence.grid import GRID, harm_prior, safe_prior, smooth
from analysis.evidence.noise import Noise
from analysis.evidence.special import FloatArray, log_gamma, log_sum_exp
from analysis.evidence.windows import ArmWindows, CountWindows, blocks_of

LIMIT_FALSE_ALARM = 0.001
"""A limit that is kept is reported as broken with this probability at most, over the whole run."""


def rate_log_likelihood(arm: ArmWindows, windows: CountWindows, noise: Noise, rate: float) -> FloatArray:
    """Return ln L(u) on the grid, where e^u times `rate` is the arm's rate.

    Counts are negative binomial, that is Poisson with gamma noise of variance omega^2 a pod and window. For
    ratios near 1 the truth varies less than a Poisson count, so evidence is understated, never overstated.
    """
    blocks = blocks_of(arm, windows.block_windows, windows.interval_seconds)
    used = blocks.totals > 0
    x = blocks.events[used, None]
    mean = blocks.totals[used, None] * rate * np.exp(GRID[None, :])
    size = 1.0 / np.maximum(noise.omega2 * blocks.noise_weight[used, None], 1e-9)
    rows = log_gamma(x + size) - log_gamma(size) - size * np.log1p(mean / size) + x * np.log(mean / (size + mean))
    return smooth(np.asarray(rows.sum(axis=0), dtype=np.float64), noise.tau2 / max(blocks.effective_pods, 1.0))


def above_limit_log_evidence(windows: CountWindows, noise: Noise, limit: float) -> float:
    """Return the log e-process against "the canary's rate is at most `limit`"."""
    likelihood = rate_log_likelihood(windows.canary, windows, noise, limit)
    return log_sum_exp(likelihood + harm_prior(0.0)) - float(likelihood[GRID <= 0].max())


def is_above_limit(windows: CountWindows, noise: Noise, limit: float) -> bool:
    """Whether the canary alone is above the limit, wrongly so with probability 0.1 % at most."""
    evidence = above_limit_log_evidence(windows, noise, limit)
    likely = rate_log_likelihood(windows.canary, windows, noise, limit)
    return evidence >= -math.log(LIMIT_FALSE_ALARM) and float(GRID[int(likely.argmax())]) > 0


def below_log_evidence(windows: CountWindows, noise: Noise, rate: float) -> float:
    """Return the log e-process against "the canary's rate is at least `rate`"."""
    likelihood = rate_log_likelihood(windows.canary, windows, noise, rate)
    return log_sum_exp(likelihood + safe_prior(0.0)) - float(likelihood[GRID >= 0].max())
