"""Contrasts of what a run has gathered, one a part of a metric: the row that a sentinel looks at."""

import math
from collections.abc import Iterable

import numpy as np

from analysis.evidence.likelihood import GridLikelihood, Likelihood
from analysis.evidence.metric_state import MetricState
from analysis.model.sentinel.contrasts import contrast


def run_contrasts(metrics: Iterable[MetricState]) -> dict[str, float]:
    """Return the contrasts of a run's metrics since its last increase of the weight, by the name of the feature.

    Since the last increase, because a fault that appears with more traffic would be diluted by what was before it.

    Args:
        metrics: with their running blocks taken in.

    Returns:
        `metric`, and `metric, label` of a part with a label, such as a tail; NaN while nothing is known.
    """
    found: dict[str, float] = {}
    for metric in metrics:
        for name, part, kept in zip(features_of(metric), metric.parts, metric.kept, strict=True):
            found[name] = likelihood_contrast(part.part.likelihood(kept.since[-1])) if kept.since else math.nan
    return found


def features_of(metric: MetricState) -> tuple[str, ...]:
    """Return the names of a metric's contrasts, one a part."""
    name = metric.rule.name
    return tuple(f"{name}, {part.part.label}" if part.part.label else name for part in metric.parts)


def likelihood_contrast(likelihood: Likelihood) -> float:
    """Return how far u = ln(canary / stable) is from 0, in standard errors; NaN where nothing is known.

    Of a likelihood on the grid the signed root of its deviance, sign(u) sqrt(2 (L(u) - L(0))), which is the estimate
    in standard errors where the likelihood is normal and stays finite where few events make it skew. Of a normal one
    the middle of its range: what load does to healthy rollouts is for the sentinel to learn.
    """
    if not likelihood.known:
        return math.nan
    if isinstance(likelihood, GridLikelihood):
        values = likelihood.values
        deviance = 2.0 * (float(values.max()) - float(likelihood.at(np.zeros(1))[0]))
        middle = len(values) // 2
        return math.copysign(math.sqrt(max(deviance, 0.0)), int(values.argmax()) - middle)
    return contrast((likelihood.low + likelihood.high) / 2, likelihood.variance)
