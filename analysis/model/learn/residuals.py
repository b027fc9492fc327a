"""What one pod shows beside the others, by block: a matrix a segment of history, of one shape for every family.

Whatever hits all pods (time of day, incidents, a slow database) cancels, since the pods of one block are compared with
each other only.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from analysis.evidence.block import ArmBlock, Block, Scale, block_of, block_windows
from analysis.evidence.parts.counts import nearest_bound
from analysis.evidence.parts.typical import REQUESTS_MIN, log_scores
from analysis.evidence.special import FloatArray
from analysis.evidence.table import EVENTS, LOAD, TOTAL, USED, Table

PODS_MIN = 2
"""One pod alone has nothing to be compared with."""
_WATCHED_MIN = 0.7
"""A pod that was watched for less of a block is as noisy as in a shorter one; it is left out."""


@dataclass(frozen=True)
class Residuals:
    """Deviations of pods from the mean of all, (pods, blocks); a pod of which nothing is known has `share` 0.

    Attributes:
        deviation: of the logarithm, to first order.
        sampling: variance of the deviation that comes from few events or requests, not from the pod.
        factor: the deviation from a mean in which the pod takes part varies by this times the pod's own variance.
        windows: in one block.
    """

    pods: tuple[str, ...]
    deviation: FloatArray
    sampling: FloatArray
    factor: FloatArray
    known: FloatArray
    windows: int


@dataclass(frozen=True)
class _Column:
    """One block: deviation, sampling and factor of the pods that say something."""

    pods: tuple[str, ...]
    deviation: FloatArray
    sampling: FloatArray
    factor: FloatArray


def blocks_of(segment: Table, scale: Scale) -> Iterator[Block]:
    """Yield the stable pods' blocks of a segment, those that were watched for most of it."""
    size = block_windows(segment.interval_seconds)
    for first in range(segment.first, segment.end - size + 1, size):
        block = block_of(segment.cut(first, first + size), scale)
        stable = block.stable
        kept = stable.seconds >= _WATCHED_MIN * size * segment.interval_seconds
        pods = tuple(pod for pod, keep in zip(stable.pods, kept.tolist(), strict=True) if keep)
        arm = ArmBlock(pods, stable.seconds[kept], stable.amounts[kept])
        yield Block(block.canary, arm, block.first, block.windows, block.interval_seconds, block.bounds)


def count_residuals(segment: Table, tail_seconds: float | None = None) -> Residuals:
    """Return the deviations of the rate of events, or of requests slower than a bound.

    Given the events of all pods together, those of one are binomial with its share of the total.
    """
    return _matrix(segment, [_counts(block, tail_seconds) for block in blocks_of(segment, "Sum")])


def _counts(block: Block, tail_seconds: float | None) -> _Column | None:
    events, totals = events_and_totals(block, tail_seconds)
    whole, total = float(events.sum()), float(totals.sum())
    usable = totals > 0
    if whole <= 0 or usable.sum() < PODS_MIN:
        return None
    share = totals[usable] / total
    expected = whole * share
    return _Column(
        tuple(pod for pod, use in zip(block.stable.pods, usable.tolist(), strict=True) if use),
        events[usable] / expected - 1.0,
        (1 - share) * max(1 - whole / total, 0.0) / expected,
        _own_part(share),
    )


def events_and_totals(block: Block, tail_seconds: float | None) -> tuple[FloatArray, FloatArray]:
    """Return events and totals of the stable pods; of a histogram, the requests slower than a bound and all."""
    amounts = block.stable.amounts
    if tail_seconds is None:
        return amounts[:, EVENTS], amounts[:, TOTAL]
    return amounts[:, nearest_bound(block.bounds, tail_seconds) + 1 :].sum(axis=1), amounts.sum(axis=1)


def typical_residuals(segment: Table) -> Residuals:
    """Return the deviations of the mean score of requests, as `TypicalPart` judges them."""
    return _matrix(segment, [_typical(block) for block in blocks_of(segment, "Sum")])


def _typical(block: Block) -> _Column | None:
    amounts = block.stable.amounts
    requests = amounts.sum(axis=1)
    usable = requests >= REQUESTS_MIN
    if not block.bounds or usable.sum() < PODS_MIN:
        return None
    amounts, requests = amounts[usable], requests[usable]
    scores = log_scores(block.bounds)
    level = amounts @ scores / requests
    within = float((amounts @ scores**2 - requests * level**2).sum() / requests.sum())
    share = requests / requests.sum()
    return _Column(
        tuple(pod for pod, use in zip(block.stable.pods, usable.tolist(), strict=True) if use),
        level - share @ level,
        max(within, 0.0) * (1 / requests - 1 / requests.sum()),
        _own_part(share),
    )


def level_residuals(segment: Table, scale: Scale) -> Residuals:
    """Return the deviations of a gauge's level, on its scale."""
    return _matrix(segment, [_levels(block.stable, block.stable.amounts[:, 0]) for block in blocks_of(segment, scale)])


def usage_residuals(segment: Table, usage: tuple[float, float] | None) -> Residuals:
    """Return the deviations of use at equal load, or at equal time where the load model is not known."""
    return _matrix(segment, [_usage(block.stable, usage or (1.0, 0.0)) for block in blocks_of(segment, "Sum")])


def _usage(arm: ArmBlock, usage: tuple[float, float]) -> _Column | None:
    used = arm.amounts[:, USED]
    expected = usage[0] * arm.seconds + usage[1] * arm.amounts[:, LOAD]
    usable = (used > 0) & (expected > 0)
    pods = tuple(pod for pod, use in zip(arm.pods, usable.tolist(), strict=True) if use)
    chosen = ArmBlock(pods, arm.seconds[usable], arm.amounts[usable])
    return _levels(chosen, np.log(used[usable] / expected[usable]))


def _levels(arm: ArmBlock, levels: FloatArray) -> _Column | None:
    if len(arm.pods) < PODS_MIN:
        return None
    share = arm.seconds / arm.seconds.sum()
    return _Column(arm.pods, levels - share @ levels, np.zeros_like(levels), _own_part(share))


def _own_part(share: FloatArray) -> FloatArray:
    """Return Var(e_p - sum of f_q e_q) / Var(e) of independent e: 1 - 2 f_p + sum of f^2."""
    return np.asarray(np.maximum(1 - 2 * share + float((share**2).sum()), 1e-9), dtype=np.float64)


def _matrix(segment: Table, columns: list[_Column | None]) -> Residuals:
    pods = tuple(sorted({pod for column in columns if column for pod in column.pods}))
    place = {pod: row for row, pod in enumerate(pods)}
    shape = len(pods), len(columns)
    deviation, sampling, factor, known = np.zeros(shape), np.zeros(shape), np.ones(shape), np.zeros(shape)
    for index, column in enumerate(columns):
        if column is None:
            continue
        rows = [place[pod] for pod in column.pods]
        deviation[rows, index], sampling[rows, index] = column.deviation, column.sampling
        factor[rows, index], known[rows, index] = column.factor, 1.0
    return Residuals(pods, deviation, sampling, factor, known, block_windows(segment.interval_seconds))
