"""Contrasts: how far canary and stable are apart in each metric, in standard errors.

A sentinel sees contrasts only, never raw values: raw values teach it the time of day, and an incident that hits both
arms would be an anomaly of the canary.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
import numpy as np

from analysis.evidence.special import FloatArray

LARGEST_CONTRAST = 1e6
FEATURES_MAX = 64

Contrast = Annotated[float, msgspec.Meta(ge=-LARGEST_CONTRAST, le=LARGEST_CONTRAST)]
"""A coordinate as artefacts hold it: bounded, so that no score overflows to infinity or NaN."""
Row = Annotated[tuple[Contrast, ...], msgspec.Meta(min_length=1, max_length=FEATURES_MAX)]
"""One value a feature."""


def contrast(estimate: float, variance: float) -> float:
    """Return an estimate in its standard errors; NaN where there is none, or no variance to measure it by."""
    known = math.isfinite(estimate) and math.isfinite(variance) and variance > 0
    return estimate / math.sqrt(variance) if known else math.nan


def filled(contrasts: FloatArray) -> FloatArray:
    """Return contrasts (any shape) with 0, nothing to see, where a metric is not there, and bounded elsewhere."""
    bounded = np.clip(np.asarray(contrasts, dtype=np.float64), -LARGEST_CONTRAST, LARGEST_CONTRAST)
    return np.where(np.isnan(bounded), 0.0, bounded)


def contrast_row(features: Sequence[str], contrasts: Mapping[str, float]) -> FloatArray:
    """Return the contrasts of one look in the order of the features, shape (features,); 0 where one is missing."""
    return filled(np.array([contrasts.get(name, math.nan) for name in features], dtype=np.float64))
