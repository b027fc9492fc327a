"""Twenty seeded rollouts and what is said of each; `python -m tests.support.explained` writes the golden texts anew."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from analysis.evidence.metric_parts import MetricNoise
from analysis.evidence.noise import Noise
from analysis.evidence.special import FloatArray
from analysis.evidence.table import Table
from analysis.explain import describe
from analysis.judgement import DataState, Judgement, WeightChange
from analysis.rules import CountsRule, GaugeRule, HistogramRule, MetricRule
from analysis.verdict import Verdict
from tests.support.judging import START, WINDOW, Scenario, arm, looks, rules_of, table

FOLDER = Path(__file__).parents[1] / "golden" / "explanations"
BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
PODS = (4, 10)
WINDOWS = 80
CANARY_SHARE = 29
"""Four pods of fourteen: the weight at which the canary gets what its pods carry."""

ERRORS = MetricRule("http-errors", WINDOW, CountsRule(min_difference=0.001), 0.10, tolerance=1.0, budget_weight=25)
LATENCY = MetricRule("latency", WINDOW, HistogramRule((0.25, 0.5)), 0.03, tolerance=0.25, budget_weight=25)
POOL = MetricRule("db-pool", WINDOW, GaugeRule("Level"), 0.05, tolerance=0.25)
MEMORY = MetricRule("memory-growth", WINDOW, GaugeRule("Growth"), 0.04, tolerance=0.25)
CPU = MetricRule("cpu", WINDOW, GaugeRule("Usage", load=True), 0.05, tolerance=0.25)
RESTARTS = MetricRule("restarts", WINDOW, CountsRule(pod_seconds=True), 1.0, budget_weight=5)
ORDERS = MetricRule("orders", WINDOW, CountsRule(), 0.05, direction="Decrease", tolerance=0.3)

Random = np.random.Generator


def errors(random: Random, canary: float, stable: float = 0.005, windows: int = WINDOWS) -> Table:
    """Return errors of requests; also any other events of requests."""

    def side(pods: int, rate: float) -> FloatArray:
        requests = random.poisson(300.0, (pods, windows))
        failed = random.binomial(requests, np.clip(rate * random.gamma(5, 0.2, (pods, windows)), 0, 1))
        return np.stack([failed, requests], axis=2).astype(np.float64)

    return table(arm("shop-new", side(PODS[0], canary)), arm("shop-old", side(PODS[1], stable)))


def latency(random: Random, factor: float = 1.0, slow: float = 0.0) -> Table:
    """Return a histogram of 80 ms times a factor; a share of the requests takes four times as long."""

    def side(pods: int, times: float, share: float) -> FloatArray:
        def below(median: float) -> FloatArray:
            ends = [math.erf(math.log(bound / median) / 0.6 / math.sqrt(2)) for bound in BOUNDS]
            return np.diff((1 + np.array(ends)) / 2, prepend=0.0, append=1.0)

        drift = np.exp(random.normal(0, 0.05, (pods, WINDOWS)))
        shares = [[(1 - share) * below(0.08 * times * d) + share * below(0.32 * d) for d in row] for row in drift]
        return random.multinomial(300, np.clip(shares, 0, 1)).astype(np.float64)

    sides = side(PODS[0], factor, slow), side(PODS[1], 1.0, 0.0)
    return table(arm("shop-new", sides[0]), arm("shop-old", sides[1]), BOUNDS)


def gauge(random: Random, level: float = 1.0, slope_an_hour: float = 0.0) -> Table:
    """Return a gauge of 200, whose canary is on another level or grows."""
    hours = (np.arange(WINDOWS) + 0.5) * WINDOW / 3600

    def side(pods: int, times: float, slope: float) -> FloatArray:
        noise = random.normal(0, 0.05, (pods, WINDOWS)) + random.normal(0, 0.02, (pods, 1))
        return np.asarray(200 * times * np.exp(noise + slope * hours))[:, :, None]

    sides = side(PODS[0], level, slope_an_hour), side(PODS[1], 1.0, 0.0)
    return table(arm("shop-new", sides[0]), arm("shop-old", sides[1]))


def cpu(random: Random, factor: float = 1.0) -> Table:
    """Return seconds of CPU beside requests: 1 ms a request and a tenth of a core."""

    def side(pods: int, times: float) -> FloatArray:
        requests = random.poisson(300.0, (pods, WINDOWS)).astype(np.float64)
        used = (0.01 * requests + 0.1 * WINDOW) * times * np.exp(random.normal(0, 0.05, requests.shape))
        return np.stack([used, requests], axis=2)

    return table(arm("shop-new", side(PODS[0], factor)), arm("shop-old", side(PODS[1], 1.0)))


def restarts(random: Random, canary: float) -> Table:
    """Return restarts an hour of pod life."""

    def side(pods: int, an_hour: float) -> FloatArray:
        happened = random.poisson(an_hour * WINDOW / 3600, (pods, WINDOWS)).astype(np.float64)
        return np.stack([happened, np.full((pods, WINDOWS), WINDOW)], axis=2)

    return table(arm("shop-new", side(PODS[0], canary)), arm("shop-old", side(PODS[1], 0.2)))


Metrics = dict[MetricRule, Callable[[Random], Table]]

HEALTHY: Metrics = {
    ERRORS: lambda random: errors(random, 0.005),
    LATENCY: latency,
    MEMORY: gauge,
    CPU: cpu,
}

SMALL: Metrics = {
    replace(POOL, name=name): lambda random: gauge(random, 1.115)
    for name in ("db-pool", "threads", "open-files", "queue", "cache-misses", "gc-pauses", "sockets", "timers")
}


def run(seed: int, *changed: Metrics, only: tuple[MetricRule, ...] = ()) -> Scenario:
    """Return a run of the healthy metrics with some of them changed or added; or of a few only."""
    metrics = {rule: make for part in (HEALTHY, *changed) for rule, make in part.items()}
    chosen = only or tuple(metrics)
    random = np.random.default_rng(seed)
    tables = {rule.name: metrics[rule](random) for rule in chosen}
    return Scenario(rules_of(*chosen), tables, (WeightChange(START, CANARY_SHARE),))


def certified(scenario: Scenario) -> Scenario:
    """Return a run with noise that was learned."""
    source = "sha256:5f1c"
    learned = {
        "http-errors": MetricNoise(Noise(0.25, 0.005, source=source)),
        "latency": MetricNoise(Noise(0.004, 0.0008, source=source), {0.25: Noise(0.05, 0.002, source=source)}),
    }
    return replace(scenario, noises=learned)


def scenarios() -> dict[str, Scenario]:
    """Return all twenty by name."""
    limited = replace(ERRORS, family=CountsRule(limit=0.05))
    clean = {ERRORS: lambda random: errors(random, 0.0, 0.0)}
    silent = run(31)
    short = run(34, only=(ERRORS,))
    dry = run(35, {ERRORS: lambda random: errors(random, 0.03)}, only=(ERRORS, LATENCY))
    return {
        "fail-errors": run(1, {ERRORS: lambda random: errors(random, 0.015)}),
        "fail-latency-typical": run(2, {LATENCY: lambda random: latency(random, 1.25)}),
        "fail-latency-tail": run(3, {LATENCY: lambda random: latency(random, 1.0, 0.03)}),
        "fail-level": run(4, {POOL: lambda random: gauge(random, 1.4)}),
        "fail-growth": run(5, {MEMORY: lambda random: gauge(random, 1.0, 0.9)}),
        "fail-usage": run(6, {CPU: lambda random: cpu(random, 1.3)}),
        "fail-restarts": run(7, {RESTARTS: lambda random: restarts(random, 20.0)}),
        "fail-decrease": run(8, {ORDERS: lambda random: errors(random, 0.03, 0.06)}),
        "fail-many-small": run(9, SMALL, only=tuple(SMALL)),
        "fail-limit": run(10, {limited: lambda random: errors(random, 0.12, 0.11)}, only=(limited, LATENCY)),
        "pass-errors": run(21, only=(ERRORS,)),
        "pass-all": run(22),
        "pass-no-errors-at-all": run(23, clean, only=(ERRORS, CPU)),
        "pass-without-weights": replace(run(24, only=(ERRORS, LATENCY)), weights=None),
        "pass-certified": certified(run(25, only=(ERRORS, LATENCY))),
        "inconclusive-no-data": replace(
            silent,
            states={LATENCY.name: DataState.NO_DATA},
            tables={**silent.tables, LATENCY.name: silent.tables[LATENCY.name].cut(0, 0)},
            no_data_since=START + 600,
            problems=("no samples of the canary: does a selector match its pods?",),
        ),
        "inconclusive-warming-up": replace(
            run(32), states={rule.name: DataState.WARMING_UP for rule in HEALTHY}, tables=nothing(run(32))
        ),
        "inconclusive-not-yet-excluded": run(33, {ERRORS: lambda random: errors(random, 0.006)}),
        "inconclusive-traffic-shortage": replace(short, weights=(WeightChange(START, 80),)),
        "inconclusive-dry-runs": replace(
            dry, rules=rules_of(*(replace(rule, dry_run=True) for rule in (ERRORS, LATENCY)))
        ),
    }


def nothing(scenario: Scenario) -> dict[str, Table]:
    """Return the same tables before their first window."""
    return {name: table.cut(0, 0) for name, table in scenario.tables.items()}


def explained(name: str, scenario: Scenario) -> Judgement:
    """Return the first judgement of the wanted kind, or the last one."""
    wanted = Verdict(name.split("-", maxsplit=1)[0].upper())
    end = 240.0 if name == "inconclusive-not-yet-excluded" else WINDOWS * WINDOW
    found = None
    for look in looks(scenario, tuple(np.arange(WINDOW, end + 1, WINDOW).tolist())):
        found = look.judgement
        if found.verdict is wanted and wanted is not Verdict.INCONCLUSIVE:
            return found
    assert found is not None
    return found


def texts() -> dict[str, str]:
    """Return the golden texts by name."""
    return {name: describe(explained(name, scenario)) + "\n" for name, scenario in scenarios().items()}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for title, text in texts().items():
        (FOLDER / f"{title}.txt").write_text(text)
