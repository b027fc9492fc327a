"""Special functions on numbers and arrays, without SciPy."""

import math

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

# Stirling's series is exact to 1e-15 from here on; smaller arguments are moved up by the recurrence.
_SHIFT = 10
_COEFFICIENTS = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
_HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)


def log_rising(z: FloatArray, n: FloatArray) -> FloatArray:
    """Return ln of Gamma(z + n) / Gamma(z) of z > 0 and n >= 0 (Abramowitz and Stegun 6.1.41, with 6.1.15).

    Unlike a difference of two logarithms of Gamma it keeps its digits where z is much larger than n.
    """
    small = z < _SHIFT
    base = np.where(small, z + _SHIFT, z)
    top = base + n
    risen = (base - 0.5) * np.log1p(n / base) + n * (np.log(top) - 1.0) + _correction(top) - _correction(base)
    if small.any():
        product = np.ones_like(z)
        for step in range(_SHIFT):
            product *= (z + step) / (z + n + step)
        risen = risen + np.where(small, np.log(product), 0.0)
    return np.asarray(risen, dtype=np.float64)


def _correction(x: FloatArray) -> FloatArray:
    inverse = 1.0 / x
    square = inverse * inverse
    series = _COEFFICIENTS[-1] * square
    for coefficient in _COEFFICIENTS[-2:0:-1]:
        series = (series + coefficient) * square
    return np.asarray((series + _COEFFICIENTS[0]) * inverse, dtype=np.float64)


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
