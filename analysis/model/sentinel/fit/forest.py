"""Grows random trees."""

from typing import Any

import numpy as np
from sklearn.ensemble import IsolationForest

from analysis.evidence.special import FloatArray
from analysis.model.sentinel.fit.detector import FittingDetector
from analysis.model.sentinel.forest import IsolationForestDetector, Tree


class IsolationForestFit(FittingDetector):
    """Isolation forest (Liu, Ting and Zhou, ICDM 2008): what few random cuts set apart is unusual.

    It is nearly blind to a change of one contrast among many (`IsolationForestDetector` has the figures): below, six
    standard errors in one of three metrics hardly move the score.

    Args:
        random_state: seed; the same history gives the same artefact.

    Attributes:
        forest_: scikit-learn's fitted IsolationForest of 100 trees.

    >>> import numpy as np
    >>> rng = np.random.default_rng(3)
    >>> detector = IsolationForestFit().fit(rng.standard_normal((400, 3))).export()
    >>> detector.anomaly(np.array([[0.5, -1.0, 0.0], [0.0, 6.0, 0.0], [6.0, 6.0, 6.0]])).round(2).tolist()
    [0.42, 0.55, 0.75]
    """

    forest_: IsolationForest

    def __init__(self, random_state: int = 0) -> None:
        self.random_state = random_state

    def export(self) -> IsolationForestDetector:
        """Return the trees."""
        trees = tuple(_tree(estimator.tree_) for estimator in self.forest_.estimators_)
        return IsolationForestDetector(self.n_features_in_, int(self.forest_.max_samples_), trees)

    def _learn(self, contrasts: FloatArray) -> None:
        self.forest_ = IsolationForest(n_estimators=100, random_state=self.random_state).fit(contrasts)

    def _usual(self, contrasts: FloatArray) -> FloatArray:
        scores: FloatArray = self.forest_.score_samples(contrasts)
        return scores


def _tree(grown: Any) -> Tree:
    leaf = grown.children_left < 0
    return Tree(
        left=tuple(grown.children_left.tolist()),
        right=tuple(grown.children_right.tolist()),
        # scikit-learn marks leaves with -2 in both; one spelling is enough.
        feature=tuple(np.where(leaf, -1, grown.feature).tolist()),
        threshold=tuple(np.where(leaf, 0.0, grown.threshold).tolist()),
        samples=tuple(grown.n_node_samples.tolist()),
    )
