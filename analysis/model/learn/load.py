"""How a metric depends on load: its elasticity, and what an idle pod and a unit of load use of a resource."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.evidence.block import Block
from analysis.evidence.parts.typical import log_scores
from analysis.evidence.special import FloatArray
from analysis.evidence.table import LOAD, USED, Table
from analysis.model.learn.residuals import blocks_of, events_and_totals

SEGMENTS_MIN = 10
EVENTS_MIN = 10.0
"""The logarithm of a rate of fewer events is biased."""
LOAD_SPREAD_MIN = 0.03
"""Without a load that varies by 3 %, idle use and use by load cannot be told apart."""
ERROR_SHARE_MIN = 0.2
"""Time of day moves load and much else together, so no history makes us surer than this share of the prior's doubt."""
_HUBER = 1.345
_ROUNDS = 30
# Blocks that are looked at together: one, some, or all of a segment.
_POOLED = (1, 4, 1000)
_USABLE_MIN = 0.95

Sums = tuple[float, float, float]
"""Of a block: what is divided by requests (events, or scores), requests, and seconds of pod life."""


@dataclass(frozen=True)
class LoadView:
    """How a metric is looked at beside load: the sums of a block, and the logarithm that they give.

    Attributes:
        level: None where the sums are too few for a logarithm without bias.
    """

    sums: Callable[[Block], Sums]
    level: Callable[[Sums], float | None]


def counts_view(tail_seconds: float | None = None) -> LoadView:
    """Return the view of a rate of events, or of requests slower than a bound."""

    def sums(block: Block) -> Sums:
        events, totals = events_and_totals(block, tail_seconds)
        return float(events.sum()), float(totals.sum()), float(block.stable.seconds.sum())

    return LoadView(sums, lambda one: float(np.log(one[0] / one[1])) if one[0] >= EVENTS_MIN else None)


def typical_view() -> LoadView:
    """Return the view of the typical latency."""

    def sums(block: Block) -> Sums:
        by_bucket = block.stable.amounts.sum(axis=0)
        score = float(by_bucket @ log_scores(block.bounds)) if block.bounds else 0.0
        return score, float(by_bucket.sum()), float(block.stable.seconds.sum())

    return LoadView(sums, lambda one: one[0] / one[1] if one[1] >= EVENTS_MIN else None)


def elasticity(segments: Sequence[Table], view: LoadView, prior_error: float) -> tuple[float, float]:
    """Return d ln(metric) / d ln(load per pod) and its standard error, drawn to 0 by the prior's doubt.

    Each segment gives one point, the medians over its blocks, so that an incident of minutes moves nothing; the line
    is Huber's, so that a few bad segments move little.
    """
    sums = [np.array([view.sums(block) for block in blocks_of(segment, "Sum")]) for segment in segments]
    points = next((found for size in _POOLED if (found := _points(sums, view, size)) is not None), np.zeros((0, 2)))
    if len(points) < SEGMENTS_MIN or float(np.std(points[:, 0])) < LOAD_SPREAD_MIN:
        return 0.0, prior_error
    slope, error = _huber_line(points[:, 0], points[:, 1])
    trust = prior_error**2 / (prior_error**2 + error**2)
    return trust * slope, max(float(np.sqrt(trust)) * error, ERROR_SHARE_MIN * prior_error)


def _points(segments: Sequence[FloatArray], view: LoadView, size: int) -> FloatArray | None:
    """Return a point a segment, from groups of blocks; None where groups of this size are often too small.

    Groups are never chosen by what is in them: leaving out those with few events would leave the high rates.
    """
    points: list[FloatArray] = []
    groups = usable = 0
    for blocks in segments:
        pooled = [blocks[first : first + size].sum(axis=0) for first in range(0, len(blocks), size)]
        found = [point for sums in pooled if (point := _point(tuple(sums.tolist()), view)) is not None]
        groups, usable = groups + len(pooled), usable + len(found)
        if found:
            points.append(np.median(np.array(found), axis=0))
    return np.array(points) if groups and usable >= _USABLE_MIN * groups else None


def _point(sums: Sums, view: LoadView) -> tuple[float, float] | None:
    level = view.level(sums) if min(sums[1:]) > 0 else None
    return None if level is None else (float(np.log(sums[1] / sums[2])), level)


def _huber_line(x: FloatArray, y: FloatArray) -> tuple[float, float]:
    """Return slope and standard error of a line, by iterated weights; the error is White's."""
    design = np.stack([np.ones_like(x), x - x.mean()], axis=1)
    weight = np.ones_like(x)
    for _ in range(_ROUNDS):
        line = _weighted(design, y, weight)
        residual = y - design @ line
        scale = max(1.4826 * float(np.median(np.abs(residual))), 1e-9)
        weight = np.minimum(1.0, _HUBER * scale / np.maximum(np.abs(residual), 1e-12))
    bread = np.linalg.inv(design.T @ (weight[:, None] * design))
    meat = design.T @ (((weight * residual) ** 2)[:, None] * design)
    degrees = len(x) / (len(x) - 2)
    return float(line[1]), float(np.sqrt(degrees * (bread @ meat @ bread)[1, 1]))


def _weighted(design: FloatArray, y: FloatArray, weight: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.solve(design.T @ (weight[:, None] * design), design.T @ (weight * y)), dtype=np.float64)


def usage_model(segments: Sequence[Table]) -> tuple[float, float] | None:
    """Return what a second of pod life and what a unit of load use, neither below 0; None where they look alike.

    The sum of squared relative errors is least, under weights that a few odd blocks cannot pull.
    """
    rows = [row for segment in segments for block in blocks_of(segment, "Sum") for row in _usage_rows(block)]
    if len(rows) < SEGMENTS_MIN:
        return None
    used, seconds, load = np.array(rows).T
    if float(np.std(np.log(load / seconds))) < LOAD_SPREAD_MIN:
        return None
    design = np.stack([seconds / used, load / used], axis=1)
    weight = np.ones_like(used)
    for _ in range(_ROUNDS):
        costs = _nonnegative(design, weight)
        residual = 1 - design @ costs
        scale = max(1.4826 * float(np.median(np.abs(residual))), 1e-9)
        weight = np.minimum(1.0, _HUBER * scale / np.maximum(np.abs(residual), 1e-12))
    return float(costs[0]), float(costs[1])


def _usage_rows(block: Block) -> list[tuple[float, float, float]]:
    arm = block.stable
    columns = zip(arm.amounts[:, USED].tolist(), arm.seconds.tolist(), arm.amounts[:, LOAD].tolist(), strict=True)
    return [row for row in columns if min(row) > 0]


def _nonnegative(design: FloatArray, weight: FloatArray) -> FloatArray:
    """Return the non-negative least squares solution for a right side of ones: two columns need no search."""
    both = _weighted(design, np.ones(len(weight)), weight + 1e-9)
    if float(both.min()) >= 0:
        return both
    alone = [(weight @ column) / max(float(weight @ column**2), 1e-300) for column in design.T]
    choices = [np.array([alone[0], 0.0]), np.array([0.0, alone[1]])]
    return min(choices, key=lambda costs: float(weight @ (1 - design @ costs) ** 2))
