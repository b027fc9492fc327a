"""Records of simulated rollouts, as runs keep them."""

from analysis.judgement import WeightChange
from analysis.rules import CountsRule, GaugeRule, HistogramRule, MetricRule
from analysis.simulation.catalogue import scenario
from analysis.simulation.generate import simulate
from analysis.simulation.schedule import Schedule, Step
from analysis.verdict import Verdict
from tests.support.judging import Look, Scenario, looks, rules_of

ERRORS = MetricRule("errors", 30.0, CountsRule(), 0.10, tolerance=1.0, budget_weight=25)
LATENCY = MetricRule("latency", 30.0, HistogramRule((0.25,)), 0.03, tolerance=0.25, budget_weight=35)
CPU = MetricRule("cpu", 30.0, GaugeRule("Usage", load=True), 0.05)
MEMORY = MetricRule("memory", 30.0, GaugeRule("Level"), 0.05)
RULES = (ERRORS, LATENCY, CPU, MEMORY)
STEPS = (Step(0.10, 2, 600.0), Step(0.50, 5, 900.0))


def run_of(name: str, seed: int = 1, rules: tuple[MetricRule, ...] = RULES, budget: float = 0.01) -> Look:
    """Return the last look at a simulated rollout such as `base:err_x5`: the one that failed, if one did."""
    place = scenario(name)
    rollout = simulate(seed, place.world, place.fault, Schedule(STEPS))
    weights = tuple(WeightChange(float(at), round(share * 100)) for at, share in rollout.weight_changes())
    played = Scenario(
        rules_of(*rules, budget=budget, increases=len(STEPS)),
        {rule.name: rollout.tables[rule.name] for rule in rules},
        weights,
        raw={rule.name: rollout.raw[rule.name] for rule in rules},
    )
    last = None
    for last in looks(played, [30.0 * window for window in range(1, rollout.windows + 1)]):
        if last.judgement.verdict is Verdict.FAIL:
            break
    if last is None:
        raise AssertionError("a rollout has windows")
    return last
