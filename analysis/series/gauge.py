"""Gauges: the mean of a pod's samples in each window, its containers added up."""

from dataclasses import dataclass, fields, replace

import numpy as np

from analysis.evidence.special import FloatArray
from analysis.rules import GaugeRule
from analysis.series.binned import Frame
from analysis.series.clock import IntArray
from analysis.series.families import Cells, Scene
from analysis.series.samples import BoolArray

ROLE = "value"


def gauge(scene: Scene, rule: GaugeRule) -> tuple[Cells, Cells, FloatArray]:
    """Return means by row and window.

    Of Growth there are more rows than pods: life n of pod r, from 0, is row r + n * pods, since a process that
    started again has a line of its own.

    Returns:
        Without young pods, with them, and how many values outside of the scale each window had.
    """
    readings, frame = _readings(scene), scene.frame
    if rule.type == "Growth":
        life = scene.ages.life(readings.row, readings.time)
        readings = replace(readings, line=readings.row + life * frame.rows)
        frame = replace(frame, rows=frame.rows * max(scene.ages.lives, 1))
    young = scene.ages.young(readings.row, readings.time, readings.time)
    raw = _means(readings, frame)
    settled = raw if not young.any() else _means(readings.kept(~young), frame)
    unfit = np.isfinite(settled) & ~_fits(settled, rule)
    cells = _cells(settled, rule, frame)
    return cells, cells if raw is settled else _cells(raw, rule, frame), unfit.sum(axis=0).astype(np.float64)


@dataclass(frozen=True)
class _Readings:
    """Samples: the pod's row, the line of the table, and what was scraped by whom; `alone` if by one a pod."""

    row: IntArray
    line: IntArray
    source: IntArray
    counter: IntArray
    target: IntArray
    time: IntArray
    value: FloatArray
    alone: bool

    def kept(self, which: BoolArray) -> "_Readings":
        if which.all():
            return self
        names = [field.name for field in fields(self) if field.name != "alone"]
        return replace(self, **{name: getattr(self, name)[which] for name in names})


def _readings(scene: Scene) -> _Readings:
    rows = scene.rows[ROLE]
    source, facts = rows.source, rows.samples.sources
    counter, target = facts.counter[source], facts.target[source]
    readings = _Readings(rows.row, rows.row, source, counter, target, rows.time, rows.values[:, 0], facts.one_a_place)
    # What came before the run, or while the metric waits, belongs to no window.
    return readings.kept(readings.time > scene.frame.counted_from)


def _means(readings: _Readings, frame: Frame) -> FloatArray:
    """Return the mean by line and window, NaN where there is no sample.

    What is scraped twice counts once; what only some scrapes show, such as a container that is replaced, counts by
    the share of scrapes that show it.
    """
    cells, used = frame.cells(readings.line, readings.time)
    readings, cells = readings.kept(used), cells[used]
    size = frame.rows * frame.windows
    if readings.alone:
        count = np.bincount(cells, minlength=size)
        total = np.bincount(cells, weights=readings.value, minlength=size)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan).reshape(frame.rows, frame.windows)
    scrapes = _scrapes(readings, cells, size)
    gauges, gauge = _grouped(readings.counter, cells, size)
    _, series = _grouped(readings.source, cells, size)
    shown = np.zeros(gauges.size)
    np.maximum.at(shown, gauge, np.bincount(series)[series] if series.size else series)
    total = np.bincount(gauge, weights=readings.value, minlength=gauges.size)
    mean = total / np.maximum(np.bincount(gauge, minlength=gauges.size), 1)
    cell = gauges % max(size, 1)
    weight = np.minimum(shown, scrapes[cell]) / np.maximum(scrapes[cell], 1)
    summed = np.bincount(cell, weights=mean * weight, minlength=size)
    return np.where(scrapes > 0, summed, np.nan).reshape(frame.rows, frame.windows)


def _grouped(facts: IntArray, cells: IntArray, size: int) -> tuple[IntArray, IntArray]:
    """Return the pairs of (fact, cell) that exist, as numbers whose remainder is the cell, and which each is."""
    _, number = np.unique(facts, return_inverse=True)
    found, index = np.unique(number * max(size, 1) + cells, return_inverse=True)
    return found, index


def _scrapes(readings: _Readings, cells: IntArray, size: int) -> FloatArray:
    """Return how often each cell was scraped, by the target that scraped most."""
    pairs, pair = _grouped(readings.target, cells, size)
    order = np.lexsort((readings.time, pair))
    sorted_pair, time = pair[order], readings.time[order]
    new = np.ones(time.size, dtype=np.bool_)
    new[1:] = (sorted_pair[1:] != sorted_pair[:-1]) | (time[1:] != time[:-1])
    scrapes = np.zeros(size)
    np.maximum.at(scrapes, pairs % max(size, 1), np.bincount(sorted_pair[new], minlength=pairs.size))
    return scrapes


def _fits(values: FloatArray, rule: GaugeRule) -> BoolArray:
    with np.errstate(invalid="ignore"):
        return np.asarray((values > 0) & ((values < 1) | (rule.scale != "Logit")), dtype=np.bool_)


def _cells(means: FloatArray, rule: GaugeRule, frame: Frame) -> Cells:
    values = np.where(_fits(means, rule), means, np.nan)
    seconds = np.where(np.isfinite(values), frame.clock.interval_ms / 1000, 0.0)
    return Cells(seconds, values[:, :, None])
