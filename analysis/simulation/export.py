"""A simulated rollout as the series a Prometheus server would hold: counters with resets, gaps and late births."""

from collections.abc import Iterator, Mapping

import numpy as np

from analysis.evidence.special import FloatArray
from analysis.series.raw import RawSeries, labels_of
from analysis.simulation.fleet import BoolArray, SimulatedPod
from analysis.simulation.rollout import STARTED_AT, SimulatedRollout


def raw_series(rollout: SimulatedRollout) -> Mapping[str, tuple[RawSeries, ...]]:
    """Return the series of all pods by metric.

    `errors` (code="500"), `requests`, `cpu` and `restarts` are counters, `latency` cumulative buckets with the label
    le, `memory` a gauge; each has the label pod. A process counts from 0; an error counter is absent until the
    process fails for the first time. Pods that are older than the rollout have a sample at its start.
    """
    scraped = rollout.scraped
    series: dict[str, list[RawSeries]] = {
        name: [] for name in ("errors", "requests", "cpu", "memory", "restarts", "latency")
    }
    for index, pod in enumerate(rollout.pods):
        counter = _Counter(rollout, index)
        errors = counter.of(scraped.errors[index], {"code": "500"})
        series["errors"].append(_without_zeros(errors))
        series["requests"].append(counter.of(scraped.requests[index], {}))
        series["cpu"].append(counter.of(scraped.cpu_seconds[index], {}))
        series["latency"].extend(_bucket_series(counter, rollout, index))
        series["memory"].append(_memory(rollout, index))
        series["restarts"].append(_restarts(rollout, index, pod))
    return {name: tuple(one for one in some if one.times.size) for name, some in series.items()}


class _Counter:
    """Turns increases of one pod into a counter as scraped."""

    def __init__(self, rollout: SimulatedRollout, index: int) -> None:
        self._labels = {"pod": rollout.pods[index].name}
        self._old = rollout.pods[index].started_window < 0
        self._age_windows = -rollout.pods[index].started_window
        self._restarted = rollout.life.restarted[index]
        self._shown = rollout.scraped.shown[index]
        self._times = STARTED_AT + (np.arange(rollout.windows) + 1) * rollout.window_seconds

    def of(self, increases: FloatArray, labels: Mapping[str, str]) -> RawSeries:
        before = float(np.rint(increases.mean() * self._age_windows)) if self._old else 0.0
        values = before + np.cumsum(increases)
        # Each process counts from 0: subtract what the one before it had reached.
        reached = np.maximum.accumulate(np.where(self._restarted, values, 0.0))
        values = (values - reached)[self._shown]
        times = self._times[self._shown]
        if self._old:
            times, values = np.append(STARTED_AT, times), np.append(before, values)
        return RawSeries(labels_of({**self._labels, **labels}), times, values)


def _without_zeros(series: RawSeries) -> RawSeries:
    shown = series.values > 0
    return RawSeries(series.labels, series.times[shown], series.values[shown])


def _bucket_series(counter: _Counter, rollout: SimulatedRollout, index: int) -> Iterator[RawSeries]:
    within = np.cumsum(rollout.scraped.buckets[index], axis=1)
    for column, bound in enumerate([*(f"{bound:g}" for bound in rollout.bounds), "+Inf"]):
        yield counter.of(within[:, column], {"le": bound})


def _memory(rollout: SimulatedRollout, index: int) -> RawSeries:
    values = rollout.scraped.memory_bytes[index]
    shown = ~np.isnan(values)
    return RawSeries(labels_of({"pod": rollout.pods[index].name}), _ends(rollout, shown), values[shown])


def _restarts(rollout: SimulatedRollout, index: int, pod: SimulatedPod) -> RawSeries:
    # kube-state-metrics tells the pod's status: it does not restart with the pod, nor begin at 0.
    alive = rollout.life.alive[index]
    values = pod.restarts_before + np.cumsum(rollout.life.restarted[index])[alive]
    times = _ends(rollout, alive)
    if pod.started_window < 0:
        times, values = np.append(STARTED_AT, times), np.append(pod.restarts_before, values)
    return RawSeries(labels_of({"pod": pod.name}), times, values.astype(np.float64))


def _ends(rollout: SimulatedRollout, where: BoolArray) -> FloatArray:
    """Epoch seconds at which some windows end."""
    ends = STARTED_AT + (np.flatnonzero(where) + 1) * rollout.window_seconds
    return np.asarray(ends, dtype=np.float64)
