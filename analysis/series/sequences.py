"""Which series are one counter: relabelled pods and pods scraped twice count once."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from analysis.evidence.special import FloatArray
from analysis.series.raw import Labels, RawSeries, clean

# Labels that say who scraped and where from; they change while the counter stays the same.
_TARGET_LABELS = frozenset(
    {
        "__name__",
        "instance",
        "job",
        "endpoint",
        "service",
        "node",
        "host_ip",
        "pod_ip",
        "prometheus",
        "prometheus_replica",
        "scrape_pool",
    }
)


@dataclass(frozen=True)
class Sequence:
    """One counter over time, clean and in order."""

    times: FloatArray
    values: FloatArray


def sequences_of(series: Iterable[RawSeries]) -> tuple[Sequence, ...]:
    """Return the counters behind some series of one pod.

    Series that differ only by who scraped them are one counter where one follows the other, and where they
    agree with each other in time; else they are several counters.
    """
    groups: dict[Labels, list[Sequence]] = {}
    for one in sorted(series, key=_first_time):
        times, values = clean(one.times, one.values)
        if times.size:
            _place(groups.setdefault(_identity(one.labels), []), Sequence(times, values))
    return tuple(sequence for group in groups.values() for sequence in group)


def _first_time(series: RawSeries) -> tuple[float, Labels]:
    return (float(np.nanmin(series.times)) if series.times.size else 0.0, series.labels)


def _identity(labels: Labels) -> Labels:
    return tuple((key, value) for key, value in labels if key not in _TARGET_LABELS)


def _place(group: list[Sequence], new: Sequence) -> None:
    for index, known in enumerate(group):
        follows = float(new.times[0]) > float(known.times[-1])
        if follows or _agree(known, new):
            group[index] = _joined(known, new)
            return
    group.append(new)


def _joined(a: Sequence, b: Sequence) -> Sequence:
    return Sequence(*clean(np.concatenate([a.times, b.times]), np.concatenate([a.values, b.values])))


def _agree(a: Sequence, b: Sequence) -> bool:
    common, in_a, in_b = np.intersect1d(a.times, b.times, return_indices=True)
    if common.size and not np.array_equal(a.values[in_a], b.values[in_b]):
        return False
    both = _joined(a, b)
    # A reset is a drop in one of them too; a drop that only mixing makes shows two counters.
    drops = int((np.diff(both.values) < 0).sum())
    return drops <= max(int((np.diff(a.values) < 0).sum()), int((np.diff(b.values) < 0).sum()))
