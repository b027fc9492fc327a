"""Counters of an arm with a plain error rate, to try the series layer on."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from analysis.series.raw import RawSeries, labels_of


@dataclass(frozen=True)
class SimulatedArm:
    """Pods of one arm.

    Attributes:
        pods: names.
        requests_per_second: of the arm, spread evenly.
        error_rate: probability that a request fails.
        started_at: epoch seconds.
    """

    pods: tuple[str, ...]
    requests_per_second: float
    error_rate: float
    started_at: float


@dataclass(frozen=True)
class Scrapes:
    """Scrapes from `start` to `end` (epoch seconds), every `every` seconds."""

    start: float
    end: float
    every: float
    labels: Mapping[str, str] = field(default_factory=dict)


def counters(arm: SimulatedArm, scrapes: Scrapes, seed: int) -> tuple[tuple[RawSeries, ...], tuple[RawSeries, ...]]:
    """Return the error counters and the request counters of an arm, a series a pod.

    Requests are Poisson, errors binomial. Counters begin at 0 when a pod starts; an error counter appears with
    the pod's first error, as labelled counters do.
    """
    random = np.random.default_rng(seed)
    times = np.arange(max(scrapes.start, arm.started_at), scrapes.end, scrapes.every)
    errors, requests = [], []
    for pod in arm.pods:
        rate = arm.requests_per_second / len(arm.pods) * scrapes.every
        asked = random.poisson(rate, times.size)
        failed = random.binomial(asked, arm.error_rate)
        labels = {**scrapes.labels, "pod": pod}
        requests.append(RawSeries(labels_of(labels), times, np.cumsum(asked).astype(np.float64)))
        total = np.cumsum(failed).astype(np.float64)
        shown = total > 0
        errors.append(RawSeries(labels_of({**labels, "code": "500"}), times[shown], total[shown]))
    return tuple(errors), tuple(requests)
