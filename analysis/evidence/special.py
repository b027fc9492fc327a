"""Logarithms of the gamma and beta functions on arrays, without SciPy."""

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
    product = np.ones_like(x)
    shifted = x
    for step in range(_SHIFT):
        # Only small arguments need the recurrence; a large one would overflow the product.
        small = x < _SHIFT
        product = np.where(small, product * (x + step), product)
    shifted = np.where(x < _SHIFT, x + _SHIFT, x)
    inverse = 1.0 / shifted
    square = inverse * inverse
    series = np.zeros_like(x)
    for coefficient in reversed(_COEFFICIENTS):
        series = series * square + coefficient
    stirling = (shifted - 0.5) * np.log(shifted) - shifted + _HALF_LOG_TWO_PI + series * inverse
    return stirling - np.log(product)


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
