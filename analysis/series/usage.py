"""Usage: what was used and the load, over the same time although they are scraped apart and scrapes get lost."""

from dataclasses import dataclass, replace

import numpy as np

from analysis.evidence.special import FloatArray
from analysis.series.binned import binned
from analysis.series.families import Cells, Scene
from analysis.series.gains import Gains
from analysis.series.samples import BoolArray

_PARTS = 3


@dataclass(frozen=True)
class Waiting:
    """What windows hold that wait for the other half: used, load and seconds, by row.

    Attributes:
        age: windows since both were known; at the limit nothing is kept any more.
    """

    amounts: FloatArray
    age: FloatArray

    @classmethod
    def nothing(cls, rows: int, limit: int) -> "Waiting":
        """Return the beginning: nothing is kept before both were known once."""
        return cls(np.zeros((rows, _PARTS)), np.full(rows, float(limit)))

    def widened(self, rows: int, limit: int) -> "Waiting":
        """Return the same with rows for new pods."""
        more = Waiting.nothing(rows - self.age.size, limit)
        return Waiting(np.concatenate([self.amounts, more.amounts]), np.concatenate([self.age, more.age]))


def usage(scene: Scene, waiting: Waiting | None) -> tuple[Cells, Cells, list[Waiting]]:
    """Return used and load by row and window.

    A window without an increase of both is unknown: what it has of one is added to the next window where both are
    known, unless that comes too late. Time in which a process started again is left out, since a part is lost.

    Args:
        scene: of the metric.
        waiting: what windows before the frame hold; None at the beginning.

    Returns:
        Without young pods, with them, and what waits after each window.
    """
    used, load, seconds = scene.gains("used"), scene.gains("load"), scene.watched("used")
    limit = max(scene.pace.gap_max_ms // scene.frame.clock.interval_ms, 1)
    rows = scene.frame.rows
    before = Waiting.nothing(rows, limit) if waiting is None else waiting.widened(rows, limit)
    settled, after = _joined(_found((used, load, seconds), scene, young=False), before, limit)
    if not any(scene.young(part).any() for part in (used, load, seconds)):
        return settled, settled, after
    raw, _ = _joined(_found((used, load, seconds), scene, young=True), Waiting.nothing(rows, limit), limit)
    return settled, raw, after


@dataclass(frozen=True)
class _Found:
    """Amounts by row, window and part; where both halves are known; and where a process started again."""

    amounts: FloatArray
    known: BoolArray
    torn: BoolArray


def _found(parts: tuple[Gains, Gains, Gains], scene: Scene, *, young: bool) -> _Found:
    left_out = [None if young else scene.young(part) for part in parts]
    amounts = [binned(part, scene.frame, one) for part, one in zip(parts, left_out, strict=True)]
    used, load, _ = parts
    # Beside the amounts: how many increases there are, and how many of them lost a part. Requests of a new kind were
    # none before; what uses a resource may have been measured late.
    lost = used.is_reset | used.is_first, load.is_reset
    counters = zip((used, load), lost, left_out, strict=False)
    tallies = [binned(_tallied(part, torn), scene.frame, one) > 0 for part, torn, one in counters]
    known, torn = tallies[0] & tallies[1], tallies[0] | tallies[1]
    return _Found(np.concatenate(amounts, axis=2), known[:, :, 0], torn[:, :, 1])


def _tallied(gains: Gains, torn: BoolArray) -> Gains:
    return replace(gains, amounts=np.stack([np.ones(gains.row.size), torn], axis=1))


def _joined(found: _Found, waiting: Waiting, limit: int) -> tuple[Cells, list[Waiting]]:
    result = np.zeros_like(found.amounts)
    after: list[Waiting] = []
    # In order of time, so that sums have the same last bits however the windows are split.
    for window in range(result.shape[1]):
        torn = found.torn[:, window]
        both = found.known[:, window] & ~torn
        held = waiting.amounts + found.amounts[:, window]
        result[:, window] = np.where(both[:, None], held, 0.0)
        age = np.where(both | torn, 0.0, np.minimum(waiting.age + 1, limit))
        held = np.where((both | torn | (age >= limit))[:, None], 0.0, held)
        waiting = Waiting(held, age)
        after.append(waiting)
    return Cells(result[:, :, 2], result[:, :, :2]), after
