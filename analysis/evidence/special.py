"""Special functions on numbers and arrays, without SciPy."""

import math

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

# Stirling's series is exact to 1e-15 from here on; smaller arguments are moved up by the recurrence.
_SHIFT = 10
_COEFFICIENTS = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
_HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)


def log_gamma(x: FloatArray) -> FloatArray:
    """Return ln Gamma(x) of positive numbers (Abramowitz and Stegun 6.1.41, with 6.1.15)."""
    small = x < _SHIFT
    shifted = np.where(small, x + _SHIFT, x)
    inverse = 1.0 / shifted
    square = inverse * inverse
    series = np.full_like(x, _COEFFICIENTS[-1])
    for coefficient in _COEFFICIENTS[-2::-1]:
        series = series * square + coefficient
    stirling = (shifted - 0.5) * np.log(shifted) - shifted + _HALF_LOG_TWO_PI + series * inverse
    if not small.any():
        return np.asarray(stirling, dtype=np.float64)
    # Only small arguments need the recurrence; a large one would overflow the product.
    start = np.where(small, x, 1.0)
    product = start.copy()
    for step in range(1, _SHIFT):
        product *= start + step
    return np.asarray(stirling - np.where(small, np.log(product), 0.0), dtype=np.float64)


def log_beta(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return ln B(a, b) of positive numbers."""
    return log_gamma(a) + log_gamma(b) - log_gamma(a + b)


def log_sum_exp(values: FloatArray) -> float:
    """Return ln of the sum of exp(values); -inf of none."""
    if values.size == 0:
        return -math.inf
    largest = float(values.max())
    if not math.isfinite(largest):
        return largest
    return largest + math.log(float(np.exp(values - largest).sum()))


def log_normal_density(x: float, variance: float) -> float:
    """Return ln of the density of N(0, variance) at x."""
    return -_HALF_LOG_TWO_PI - 0.5 * (math.log(variance) + x * x / variance)


def log_normal_cdf(x: float) -> float:
    """Return ln of the standard normal distribution function, exact in the far tail too."""
    if x > -30:
        return math.log(0.5 * math.erfc(-x / math.sqrt(2)))
    # Mills' ratio (Abramowitz and Stegun 26.2.12); the error is below 1e-6 of the logarithm's last digit there.
    return -0.5 * x * x - _HALF_LOG_TWO_PI - math.log(-x) + math.log1p(-1 / (x * x) + 3 / x**4)
