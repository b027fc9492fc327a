"""Simulated rollouts as raw series: differenced again they are the tables."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.series.increments import increments_of
from analysis.series.raw import RawSeries
from analysis.series.sequences import Sequence
from analysis.simulation.catalogue import ENVIRONMENTS, FAULTS
from analysis.simulation.export import raw_series, started_at
from analysis.simulation.generate import simulate
from analysis.simulation.rollout import STARTED_AT, SimulatedRollout

BASE = ENVIRONMENTS["base"]


def by_window(rollout: SimulatedRollout, one: RawSeries, scrapes: np.ndarray) -> np.ndarray:
    """Increases of a series at the windows in which they end."""
    born = started_at(rollout)[one.label("pod")]
    found = increments_of(Sequence(one.times, one.values), scrapes, born if born >= STARTED_AT else None)
    row = np.zeros(rollout.windows)
    np.add.at(row, np.rint((found.ends - STARTED_AT) / 30 - 1).astype(int), found.amounts)
    return row


@pytest.mark.parametrize(("seed", "fault"), [(1, "healthy"), (2, "err_x5"), (3, "crashloop")])
def test_differences_of_the_counters_are_the_raw_tables(seed: int, fault: str) -> None:
    rollout = simulate(seed, replace(BASE, missed_scrapes=0.1), FAULTS[fault])
    series = raw_series(rollout)
    rows = {pod.name: row for row, pod in enumerate(rollout.pods)}
    scrapes = {one.label("pod"): one.times for one in series["requests"]}
    for one in series["requests"]:
        pod = one.label("pod")
        assert np.array_equal(by_window(rollout, one, scrapes[pod]), rollout.scraped.requests[rows[pod]])
    for one in series["cpu"]:
        pod = one.label("pod")
        assert by_window(rollout, one, scrapes[pod]) == pytest.approx(rollout.scraped.cpu_seconds[rows[pod]], abs=1e-6)
    for bound, column in (("0.005", 0), ("0.1", 4), ("+Inf", 11)):
        for one in series["latency"]:
            if one.label("le") == bound:
                row = rows[one.label("pod")]
                within = rollout.scraped.buckets[row, :, : column + 1].sum(axis=1)
                assert np.array_equal(by_window(rollout, one, scrapes[one.label("pod")]), within)


def test_an_error_series_is_absent_until_the_process_fails_once() -> None:
    rollout = simulate(4, replace(BASE, error_rate=0.0002, restarts_per_pod_hour=0.0))
    series = raw_series(rollout)
    for one in series["errors"]:
        row = next(index for index, pod in enumerate(rollout.pods) if pod.name == one.label("pod"))
        if rollout.pods[row].started_window >= 0:
            first = np.flatnonzero(rollout.scraped.errors[row])[0]
            assert one.times[0] == STARTED_AT + (first + 1) * 30
            assert one.values[0] == rollout.scraped.errors[row, first]
    failing = {one.label("pod") for one in series["errors"]}
    quiet = {
        pod.name
        for row, pod in enumerate(rollout.pods)
        if pod.started_window >= 0 and not rollout.scraped.errors[row].any()
    }
    assert quiet
    assert not failing & quiet


def test_gauges_and_the_count_of_restarts_are_there_when_they_were_scraped() -> None:
    rollout = simulate(3, BASE, FAULTS["crashloop"])
    series = raw_series(rollout)
    memory = {one.label("pod"): one for one in series["memory"]}
    for row, pod in enumerate(rollout.pods):
        known = rollout.scraped.memory_bytes[row]
        assert np.array_equal(memory[pod.name].values, known[~np.isnan(known)])
    restarts = {one.label("pod"): one.values for one in series["restarts"]}
    canary, stable = rollout.pods_seen(rollout.windows * 30.0)
    for pod in (*canary, *stable):
        assert restarts[pod.name][-1] == pod.restarts
