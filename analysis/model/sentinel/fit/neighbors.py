"""Keeps healthy looks to compare with."""

import numpy as np
from sklearn.neighbors import NearestNeighbors

from analysis.evidence.special import FloatArray
from analysis.model.sentinel.fit.detector import FittingDetector
from analysis.model.sentinel.neighbors import POINTS_MAX, NearestNeighborsDetector


class NearestNeighborsFit(FittingDetector):
    """Distance to the k-th nearest healthy look (Ramaswamy, Rastogi and Shim, SIGMOD 2000).

    Of more than POINTS_MAX looks, as many are kept, evenly spaced over the history.

    Args:
        n_neighbors: k; one neighbour alone may be an outlier itself. Fewer looks than k are all used.

    Attributes:
        neighbors_: scikit-learn's fitted NearestNeighbors.

    >>> import numpy as np
    >>> rng = np.random.default_rng(3)
    >>> detector = NearestNeighborsFit().fit(rng.standard_normal((400, 3))).export()
    >>> detector.anomaly(np.array([[0.5, -1.0, 0.0], [0.0, 6.0, 0.0]])).round(1).tolist()
    [0.5, 3.9]
    """

    neighbors_: NearestNeighbors

    def __init__(self, n_neighbors: int = 5) -> None:
        self.n_neighbors = n_neighbors

    def export(self) -> NearestNeighborsDetector:
        """Return the points."""
        points = tuple(map(tuple, self.points_.tolist()))
        return NearestNeighborsDetector(self.neighbors_.n_neighbors, points)

    def _learn(self, contrasts: FloatArray) -> None:
        kept = np.linspace(0, len(contrasts) - 1, min(len(contrasts), POINTS_MAX)).round().astype(int)
        self.points_ = contrasts[kept]
        # The brute-force search takes |a|^2 - 2ab + |b|^2, which loses half of the digits; the tree subtracts first.
        neighbors = NearestNeighbors(n_neighbors=min(self.n_neighbors, len(kept)), algorithm="kd_tree")
        self.neighbors_ = neighbors.fit(self.points_)

    def _usual(self, contrasts: FloatArray) -> FloatArray:
        distances, _ = self.neighbors_.kneighbors(contrasts)
        farthest: FloatArray = distances[:, -1]
        return -farthest
