"""Services with next to no errors, and a smallest absolute difference as in presets: the ratio is beyond the grid."""

import numpy as np
import pytest

from analysis.evidence.metric_parts import prior
from analysis.evidence.table import ArmTable, Table
from analysis.judge import Facts, MetricData, advance, begin_run, conclude
from analysis.judgement import DataState, Judgement
from analysis.rules import CountsRule, Direction, GaugeRule, MetricRule, RunRules
from analysis.verdict import Verdict

WINDOWS = 40


def _arm(name: str, pods: int, requests: float, rates: np.ndarray, seed: int) -> ArmTable:
    random = np.random.Generator(np.random.PCG64(seed))
    totals = np.full((pods, WINDOWS), requests / pods)
    events = random.binomial(np.rint(totals).astype(np.int64), rates[None, :]).astype(np.float64)
    seconds = np.full((pods, WINDOWS), 30.0)
    return ArmTable(tuple(f"{name}-{pod}" for pod in range(pods)), seconds, np.stack([events, totals], axis=2))


def _judged(
    canary: float | np.ndarray,
    stable: float | np.ndarray,
    least: float = 0.0005,
    direction: Direction = "Increase",
    seed: int = 1,
) -> Judgement:
    rates = [np.broadcast_to(np.asarray(rate, dtype=np.float64), (WINDOWS,)) for rate in (canary, stable)]
    table = Table(_arm("canary", 2, 300.0, rates[0], seed), _arm("stable", 10, 5000.0, rates[1], seed + 1), 0, 30.0)
    rule = MetricRule("errors", 30.0, CountsRule(min_difference=least), harm=0.1, direction=direction)
    state = begin_run(RunRules(0.01, 0.0, 1, (rule,)), 0.0, {"errors": prior(rule)})
    facts = Facts(at=WINDOWS * 30.0)
    state, running, _ = advance(state, facts, {"errors": MetricData(table, table, DataState.COLLECTING)})
    return conclude(state, facts, running)


@pytest.mark.parametrize("direction", ["Increase", "Either"])
@pytest.mark.parametrize(("canary", "stable"), [(0.9, 0.0), (0.3, 0.0), (0.05, 1e-5), (0.01, 0.0)])
def test_a_canary_full_of_errors_fails_beside_a_stable_without_any(
    canary: float, stable: float, direction: Direction
) -> None:
    assert _judged(canary, stable, direction=direction).verdict is Verdict.FAIL


def test_a_difference_below_the_smallest_one_never_fails_however_large_the_ratio_is() -> None:
    for seed in range(10):
        assert _judged(0.0004, 1e-6, seed=seed).verdict is not Verdict.FAIL


def test_an_incident_of_both_arms_is_no_harm_of_a_service_that_is_clean_else() -> None:
    rates = np.zeros(WINDOWS)
    rates[20:22] = 0.02
    for seed in range(10):
        assert _judged(rates, rates, least=0.005, seed=seed).verdict is not Verdict.FAIL


def test_a_decrease_below_the_smallest_difference_never_fails() -> None:
    # Of 0.1 % a decrease by 0.05 % is a half, not a third: the ratio that is forgiven depends on the direction.
    for seed in range(10):
        assert _judged(0.01, 0.019, least=0.01, direction="Decrease", seed=seed).log_evidence <= 0
    assert _judged(0.0005, 0.06, least=0.01, direction="Decrease").verdict is Verdict.FAIL


def test_a_pod_that_shows_nonsense_leaves_the_evidence_a_number() -> None:
    cpu = MetricRule("cpu", 30.0, GaugeRule("Usage", load=True), harm=0.05, direction="Either")
    level = MetricRule("level", 30.0, GaugeRule("Level"), harm=0.05)
    seconds = np.full((1, WINDOWS), 30.0)
    tables = {}
    for rule, columns in ((cpu, 2), (level, 1)):
        arms = [
            ArmTable((name,), seconds, np.full((1, WINDOWS, columns), value))
            for name, value in (("new", 9e99), ("old", 1e-300))
        ]
        tables[rule.name] = MetricData(*[Table(arms[0], arms[1], 0, 30.0)] * 2, DataState.COLLECTING)
    state = begin_run(RunRules(0.01, 0.0, 1, (cpu, level)), 0.0, {"cpu": prior(cpu), "level": prior(level)})
    state, running, _ = advance(state, Facts(WINDOWS * 30.0), tables)
    judgement = conclude(state, Facts(WINDOWS * 30.0), running)
    assert np.isfinite(judgement.log_evidence)
    assert judgement.verdict is Verdict.FAIL
