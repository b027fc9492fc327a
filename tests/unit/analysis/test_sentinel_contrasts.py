"""What a sentinel sees of a run: the engine's own estimates, in standard errors."""

import math

import numpy as np
import pytest

from analysis.evidence.grid import GRID
from analysis.evidence.likelihood import GridLikelihood, NormalLikelihood
from analysis.evidence.metric_parts import prior
from analysis.evidence.metric_state import Beginnings, MetricState, absorbed, begin, pieces
from analysis.model.sentinel.gathered import likelihood_contrast, run_contrasts
from analysis.rules import CountsRule, GaugeRule, HistogramRule, MetricRule
from analysis.simulation.catalogue import scenario
from analysis.simulation.generate import simulate
from analysis.simulation.rollout import SimulatedRollout

RULES = (
    MetricRule("errors", 30.0, CountsRule(), 0.1),
    MetricRule("latency", 30.0, HistogramRule((0.25,)), 0.03),
    MetricRule("cpu", 30.0, GaugeRule("Usage", load=True), 0.05),
    MetricRule("restarts", 30.0, CountsRule(pod_seconds=True), 1.0),
)


@pytest.mark.parametrize(("center", "deviation"), [(0.3, 0.1), (-0.5, 0.25), (0.0, 0.2)])
def test_a_normal_likelihood_and_the_same_on_the_grid_have_one_contrast(center: float, deviation: float) -> None:
    normal = NormalLikelihood(center, center, deviation**2, unit=0.1)
    grid = GridLikelihood(-0.5 * ((GRID - center) / deviation) ** 2)
    assert likelihood_contrast(normal) == pytest.approx(center / deviation)
    assert likelihood_contrast(grid) == pytest.approx(center / deviation, abs=0.02)


def test_what_is_unknown_has_no_contrast() -> None:
    assert math.isnan(likelihood_contrast(NormalLikelihood(0.0, 0.0, math.inf, unit=0.1)))
    assert math.isnan(likelihood_contrast(GridLikelihood(np.zeros_like(GRID))))


def _gathered(rollout: SimulatedRollout, rule: MetricRule, windows: int) -> MetricState:
    begun = Beginnings(starts=rollout.step_starts, proof=None, cuts=rollout.step_starts)
    begun = Beginnings(tuple(start for start in begun.starts if start < windows), None, begun.cuts)
    state = begin(rule, prior(rule))
    table, raw = (tables[rule.name].cut(0, windows) for tables in (rollout.tables, rollout.raw))
    found, running, _ = pieces(state, table, raw, begun, [None] * len(begun.cuts))
    for piece in (*found, *([running] if running is not None else [])):
        state = absorbed(state, piece, begun)
    return state


def _contrasts(name: str, windows: int) -> dict[str, float]:
    world = scenario(name)
    rollout = simulate(41, world.world, world.fault)
    return run_contrasts(_gathered(rollout, rule, windows) for rule in RULES)


def test_a_healthy_rollout_has_small_contrasts_of_every_part() -> None:
    found = _contrasts("base:healthy", 80)
    assert list(found) == ["errors", "latency, typical", "latency, slower than 0.25 s", "cpu", "restarts"]
    assert all(abs(contrast) < 4 for contrast in found.values() if not math.isnan(contrast))


@pytest.mark.parametrize(
    ("fault", "feature"),
    [("err_x5", "errors"), ("lat_+25%", "latency, slower than 0.25 s"), ("cpu_+30%", "cpu"), ("late_err_x3", "errors")],
)
def test_a_fault_shows_in_its_own_contrast(fault: str, feature: str) -> None:
    healthy, faulty = _contrasts("base:healthy", 80), _contrasts(f"base:{fault}", 80)
    assert faulty[feature] - healthy[feature] > 2


def test_a_late_fault_is_not_diluted_by_what_was_before_the_last_increase() -> None:
    world = scenario("base:late_err_x3")
    state = _gathered(simulate(41, world.world, world.fault), RULES[0], 80)
    whole = likelihood_contrast(state.parts[0].part.likelihood(state.kept[0].since[0]))
    assert run_contrasts([state])["errors"] > whole + 0.5


def test_before_any_traffic_nothing_is_known() -> None:
    assert all(math.isnan(contrast) for contrast in _contrasts("base:err_x5", 0).values())
