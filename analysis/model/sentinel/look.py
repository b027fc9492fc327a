"""What a sentinel says of one look, and which metrics drove it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from analysis.evidence.special import FloatArray
from analysis.model.sentinel.contrasts import contrast_row
from analysis.model.sentinel.model import SentinelModel
from analysis.model.sentinel.threshold import p_value, trajectory_threshold


@dataclass(frozen=True)
class Driver:
    """The part of a score that one metric explains.

    Attributes:
        feature: name of the contrast.
        contrast: canary against stable, in standard errors.
        drop: how much the score falls when this contrast alone is what it usually is; in units of the score.
    """

    feature: str
    contrast: float
    drop: float


@dataclass(frozen=True)
class Look:
    """A sentinel's answer.

    Attributes:
        score: how unusual the look is, in the detector's own unit.
        threshold: what it must exceed for an alarm; None where too few healthy rollouts are known to have one.
        p_value: how often healthy rollouts reach such a score.
        drivers: metrics that raise the score, the strongest first.
        seen: features that had a contrast; the others counted as if nothing were to see.
    """

    score: float
    threshold: float | None
    p_value: float
    drivers: tuple[Driver, ...]
    seen: int

    @property
    def alarm(self) -> bool:
        """Whether this is an anomaly at the budget. Without a threshold there is none."""
        return self.threshold is not None and self.score > self.threshold


def look(model: SentinelModel, contrasts: Mapping[str, float], budget: float) -> Look | None:
    """Return what the sentinel says; None where no feature has a contrast, since no data is no sign of health.

    Args:
        model: the sentinel.
        contrasts: contrast of each metric, in standard errors (`contrasts.contrast`); NaN or absent where unknown.
        budget: ratio of healthy rollouts that may be taken for anomalies, over all looks of a rollout.
    """
    seen = sum(not np.isnan(contrasts.get(name, np.nan)) for name in model.features)
    if not seen:
        return None
    row = contrast_row(model.features, contrasts)
    score = float(model.detector.anomaly(row[np.newaxis])[0])
    return Look(
        score=score,
        threshold=trajectory_threshold(model.largest_scores, budget),
        p_value=p_value(score, model.largest_scores),
        drivers=_drivers(model, row, score),
        seen=seen,
    )


def _drivers(model: SentinelModel, row: FloatArray, score: float) -> tuple[Driver, ...]:
    usual = np.tile(row, (len(row), 1))
    np.fill_diagonal(usual, model.medians)
    drops = score - model.detector.anomaly(usual)
    raised = [
        Driver(name, float(value), float(drop))
        for name, value, drop in zip(model.features, row, drops, strict=True)
        if drop > 0
    ]
    return tuple(sorted(raised, key=lambda driver: (-driver.drop, driver.feature)))
