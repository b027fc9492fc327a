"""Histograms: bounds that both arms have, and increases by bucket from cumulative counters."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from analysis.evidence.special import FloatArray
from analysis.series.binned import binned
from analysis.series.families import Cells, Scene, both
from analysis.series.places import CANARY, STABLE
from analysis.series.presence import Pace
from analysis.series.samples import Samples

ROLE = "buckets"
_TORN_SHARE_MAX = 0.05


@dataclass(frozen=True)
class Buckets:
    """What is fixed once both arms have been seen, and holds for the whole run.

    Attributes:
        bounds: upper bounds in the metric's unit, ascending, the open last one included.
        known_from: time from which both arms are known; there is nothing to compare before.
    """

    bounds: FloatArray
    known_from: int

    @property
    def usable(self) -> bool:
        """Whether there is a bound beside the open end, which counts all."""
        return self.bounds.size >= 2 and bool(np.isinf(self.bounds[-1]))


def buckets_of(samples: Samples, pace: Pace, until: int, arms: tuple[int, ...] = (CANARY, STABLE)) -> Buckets | None:
    """Return the bounds that all pods had when the arms were first seen; None while one is missing.

    Args:
        samples: of the histogram.
        pace: of the metric.
        until: the end of the last complete window.
        arms: that are watched; history has stable's only.
    """
    firsts = [first for arm in arms if (first := samples.roster.places.first_of(arm)) is not None]
    if len(firsts) < len(arms) or max(firsts) > until:
        return None
    known_from = max(firsts)
    # Each pod has a scrape within this time, whatever has been forgotten.
    near = (samples.time > known_from - 2 * pace.scrape_ms) & (samples.time <= known_from + 2 * pace.scrape_ms)
    place = samples.sources.place[samples.source[near]]
    shown = np.isfinite(samples.values[near])
    common = np.ones(samples.columns.size, dtype=np.bool_)
    for one in np.unique(place):
        common &= shown[place == one].any(axis=0)
    return Buckets(samples.columns[common], known_from)


def histogram(scene: Scene, buckets: Buckets) -> tuple[Cells, Cells, FloatArray]:
    """Return increases by bucket.

    The cumulative counters of a scrape may be torn: what would be negative counts as nothing.

    Returns:
        Without young pods, with them, and by window how many increases were torn, and of how many.
    """
    gains = scene.gains(ROLE)
    rising = np.maximum.accumulate(gains.amounts, axis=1)
    torn = (rising != gains.amounts).any(axis=1)
    parts = rising.copy()
    parts[:, 1:] -= rising[:, :-1]
    settled, raw = both(scene, scene.watched(ROLE), replace(gains, amounts=parts))
    begins = max(scene.frame.clock.window(np.asarray([buckets.known_from]))[0] - scene.frame.first, 0)
    tally = binned(replace(gains, amounts=np.stack([torn, np.ones(torn.size)], axis=1)), scene.frame, None)
    cells = _known(settled, int(begins))
    return cells, cells if raw is settled else _known(raw, int(begins)), tally.sum(axis=0)


def _known(parts: tuple[FloatArray, ...], begins: int) -> Cells:
    seconds, amounts = parts[0][:, :, 0], parts[1]
    if begins > 0:
        seconds, amounts = seconds.copy(), amounts.copy()
        seconds[:, :begins], amounts[:, :begins] = 0.0, 0.0
    return Cells(seconds, amounts)


def histogram_problems(samples: Samples, buckets: Buckets | None, torn: float, increases: float) -> Iterator[str]:
    """Tell what is wrong with the buckets.

    Args:
        samples: of the histogram.
        buckets: what is fixed of it; None while nothing is.
        torn: increases that were not cumulative.
        increases: all of them.
    """
    if samples.roster.strangers:
        yield f'{samples.roster.strangers} series have no bound as label "le": select the series that end in _bucket'
    if buckets is not None and not buckets.usable:
        yield 'the arms have no bucket in common, or none is open: check that both expose le="+Inf" and the same bounds'
    if buckets is not None and buckets.usable and _without(samples):
        yield f"{_without(samples)} pods lack some of the buckets that the others have, and do not count"
    if torn > _TORN_SHARE_MAX * increases:
        yield f"{torn:.0f} of {increases:.0f} scrapes have buckets that are not cumulative; negative parts count as 0"


def _without(samples: Samples) -> int:
    if samples.complete.all():
        return 0
    place = samples.sources.place[samples.source]
    return int(np.setdiff1d(place, place[samples.complete]).size)
