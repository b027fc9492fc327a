"""`python -m tests.benchmarks.series`: CPU and memory of reading a run of ten metrics, forty minutes of fifteen pods.

Two of the metrics are classic histograms of twelve buckets, windows and scrapes are 30 s. What a store answers is made
before, so only our own work is measured; a look is shown early and late in the run, since its cost must not grow.
"""

import gc
import statistics
import time
import tracemalloc
from collections.abc import Iterator, Mapping

import numpy as np

from analysis.evidence.metric_parts import prior
from analysis.judge import Facts, RunState, advance, begin_run, conclude
from analysis.judgement import WeightChange
from analysis.rules import CountsRule, GaugeRule, HistogramRule, MetricRule, RunRules
from analysis.series.raw import RawSeries, labels_of
from analysis.series.watched import Watch, WatchedMetric
from tests.support.watching import arm_of, cut

START = 1_800_000_000.0
SECONDS, EVERY = 2400, 30.0
PODS = {f"stable-{index:03d}": -9999.0 for index in range(10)} | {
    f"canary-{index}": 150.0 * index for index in range(5)
}
BOUNDS = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf")
FAMILIES: Mapping[str, CountsRule | HistogramRule | GaugeRule] = {
    "latency": HistogramRule(tails_seconds=(0.25, 1.0)),
    "queries": HistogramRule(tails_seconds=(0.1,)),
    "errors": CountsRule(),
    "timeouts": CountsRule(),
    "declines": CountsRule(),
    "restarts": CountsRule(pod_seconds=True),
    "memory": GaugeRule(),
    "queue": GaugeRule(),
    "leak": GaugeRule(type="Growth"),
    "cpu": GaugeRule(type="Usage", load=True),
}
RULES = tuple(MetricRule(name, 30.0, family, harm=0.1, tolerance=0.5) for name, family in FAMILIES.items())
FACTS = tuple(WeightChange(START + 600 * step, percent) for step, percent in enumerate((5, 10, 25, 50)))
Store = Mapping[tuple[str, str], list[RawSeries]]


def store(random: np.random.Generator) -> Store:
    """Everything that is ever answered, by metric and role."""
    roles = {rule.name: tuple(WatchedMetric(rule, START, arm_of)._samples) for rule in RULES}
    return {
        (name, role): [series for pod in PODS for series in _pod(random, pod, role)]
        for name, some in roles.items()
        for role in some
    }


def _pod(random: np.random.Generator, pod: str, role: str) -> Iterator[RawSeries]:
    times = START + np.arange(max(PODS[pod], -60.0), SECONDS + 1, EVERY) + 7.0
    labels = {
        "__name__": "http_requests",
        "namespace": "shop",
        "job": "checkout",
        "instance": f"{pod}:8080",
        "pod": pod,
    }
    increases = random.poisson(20.0, (len(BOUNDS) if role == "buckets" else 1, times.size))
    values = np.cumsum(np.cumsum(increases, axis=0), axis=1).astype(np.float64)
    for row, bound in zip(values, BOUNDS, strict=False):
        yield RawSeries(labels_of({**labels, "le": bound} if role == "buckets" else labels), times, row)


class Run:
    """A run that is read and judged look by look."""

    def __init__(self) -> None:
        self.metrics = {rule.name: WatchedMetric(rule, START, arm_of) for rule in RULES}
        rules = RunRules(0.01, 180.0, 4, RULES)
        self.state: RunState = begin_run(rules, START, {rule.name: prior(rule) for rule in RULES})
        self.starts = {pod: (START + started,) for pod, started in PODS.items()}

    def look(self, answers: Store, now: float) -> tuple[float, float, float]:
        """Return the seconds of CPU that it takes to merge the answers, to make windows, and to judge."""
        begun = time.process_time()
        for (name, role), series in answers.items():
            self.metrics[name].add(role, "both", series, now)
        merged = time.process_time()
        watch = Watch(now, START, 180.0, self.starts)
        data = {name: one.data(self.state.running_from(name), watch) for name, one in self.metrics.items()}
        made = time.process_time()
        facts = Facts(now, FACTS)
        self.state, running, _ = advance(self.state, facts, data)
        conclude(self.state, facts, running)
        judged = time.process_time()
        for name, one in self.metrics.items():
            one.forget(self.state.running_from(name))
        return merged - begun, made - merged + time.process_time() - judged, judged - made

    def answers(self, everything: Store, now: float) -> Store:
        """Return what a store answers to the questions of the next look."""
        return {
            (name, role): cut(series, self.metrics[name].asks_from(role, "both", 60.0), now)
            for (name, role), series in everything.items()
        }


def followed(everything: Store) -> tuple[Run, list[tuple[float, float, float]]]:
    """Return a run after all its looks, and what each of them took."""
    run, took = Run(), []
    for now in np.arange(START + EVERY, START + SECONDS + 1, EVERY).tolist():
        answers = run.answers(everything, now)
        took.append(run.look(answers, now))
    return run, took


def kilobytes(run: Run) -> tuple[float, float]:
    """Return what the samples and facts of a run take, and what its evidence takes; both are dropped by it."""
    held = []
    for drop in (run.metrics.clear, lambda: setattr(run, "state", None)):
        before = tracemalloc.get_traced_memory()[0]
        drop()
        gc.collect()
        held.append((before - tracemalloc.get_traced_memory()[0]) / 1024)
    return held[0], held[1]


def main() -> None:
    """Measure and print."""
    everything = store(np.random.default_rng(1))
    rounds = [followed(everything)[1] for _ in range(5)]
    print(f"{'CPU ms a look':28}{'merge':>8}{'windows':>9}{'judge':>8}")
    for name, looks in (("looks 10 to 20", slice(10, 20)), ("the last 20 looks", slice(-20, None))):
        best = [min(statistics.mean(look[part] for look in took[looks]) for took in rounds) * 1e3 for part in range(3)]
        print(f"{name:28}{best[0]:8.2f}{best[1]:9.2f}{best[2]:8.2f}")
    tracemalloc.start()
    run, _ = followed(everything)
    gc.collect()
    series, evidence = kilobytes(run)
    print(f"memory after {SECONDS / 60:.0f} minutes: samples and facts {series:.0f} KB, evidence {evidence:.0f} KB")


if __name__ == "__main__":
    main()
