"""Makes a sentinel of the contrasts that healthy rollouts showed."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from analysis.errors import InvalidSpec, MeasurementError
from analysis.evidence.special import FloatArray
from analysis.model.sentinel.contrasts import filled
from analysis.model.sentinel.fit.detector import FittingDetector
from analysis.model.sentinel.fit.forest import IsolationForestFit
from analysis.model.sentinel.fit.mahalanobis import MahalanobisFit
from analysis.model.sentinel.fit.neighbors import NearestNeighborsFit
from analysis.model.sentinel.model import SentinelModel
from analysis.model.sentinel.threshold import largest_scores

LOOKS_A_FEATURE_MIN = 10
SHOWN_SHARE_MIN = 0.5
"""What fewer looks show is left out: where restarts are rare, one is as far out as a Mahalanobis distance can see."""

Kind = Literal["Mahalanobis", "NearestNeighbors", "IsolationForest"]

_FITS: dict[Kind, type[FittingDetector]] = {
    "Mahalanobis": MahalanobisFit,
    "NearestNeighbors": NearestNeighborsFit,
    "IsolationForest": IsolationForestFit,
}


def fit_sentinel(kind: Kind, features: Sequence[str], rollouts: Sequence[FloatArray]) -> SentinelModel:
    """Return a sentinel learned from every second rollout and calibrated on the others.

    A rollout that was learned from looks more usual than a new one, so it cannot say what is unusual. Features that
    less than half of the looks show, or that never vary, are left out; guards and evidence watch rare events.

    Args:
        kind: detector.
        features: names of the contrasts.
        rollouts: (looks, features) contrasts of each healthy rollout or placebo, in order of time; NaN where a metric
            was not there.

    Raises:
        InvalidSpec: a rollout has another number of features, or every feature is left out.
        MeasurementError: there are fewer than LOOKS_A_FEATURE_MIN looks a feature to learn from.

    >>> rng = np.random.default_rng(11)
    >>> healthy = [rng.standard_normal((20, 3)) for _ in range(198)]
    >>> sentinel = fit_sentinel("Mahalanobis", ["errors", "latency", "cpu"], healthy)
    >>> from analysis.model.sentinel.look import look
    >>> found = look(sentinel, {"errors": 0.4, "latency": 6.1, "cpu": -0.3}, budget=0.01)
    >>> found.alarm, found.p_value, [driver.feature for driver in found.drivers]
    (True, 0.01, ['latency', 'cpu', 'errors'])
    """
    for index, rollout in enumerate(rollouts):
        if rollout.ndim != 2 or rollout.shape[1] != len(features):
            raise InvalidSpec(f"rollouts[{index}]", f"has shape {rollout.shape}", f"give {len(features)} columns")
    looks = filled(np.concatenate([np.zeros((0, len(features))), *rollouts[::2]]))
    needed = LOOKS_A_FEATURE_MIN * len(features)
    if len(looks) < needed:
        raise MeasurementError(f"{len(looks)} healthy looks are too few to learn {len(features)} metrics: {needed}")
    kept = _shown(looks)
    if not len(kept):
        raise InvalidSpec("features", "none is there in half of the looks", "compare metrics that the pods always have")
    detector = _FITS[kind]().fit(looks[:, kept]).export()
    return SentinelModel(
        features=tuple(features[index] for index in kept),
        medians=tuple(np.median(looks[:, kept], axis=0).tolist()),
        largest_scores=largest_scores([detector.anomaly(filled(rollout)[:, kept]) for rollout in rollouts[1::2]]),
        detector=detector,
    )


def _shown(looks: FloatArray) -> npt.NDArray[np.int64]:
    shown = (looks != 0).mean(axis=0) >= SHOWN_SHARE_MIN
    return np.flatnonzero(shown & (np.ptp(looks, axis=0) > 0))
