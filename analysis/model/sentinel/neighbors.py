"""Distance to the healthy looks that are most alike."""

from functools import cached_property
from typing import Annotated

import msgspec
import numpy as np

from analysis.evidence.special import FloatArray
from analysis.model.sentinel.contrasts import Row

POINTS_MAX = 2000
NEIGHBORS_MAX = 50


class NearestNeighborsDetector(
    msgspec.Struct, frozen=True, tag_field="type", tag="NearestNeighbors", forbid_unknown_fields=True, dict=True
):
    """Euclidean distance to the k-th nearest stored look. It assumes no shape of what is healthy."""

    neighbors: Annotated[int, msgspec.Meta(ge=1, le=NEIGHBORS_MAX)]
    """k."""
    points: Annotated[tuple[Row, ...], msgspec.Meta(min_length=1, max_length=POINTS_MAX)]
    """(points, dimensions) healthy contrasts."""

    def __post_init__(self) -> None:
        """Refuse points of different dimensions, and fewer points than neighbours."""
        if any(len(point) != self.dimensions for point in self.points):
            raise ValueError("points have different numbers of features")
        if len(self.points) < self.neighbors:
            raise ValueError("there are fewer points than neighbors")

    @property
    def dimensions(self) -> int:
        """Number of contrasts in a row."""
        return len(self.points[0])

    def anomaly(self, contrasts: FloatArray) -> FloatArray:
        """Return the distance of each row of (rows, dimensions), in standard errors."""
        # A row at a time: all distances at once would be rows x points x dimensions numbers.
        return np.array([self._distance(row) for row in contrasts], dtype=np.float64)

    def _distance(self, row: FloatArray) -> float:
        squares = ((self._points - row) ** 2).sum(axis=1)
        return float(np.sqrt(np.partition(squares, self.neighbors - 1)[self.neighbors - 1]))

    @cached_property
    def _points(self) -> FloatArray:
        return np.array(self.points)
