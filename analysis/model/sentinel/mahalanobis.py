"""Distance from the centre of the healthy looks, in their own covariance."""

from functools import cached_property
from typing import Annotated

import msgspec
import numpy as np

from analysis.evidence.special import FloatArray
from analysis.model.sentinel.contrasts import FEATURES_MAX, Row

# What is flatter than this in one direction says that two metrics are the same one.
CONDITION_MAX = 1e8
_VARIANCE_MIN = 1e-9


class MahalanobisDetector(
    msgspec.Struct, frozen=True, tag_field="type", tag="Mahalanobis", forbid_unknown_fields=True, dict=True
):
    """Squared Mahalanobis distance. It sees changes of one metric and joint changes against the usual correlation."""

    mean: Row
    """(dimensions,) centre of the healthy contrasts."""
    covariance: Annotated[tuple[Row, ...], msgspec.Meta(max_length=FEATURES_MAX)]
    """(dimensions, dimensions) their shrunk covariance."""

    def __post_init__(self) -> None:
        """Refuse what is no covariance of these dimensions."""
        if {len(self.covariance), *map(len, self.covariance)} != {self.dimensions}:
            raise ValueError("covariance has another number of rows or columns than mean")
        covariance = np.array(self.covariance)
        if not np.array_equal(covariance, covariance.T):
            raise ValueError("covariance is not symmetric")
        variances = np.linalg.eigvalsh(covariance)
        if variances[0] < max(_VARIANCE_MIN, variances[-1] / CONDITION_MAX):
            raise ValueError("covariance is not positive definite, or two features are the same")

    @property
    def dimensions(self) -> int:
        """Number of contrasts in a row."""
        return len(self.mean)

    def anomaly(self, contrasts: FloatArray) -> FloatArray:
        """Return the squared distance of each row of (rows, dimensions)."""
        whitened = (contrasts - np.array(self.mean)) @ self._whitener
        squares: FloatArray = (whitened**2).sum(axis=1)
        return squares

    @cached_property
    def _whitener(self) -> FloatArray:
        """W with W W' the inverse of the covariance, by Cholesky: no square can come out negative."""
        root = np.linalg.cholesky(np.array(self.covariance))
        return np.linalg.inv(root).T
