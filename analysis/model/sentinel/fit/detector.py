"""What the detectors share while they learn: scikit-learn's contract."""

from abc import ABC, abstractmethod
from typing import Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from analysis.evidence.special import FloatArray
from analysis.model.sentinel.model import AnyDetector


class FittingDetector(BaseEstimator, ABC):  # type: ignore[misc]  # scikit-learn ships no types.
    """An estimator of scikit-learn's kind: it learns from healthy contrasts and exports what it learned as data."""

    def fit(self, contrasts: FloatArray, y: None = None) -> Self:
        """Learn from healthy looks.

        Args:
            contrasts: (looks, features), finite.
            y: ignored; there are no labels.
        """
        del y
        self._learn(validate_data(self, contrasts, dtype=np.float64, ensure_min_samples=2))
        return self

    def score_samples(self, contrasts: FloatArray) -> FloatArray:
        """Return scikit-learn's own answer, the larger the more usual; the exported detector's with the sign turned."""
        check_is_fitted(self)
        return self._usual(validate_data(self, contrasts, dtype=np.float64, reset=False))

    @abstractmethod
    def export(self) -> AnyDetector:
        """Return what was learned, to be scored without scikit-learn."""

    @abstractmethod
    def _learn(self, contrasts: FloatArray) -> None: ...

    @abstractmethod
    def _usual(self, contrasts: FloatArray) -> FloatArray: ...
