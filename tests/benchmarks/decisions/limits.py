"""How much evidence the data hold: a sequential test that knows the fault and all parameters.

Wald's sequential probability ratio test of one exact alternative is the fastest there is at its error rate. It is told
the size of the fault, the true noise, and spends the whole budget on one metric from one start: no engine that does not
know what to look for can be faster.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from analysis.evidence.metric_parts import MetricNoise
from analysis.evidence.metric_state import absorbed
from analysis.evidence.noise import Noise
from analysis.judge import Facts, MetricData, advance, begin_run, beginnings
from analysis.judgement import DataState, WeightChange
from analysis.rules import MetricRule, RunRules
from analysis.simulation.catalogue import scenario
from analysis.simulation.generate import simulate
from analysis.simulation.rollout import STARTED_AT, SimulatedRollout
from analysis.simulation.world import Variation, World
from tests.benchmarks.decisions.settings import BUDGET, WARM_UP_SECONDS, template


@dataclass(frozen=True)
class Limit:
    """A scenario, the metric that shows its fault, and the true u."""

    scenario: str
    metric: str
    u: float


LIMITS = (
    Limit("base:err_x1.5", "errors", math.log(1.5)),
    Limit("base:err_x2", "errors", math.log(2.0)),
    Limit("base:lat_+10%", "latency", math.log(1.1)),
    Limit("base:cpu_+30%", "cpu", math.log(1.3)),
    Limit("pod10:err_x2", "errors", math.log(2.0)),
    Limit("pod10:lat_+25%", "latency", math.log(1.25)),
    Limit("low:err_x2", "errors", math.log(2.0)),
)


def true_noise(world: World, metric: str) -> MetricNoise:
    """Return the parameters that the world was made with."""
    if metric == "errors":
        return MetricNoise(_noise(world.errors, 0.0))
    if metric == "cpu":
        return MetricNoise(replace(_noise(world.cpu, 0.0), usage=(world.cpu_idle_cores, world.cpu_per_request)))
    return MetricNoise(_noise(world.latency, world.load_elasticity))


def _noise(variation: Variation, elasticity: float) -> Noise:
    long_run = (1 + variation.correlation) / (1 - variation.correlation)
    return Noise(variation.window_sd**2 * long_run, variation.pod_sd**2, elasticity, source="truth")


def crossed(limit: Limit, seed: int) -> int | None:
    """Return after how many windows the likelihood ratio of fault against none reaches one over the budget."""
    asked = scenario(limit.scenario)
    rollout = simulate(seed, asked.world, asked.fault)
    ratios = log_ratios(rollout, _rule(limit.metric), true_noise(asked.world, limit.metric), limit.u)
    hit = np.flatnonzero(ratios >= -math.log(BUDGET))
    return int(hit[0]) + 1 if hit.size else None


def _rule(metric: str) -> MetricRule:
    return next(rule for rule in template().rules if rule.name == metric)


def log_ratios(rollout: SimulatedRollout, rule: MetricRule, noise: MetricNoise, u: float) -> np.ndarray:
    """Return ln L(u) - ln L(0) after every window, from the first start on."""
    state = begin_run(RunRules(BUDGET, WARM_UP_SECONDS, 1, (rule,)), STARTED_AT, {rule.name: noise})
    weights = tuple(WeightChange(at, round(100 * share)) for at, share in rollout.weight_changes())
    table = rollout.tables[rule.name]
    ratios = []
    for windows in range(1, rollout.windows + 1):
        facts = Facts(STARTED_AT + windows * rollout.window_seconds, weights)
        cut = table.cut(state.running_from(rule.name), windows)
        state, running, _ = advance(state, facts, {rule.name: MetricData(cut, cut, DataState.COLLECTING)})
        metric, piece = state.metrics[rule.name], running[rule.name].piece
        if piece is not None:
            metric = absorbed(metric, piece, beginnings(state, facts, rule))
        since = metric.kept[0].since
        if not since:
            ratios.append(0.0)
            continue
        at = metric.parts[0].part.likelihood(since[0]).at(np.array([u, 0.0]))
        ratios.append(float(at[0] - at[1]))
    return np.asarray(ratios)
