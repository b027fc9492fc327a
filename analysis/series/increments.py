"""Increases of counters between scrapes, with resets, births and gaps."""

from dataclasses import dataclass

import numpy as np

from analysis.evidence.special import FloatArray
from analysis.series.sequences import Sequence


@dataclass(frozen=True)
class Increments:
    """What a counter gained between two scrapes: from `starts` to `ends`, in epoch seconds."""

    starts: FloatArray
    ends: FloatArray
    amounts: FloatArray


def increments_of(sequence: Sequence, scrapes: FloatArray, born_at: float | None) -> Increments:
    """Return the increases of one counter of a pod.

    A drop is a reset: the counter began again at 0. A counter that appears while its pod was already scraped
    began at 0 after the scrape before, such as the first error of a pod. The first of all samples of a pod is
    an increase from 0 only if the pod was born after the watch began. A gap of missed scrapes is one increase.

    Args:
        sequence: the counter, with at least one sample.
        scrapes: all times at which the pod was scraped, in order.
        born_at: when the pod started, if that was within the watched time; else None.
    """
    times, values = sequence.times, sequence.values
    gained = np.diff(values)
    gained = np.where(gained < 0, values[1:], gained)
    starts, ends = times[:-1], times[1:]
    before = scrapes[scrapes < times[0]]
    since = float(before[-1]) if before.size else born_at
    if since is not None and since < times[0] and values[0] >= 0:
        starts = np.concatenate([[since], starts])
        ends = np.concatenate([times[:1], ends])
        gained = np.concatenate([values[:1], gained])
    return Increments(starts, ends, np.maximum(gained, 0.0))
