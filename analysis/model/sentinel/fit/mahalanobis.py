"""Learns centre and covariance."""

from sklearn.covariance import LedoitWolf

from analysis.evidence.special import FloatArray
from analysis.model.sentinel.fit.detector import FittingDetector
from analysis.model.sentinel.mahalanobis import MahalanobisDetector


class MahalanobisFit(FittingDetector):
    """Squared Mahalanobis distance with a covariance shrunk towards a sphere (Ledoit and Wolf, JMVA 88, 2004).

    Shrinking keeps it invertible where looks are few against metrics.

    Attributes:
        covariance_: scikit-learn's fitted LedoitWolf.

    >>> import numpy as np
    >>> rng = np.random.default_rng(3)
    >>> detector = MahalanobisFit().fit(rng.standard_normal((400, 3))).export()
    >>> detector.anomaly(np.array([[0.5, -1.0, 0.0], [0.0, 6.0, 0.0]])).round(1).tolist()
    [1.4, 35.5]
    """

    covariance_: LedoitWolf

    def export(self) -> MahalanobisDetector:
        """Return centre and covariance."""
        covariance = self.covariance_.covariance_
        symmetric = (covariance + covariance.T) / 2
        mean = tuple(self.covariance_.location_.tolist())
        return MahalanobisDetector(mean, tuple(map(tuple, symmetric.tolist())))

    def _learn(self, contrasts: FloatArray) -> None:
        self.covariance_ = LedoitWolf().fit(contrasts)

    def _usual(self, contrasts: FloatArray) -> FloatArray:
        distances: FloatArray = self.covariance_.mahalanobis(contrasts)
        return -distances
