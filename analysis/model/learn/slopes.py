"""Noise of Growth: how much the slopes of pods differ though none of them leaks."""

from collections.abc import Sequence

import numpy as np

from analysis.evidence.block import ArmBlock, Scale
from analysis.evidence.parts.growth import BLOCKS_MIN
from analysis.evidence.parts.level import mean_level
from analysis.evidence.special import FloatArray
from analysis.evidence.table import Table
from analysis.model.learn.components import Moments, Variances, cell_sums, solved
from analysis.model.learn.residuals import PODS_MIN, blocks_of

STABLE_MEAN = 1.1
"""As in `GrowthPart`: a tenth is added for the noise of the mean that a pod is compared with."""


def slope_variances(segments: Sequence[Table], scale: Scale, prior: tuple[float, float], seed: int) -> Variances:
    """Return omega^2 of the level in one window, and tau^2 of the lasting difference of slopes an hour.

    A slope varies by omega^2 * 1.1 / Sxx + tau^2, where Sxx grows with the cube of the time; slopes of half a segment
    and of a whole one tell the two apart.
    """
    lines = [list(blocks_of(segment, scale)) for segment in segments]
    pods = tuple(sorted({pod for blocks in lines for block in blocks for pod in block.stable.pods}))
    place = {pod: column for column, pod in enumerate(pods)}
    halves, wholes = np.zeros((2, 4, len(lines), len(pods)))
    for row, blocks in enumerate(lines):
        arms = [block.stable for block in blocks]
        windows = blocks[0].windows if blocks else 1
        middle = len(arms) // 2
        for part, sums in ((arms[:middle], halves), (arms[middle:], halves), (arms, wholes)):
            names, cells = _slopes(part, windows, prior)
            sums[:, row, [place[name] for name in names]] += cells
    return solved((Moments(*halves), Moments(*wholes)), prior, seed)


def _slopes(arms: Sequence[ArmBlock], windows: int, prior: tuple[float, float]) -> tuple[tuple[str, ...], FloatArray]:
    """Return the cells of the pods that were there all the time."""
    usable = [arm for arm in arms if len(arm.pods) >= PODS_MIN]
    names = tuple(sorted(set.intersection(*(set(arm.pods) for arm in usable)))) if usable else ()
    if len(usable) < BLOCKS_MIN or len(names) < PODS_MIN:
        return (), np.zeros((4, 0))
    rows = [[arm.pods.index(name) for name in names] for arm in usable]
    level = np.stack([arm.amounts[row, 0] - mean_level(arm) for arm, row in zip(usable, rows, strict=True)], axis=1)
    hours = np.stack([arm.amounts[row, 1] for arm, row in zip(usable, rows, strict=True)], axis=1)
    centred = hours - hours.mean(axis=1, keepdims=True)
    square = (centred**2).sum(axis=1)
    slope = (centred * level).sum(axis=1) / square
    factor = np.full(len(names), 1 - 1 / len(names))
    # Each block stands for as many windows.
    return names, cell_sums(slope**2, np.zeros(len(names)), factor, STABLE_MEAN / (square * windows), prior)
