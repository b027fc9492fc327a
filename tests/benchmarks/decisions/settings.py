"""What is played: the template, the scenarios, how many rollouts of each, and their seeds."""

from dataclasses import dataclass

from analysis.rules import CountsRule, GaugeRule, HistogramRule, MetricRule, RunRules
from analysis.simulation.catalogue import ENVIRONMENTS, FAULTS

BUDGET = 0.01
INTERVAL_SECONDS = 30.0
WARM_UP_SECONDS = 180.0

FINAL_SEEDS = 70_000_000
"""Seeds from here on were never played while the engine was developed.

That was done below 10,000,000, and earlier runs from 50,000,000 and 60,000,000 on (histories from 40,000,000 and
41,000,000 on) were looked at before the engine was changed for the last time.
"""
QUICK_SEEDS = 900_000
HISTORY_SEEDS, TUNING_SEEDS = 42_000_000, 47_000_000
HISTORY_SEGMENTS = 100
TUNING_ROLLOUTS = 400


def template() -> RunRules:
    """Return the rules of a service with errors, latency, CPU, memory and restarts, as presets set them together."""
    return RunRules(
        BUDGET,
        WARM_UP_SECONDS,
        weight_increases=4,
        rules=(
            MetricRule("errors", INTERVAL_SECONDS, CountsRule(), harm=0.10, tolerance=1.0, budget_weight=100),
            MetricRule("latency", INTERVAL_SECONDS, HistogramRule(), harm=0.03, tolerance=0.10, budget_weight=100),
            MetricRule("cpu", INTERVAL_SECONDS, GaugeRule("Usage", load=True), harm=0.05, budget_weight=15),
            MetricRule("memory", INTERVAL_SECONDS, GaugeRule("Level"), harm=0.10, budget_weight=10),
            MetricRule("growth", INTERVAL_SECONDS, GaugeRule("Growth"), harm=0.10, budget_weight=10),
            MetricRule("restarts", INTERVAL_SECONDS, CountsRule(pod_seconds=True), harm=1.0, budget_weight=5),
        ),
    )


SERIES = {"growth": "memory"}
"""Series that a metric reads where they are not called like it."""

HARD = ("low:err_x2", "low:err_x5", "low:lat_+100%", "clean:err_x5", "hi:err_x1.5")
DIFFERING = ("pod5:err_x2", "pod5:lat_+25%", "pod10:err_x2", "pod10:lat_+25%")


@dataclass(frozen=True)
class Size:
    """How many rollouts of each scenario, and from which seed on.

    Attributes:
        ablation: with a fault, by each variant of the engine; four times as many without one.
        peers: they play one of so many rollouts, the first of each scenario.
    """

    name: str
    healthy_base: int
    healthy: int
    faulty: int
    ablation: int
    peers: int
    first_seed: int

    def rollouts(self, scenario: str) -> int:
        """Return how many rollouts of a scenario are played."""
        environment, _, fault = scenario.partition(":")
        if fault != "healthy":
            return self.faulty
        return self.healthy_base if environment == "base" else self.healthy


QUICK = Size("quick", healthy_base=100, healthy=20, faulty=20, ablation=20, peers=1, first_seed=QUICK_SEEDS)
FULL = Size("full", healthy_base=2000, healthy=500, faulty=100, ablation=50, peers=2, first_seed=FINAL_SEEDS)


def scenarios() -> tuple[str, ...]:
    """Return all that is played: each environment without a fault, each fault in the base, and some of both."""
    healthy = [f"{environment}:healthy" for environment in ENVIRONMENTS]
    faults = [f"base:{fault}" for fault in FAULTS if fault not in ("healthy", "poison")]
    return (*healthy, *faults, *HARD, *DIFFERING)


def seed_of(size: Size, scenario: str, index: int) -> int:
    """Return the seed of a scenario's rollout: no two scenarios share one."""
    return size.first_seed + 10_000 * scenarios().index(scenario) + index
