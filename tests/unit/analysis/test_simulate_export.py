"""Simulated rollouts as raw series: read again through the series layer they are the tables."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.evidence.table import ArmTable, Table
from analysis.judge import MetricData
from analysis.rules import CountsRule, GaugeRule, HistogramRule
from analysis.series.raw import RawSeries
from analysis.simulation.catalogue import ENVIRONMENTS, FAULTS
from analysis.simulation.export import raw_series
from analysis.simulation.fleet import ArmName, rows_of
from analysis.simulation.generate import simulate
from analysis.simulation.rollout import STARTED_AT, SimulatedRollout
from tests.support.watching import rule, whole

BASE = ENVIRONMENTS["base"]
STEADY = replace(BASE, restarts_per_pod_hour=0.0)
FAMILIES = {
    "errors": CountsRule(),
    "latency": HistogramRule(),
    "cpu": GaugeRule(type="Usage", load=True),
    "memory": GaugeRule(type="Level"),
    "restarts": CountsRule(pod_seconds=True),
}


def read(rollout: SimulatedRollout, metric: str) -> MetricData:
    """What the operator makes of the rollout's series, with the warm-up of the rollout's tables."""
    series = raw_series(rollout)
    roles: dict[str, dict[str, tuple[RawSeries, ...]]] = {
        "errors": {"events": series["errors"], "total": series["requests"]},
        "latency": {"buckets": series["latency"]},
        "cpu": {"used": series["cpu"], "load": series["requests"]},
        "memory": {"value": series["memory"]},
        "restarts": {"events": series["restarts"]},
    }
    now = STARTED_AT + rollout.windows * rollout.window_seconds
    # The watch begins a window before the rollout, so that all of the canary's pods are born under it.
    begins = STARTED_AT - rollout.window_seconds
    return whole(rule(FAMILIES[metric]), roles[metric], now, begins, 180.0, rollout.process_starts())


def pairs(found: Table, expected: Table) -> list[tuple[ArmTable, ArmTable]]:
    """The arms of both over the windows that are old enough to be read."""
    found = found.cut(1, found.end)
    expected = expected.cut(0, found.windows)
    assert found.windows > 70
    return [(found.canary, expected.canary), (found.stable, expected.stable)]


def as_read(rollout: SimulatedRollout, table: Table, metric: str) -> Table:
    """A table with what the series layer leaves out on purpose.

    What ends in the moment in which a process starts is of neither process, and latency is of no use before both arms
    were scraped.
    """
    if metric == "restarts":
        return table
    rows = {pod.name: row for row, pod in enumerate(rollout.pods)}
    canary = rows_of(rollout.pods, ArmName.CANARY)
    seen = int(rollout.scraped.shown[canary].any(axis=0).argmax()) if metric == "latency" else 0

    def arm(one: ArmTable) -> ArmTable:
        before_start = np.stack([np.roll(rollout.life.restarted[rows[pod]], -1) for pod in one.pods])
        before_start[:, -1] = False
        left_out = before_start | (np.arange(rollout.windows) < seen)
        nothing = np.nan if metric == "memory" else 0.0
        return ArmTable(
            one.pods, np.where(left_out, 0.0, one.seconds), np.where(left_out[:, :, None], nothing, one.amounts)
        )

    return replace(table, canary=arm(table.canary), stable=arm(table.stable))


def same(found: ArmTable, expected: ArmTable) -> bool:
    return (
        found.pods == expected.pods
        and np.allclose(found.amounts, expected.amounts, rtol=1e-9, atol=1e-6, equal_nan=True)
        and np.allclose(found.seconds, expected.seconds)
    )


@pytest.mark.parametrize("metric", FAMILIES)
@pytest.mark.parametrize("seed", [1, 2, 3, 137])
def test_the_series_layer_reads_the_tables_out_of_the_counters(metric: str, seed: int) -> None:
    # The canary's first scrape of seed 137 is missed.
    rollout = simulate(seed, replace(STEADY, missed_scrapes=0.05))
    data = read(rollout, metric)
    both = pairs(data.table, as_read(rollout, rollout.tables[metric], metric))
    if metric != "cpu":
        # What a new pod used before its first scrape is not told apart from what was measured late.
        both += pairs(data.raw, as_read(rollout, rollout.raw[metric], metric))
    assert all(same(found, expected) for found, expected in both)


@pytest.mark.parametrize("metric", FAMILIES)
@pytest.mark.parametrize("fault", ["healthy", "crashloop"])
def test_restarts_are_read_as_restarts(metric: str, fault: str) -> None:
    rollout = simulate(3, replace(BASE, missed_scrapes=0.05), FAULTS[fault])
    data = read(rollout, metric)
    both = pairs(data.table, as_read(rollout, rollout.tables[metric], metric))
    assert all(same(found, expected) for found, expected in both)


def test_every_process_counts_from_zero() -> None:
    rollout = simulate(3, replace(BASE, missed_scrapes=0.0), FAULTS["crashloop"])
    series = raw_series(rollout)
    names = [pod.name for pod in rollout.pods]
    fell = 0
    for one in (*series["requests"], *series["cpu"], *(s for s in series["latency"] if s.label("le") == "+Inf")):
        ends = STARTED_AT + (np.flatnonzero(rollout.life.restarted[names.index(one.label("pod"))]) + 1) * 30
        assert set(one.times[np.isin(one.times, ends)]) == set(ends)
        assert (one.values[np.isin(one.times, ends)] == 0).all()
        assert set(one.times[1:][np.diff(one.values) < 0]) == set(ends)
        fell += ends.size
    assert fell >= 9


def test_an_error_series_is_absent_until_the_process_fails_once() -> None:
    rollout = simulate(4, replace(STEADY, error_rate=0.0002))
    series = {one.label("pod"): one for one in raw_series(rollout)["errors"]}
    new = [(row, pod.name) for row, pod in enumerate(rollout.pods) if pod.started_window >= 0]
    failing = [(row, name) for row, name in new if rollout.scraped.errors[row].any()]
    assert 0 < len(failing) < len(new)
    assert {name for _, name in failing} == {name for _, name in new} & set(series)
    for row, name in failing:
        first = np.flatnonzero(rollout.scraped.errors[row])[0]
        assert series[name].times[0] == STARTED_AT + (first + 1) * 30
        assert series[name].values[0] == rollout.scraped.errors[row, first]


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
