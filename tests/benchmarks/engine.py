"""`make bench-engine`: CPU and memory of the evidence of a run of ten metrics, forty minutes of fifteen pods.

Two of the metrics are histograms with two tails each, the others counts and gauges of all types; windows are 30 s, and
the weight rises four times. Tables are made before, so only `advance` and `conclude` are measured; what reading takes
is in `tests.benchmarks.series`. A look must cost the same after 40 minutes and after 24 hours.
"""

import gc
import statistics
import time
import tracemalloc
from collections.abc import Sequence

import numpy as np

from analysis.evidence.special import FloatArray
from analysis.evidence.table import Table
from analysis.judge import advance, conclude
from analysis.judgement import WeightChange
from analysis.record import RunRecorder
from analysis.rules import CountsRule, GaugeRule, HistogramRule, MetricRule
from tests.support.judging import START, WINDOW, Scenario, arm, rules_of, table

MINUTES, DAY_MINUTES = 40, 24 * 60
PODS = (5, 10)
LOOKS = 20
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
FAMILIES: dict[str, CountsRule | HistogramRule | GaugeRule] = {
    "latency": HistogramRule((0.25, 1.0)),
    "queries": HistogramRule((0.1, 0.5)),
    "errors": CountsRule(min_difference=0.001),
    "timeouts": CountsRule(),
    "declines": CountsRule(limit=0.5),
    "restarts": CountsRule(pod_seconds=True),
    "memory": GaugeRule("Level"),
    "pool": GaugeRule("Level", scale="Logit"),
    "leak": GaugeRule("Growth"),
    "cpu": GaugeRule("Usage", load=True),
}
RULES = tuple(MetricRule(name, WINDOW, family, 0.1, tolerance=0.5) for name, family in FAMILIES.items())


def scenario(minutes: int) -> Scenario:
    """Return a healthy run of so many minutes."""
    random = np.random.default_rng(1)
    windows = int(minutes * 60 / WINDOW)
    weights = tuple(WeightChange(START + 600 * step, percent) for step, percent in enumerate((5, 10, 25, 50)))
    return Scenario(rules_of(*RULES, increases=4), {rule.name: drawn(random, rule, windows) for rule in RULES}, weights)


def drawn(random: np.random.Generator, rule: MetricRule, windows: int) -> Table:
    """Return what the pods of both arms did."""

    def side(pods: int) -> FloatArray:
        if isinstance(rule.family, HistogramRule):
            return random.poisson(25.0, (pods, windows, len(BOUNDS) + 1)).astype(np.float64)
        if isinstance(rule.family, GaugeRule) and rule.family.type != "Usage":
            return np.asarray(random.beta(20, 80, (pods, windows, 1)))
        requests = random.poisson(300.0, (pods, windows))
        return np.stack([random.binomial(requests, 0.01), requests], axis=2).astype(np.float64)

    bounds = BOUNDS if isinstance(rule.family, HistogramRule) else ()
    return table(arm("new", side(PODS[0])), arm("old", side(PODS[1])), bounds)


def milliseconds(minutes: int, rounds: int = 5) -> list[float]:
    """Return the CPU of the last looks before so many minutes, the best of some rounds; looks before are not timed."""
    run, ends = scenario(minutes), minutes * 60.0
    state, _, _ = advance(run.begun(), run.facts(ends - LOOKS * WINDOW), run.data(run.begun(), ends - LOOKS * WINDOW))
    best = [float("inf")] * LOOKS
    for _ in range(rounds):
        now = state
        for index in range(LOOKS):
            elapsed = ends - (LOOKS - 1 - index) * WINDOW
            facts, data = run.facts(elapsed), run.data(now, elapsed)
            began = time.process_time()
            now, running, _ = advance(now, facts, data)
            conclude(now, facts, running)
            best[index] = min(best[index], (time.process_time() - began) * 1e3)
    return best


def kilobytes(minutes: int) -> float:
    """Return what a run keeps after so many minutes: its state, and the blocks for its record."""
    run = scenario(minutes)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    state, recorder = run.begun(), RunRecorder()
    for elapsed in np.arange(WINDOW, minutes * 60 + 1, WINDOW).tolist():
        state, _, finished = advance(state, run.facts(elapsed), run.data(state, elapsed))
        recorder.add(finished)
    del finished
    gc.collect()
    held = (tracemalloc.get_traced_memory()[0] - before) / 1024
    tracemalloc.stop()
    assert state.metrics
    assert recorder
    return held


def reference_milliseconds(rounds: int = 20) -> float:
    """Return the CPU of a million additions: figures of machines, or of hours, are comparable by it only."""
    best = float("inf")
    for _ in range(rounds):
        began, total = time.process_time(), 0
        for number in range(1_000_000):
            total += number
        best = min(best, (time.process_time() - began) * 1e3)
    return best


def line(minutes: int, looks: Sequence[float]) -> str:
    """Return a line of the table."""
    return f"after {minutes:5} minutes{min(looks):9.2f}{statistics.mean(looks):9.2f}{max(looks):9.2f}"


def main() -> None:
    """Measure and print."""
    print(f"{'CPU ms a look':19}{'min':>9}{'mean':>9}{'max':>9}")
    for minutes in (MINUTES, DAY_MINUTES):
        print(line(minutes, milliseconds(minutes)), flush=True)
    print(f"reference: a million additions take {reference_milliseconds():.0f} ms")
    print(f"memory after {MINUTES} minutes: state and record {kilobytes(MINUTES):.0f} KB")


if __name__ == "__main__":
    main()
