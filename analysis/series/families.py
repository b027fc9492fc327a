"""Tables of the families of metrics: counts, histograms, gauges and usage, a row a pod and a column a window."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from analysis.evidence.special import FloatArray
from analysis.series.ages import Ages
from analysis.series.binned import Frame, binned, watched
from analysis.series.gains import Gains, gains_of
from analysis.series.places import Places
from analysis.series.presence import Pace, Presence
from analysis.series.samples import BoolArray, Rows, Samples


@dataclass(frozen=True)
class Cells:
    """Seconds watched, (rows, windows), and amounts, (rows, windows, columns)."""

    seconds: FloatArray
    amounts: FloatArray


@dataclass(frozen=True)
class Scene:
    """What all families are made from.

    Attributes:
        roles: what was fetched, by role.
    """

    roles: Mapping[str, Samples]
    places: Places
    pace: Pace
    ages: Ages
    frame: Frame

    @cached_property
    def rows(self) -> Mapping[str, Rows]:
        """The rows of each role."""
        return {role: samples.taken_apart() for role, samples in self.roles.items()}

    @cached_property
    def presence(self) -> Presence:
        """When places were scraped, by all roles together."""
        return Presence.of(self.places, self.roles.values(), self.pace)

    def gains(self, role: str) -> Gains:
        """Return the increases of a role's counters."""
        return gains_of(self.rows[role], lambda: self.presence, self.pace, self.ages.born)

    def watched(self, role: str) -> Gains:
        """Return the seconds between the scrapes of a role."""
        return watched(self.rows[role], self.pace, self.ages)

    def young(self, gains: Gains) -> BoolArray:
        """Return which increases are of a young process."""
        return self.ages.young(gains.row, gains.starts, gains.ends)


def both(scene: Scene, *parts: Gains) -> tuple[tuple[FloatArray, ...], tuple[FloatArray, ...]]:
    """Return parts by row and window, without young pods and with them."""
    raw = tuple(binned(part, scene.frame, None) for part in parts)
    young = [scene.young(part) for part in parts]
    if not any(one.any() for one in young):
        return raw, raw
    return tuple(binned(part, scene.frame, one) for part, one in zip(parts, young, strict=True)), raw


def counts(scene: Scene, *, pod_seconds: bool) -> tuple[Cells, Cells]:
    """Return events and totals; a pod without any series of events had none."""
    seconds = scene.watched("events" if pod_seconds else "total")
    totals = seconds if pod_seconds else scene.gains("total")
    settled, raw = both(scene, seconds, scene.gains("events"), totals)
    cells = _counts(settled)
    return cells, cells if raw is settled else _counts(raw)


def _counts(parts: tuple[FloatArray, ...]) -> Cells:
    return Cells(parts[0][:, :, 0], np.concatenate(parts[1:], axis=2))
