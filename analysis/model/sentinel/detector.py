"""What every detector can do once it is fitted: say how unusual contrasts are, with numpy alone.

The other half, which learns with scikit-learn, is in `fit/`; the operator never imports it.
"""

from typing import Protocol

from analysis.evidence.special import FloatArray


class Detector(Protocol):
    """A fitted detector: plain data with one function."""

    @property
    def dimensions(self) -> int:
        """Number of contrasts in a row."""

    def anomaly(self, contrasts: FloatArray) -> FloatArray:
        """Return how unusual each row is; the larger, the more.

        Args:
            contrasts: (rows, dimensions), finite (`contrasts.filled`).

        Returns:
            (rows,), finite. Scores of different detectors have different units and are never compared.
        """
