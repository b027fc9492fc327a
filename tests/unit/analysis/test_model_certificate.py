"""Placebos, faults and the certificate: played through the real judge on simulated history."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.errors import InvalidSpec
from analysis.evidence.metric_parts import prior
from analysis.evidence.table import EVENTS, TOTAL, ArmTable, Table
from analysis.failure_model_spec import Calibration, PlaceboCalibration
from analysis.model.binomial import lower_bound, upper_bound
from analysis.model.calibrate import limit_raise
from analysis.model.certify import Tally, Trial, breaks_budget, certificate, keeps_budget, placebo_quantile99, tried
from analysis.model.faults import faults_of, fewer_events, growing, higher, more_events, more_used, slower
from analysis.model.history import Piece
from analysis.model.placebo import placebo
from analysis.model.plan import DEFAULT_PLAN, Plan, PlanStep
from analysis.model.play import Outcome, play
from analysis.rules import CountsRule, GaugeRule, HistogramRule, MetricRule, RunRules
from analysis.simulation.catalogue import ENVIRONMENTS
from analysis.simulation.generate import history

ERRORS = MetricRule("errors", 30.0, CountsRule(), harm=0.1)
LATENCY = MetricRule("latency", 30.0, HistogramRule((0.25,)), harm=0.03)
CPU = MetricRule("cpu", 30.0, GaugeRule("Usage"), harm=0.05)
MEMORY = MetricRule("memory", 30.0, GaugeRule("Level"), harm=0.05)
GROWTH = MetricRule("growth", 30.0, GaugeRule("Growth"), harm=0.04)
RULES = RunRules(0.01, 180.0, 4, (ERRORS, CPU))


def _run(*rules: MetricRule) -> RunRules:
    return RunRules(0.01, 180.0, 4, rules)


@cache
def _piece(seed: int) -> Mapping[str, Table]:
    rollout = history(300 + seed, ENVIRONMENTS["base"])
    return {**rollout.tables, "growth": rollout.tables["memory"]}


def _trial(pieces: Sequence[Piece], rules: RunRules = RULES) -> Trial:
    return Trial(rules, {rule.name: prior(rule) for rule in rules.rules}, DEFAULT_PLAN, len(pieces))


def _pieces(count: int) -> list[Piece]:
    return [Piece(1000.0 + 3000.0 * seed, _piece(seed)) for seed in range(count)]


def test_a_placebo_moves_pods_and_counts_nothing_twice() -> None:
    piece = _piece(1)
    cut = placebo(piece, _run(ERRORS), DEFAULT_PLAN, seed=4)
    table = cut.raw["errors"]
    assert len(table.canary.pods) == 5
    assert sorted([*table.canary.pods, *table.stable.pods]) == sorted(piece["errors"].stable.pods)
    # One pod from the start, two more at 20 minutes, two more at 30.
    first = [int(np.flatnonzero(row > 0)[0]) for row in table.canary.seconds]
    assert sorted(round(window * 30 / 600) for window in first) == [0, 2, 2, 3, 3]
    assert [(change.at, change.percent) for change in cut.weights] == [
        (0.0, 5),
        (600.0, 10),
        (1200.0, 25),
        (1800.0, 50),
    ]


def test_the_same_pods_pose_in_every_metric() -> None:
    cut = placebo(_piece(1), _run(ERRORS, LATENCY, CPU, MEMORY), DEFAULT_PLAN, seed=4)
    assert len({table.canary.pods for table in cut.tables.values()}) == 1


def test_a_posing_pod_is_young_first() -> None:
    cut = placebo(_piece(1), _run(ERRORS, GROWTH), DEFAULT_PLAN, seed=4)
    shown = {name: int(np.flatnonzero((table.canary.seconds > 0).any(axis=0))[0]) for name, table in cut.tables.items()}
    assert shown["errors"] * 30 >= 180
    # Memory of a young process grows by itself for a quarter of an hour.
    assert shown["growth"] * 30 >= 900
    assert np.isnan(cut.tables["growth"].canary.amounts[:, : shown["growth"]]).all()


def test_later_lives_of_a_pod_pose_with_it() -> None:
    table = _piece(1)["memory"]
    pods = ("stable-000", "stable-000#2", *table.stable.pods[2:])
    piece = {"memory": replace(table, stable=ArmTable(pods, table.stable.seconds, table.stable.amounts))}
    for seed in range(10):
        cut = placebo(piece, _run(MEMORY), DEFAULT_PLAN, seed)
        names = cut.tables["memory"].canary.pods
        assert ("stable-000" in names) == ("stable-000#2" in names)


def test_a_plan_that_is_longer_than_the_piece_is_played_faster() -> None:
    slow = Plan(tuple(replace(step, seconds=86_400.0) for step in DEFAULT_PLAN.steps))
    cut = placebo(_piece(1), _run(ERRORS), slow, seed=4)
    assert cut.seconds == pytest.approx(2400)
    assert [change.percent for change in cut.weights] == [5, 10, 25, 50]


def test_a_service_of_one_pod_lends_none() -> None:
    table = _piece(1)["errors"]
    alone = replace(table, stable=table.stable.cut(0, 80))
    alone = replace(alone, stable=ArmTable(("a",), alone.stable.seconds[:1], alone.stable.amounts[:1]))
    with pytest.raises(InvalidSpec, match="1 pods cannot lend one"):
        placebo({"errors": alone}, _run(ERRORS), DEFAULT_PLAN, seed=1)


def test_a_plan_without_traffic_is_refused() -> None:
    with pytest.raises(InvalidSpec, match="no traffic"):
        Plan((PlanStep(0, 0.1, 600.0),))


def _canary_of(change: object, rule: MetricRule, seed: int = 1) -> tuple[Table, np.ndarray]:
    table = placebo(_piece(seed), _run(rule), DEFAULT_PLAN, seed=4).tables[rule.name]
    return table, change(table, np.random.Generator(np.random.PCG64(seed)))  # type: ignore[operator]


def test_more_errors_are_as_many_as_the_fault_says() -> None:
    before = after = 0.0
    for seed in range(20):
        table, amounts = _canary_of(more_events(3), ERRORS, seed)
        before, after = before + table.canary.amounts[:, :, EVENTS].sum(), after + amounts[:, :, EVENTS].sum()
        assert np.array_equal(amounts[:, :, TOTAL], table.canary.amounts[:, :, TOTAL])
    assert after == pytest.approx(3 * before, rel=0.1)


def test_fewer_events_are_kept_at_random() -> None:
    table, amounts = _canary_of(fewer_events(0.5), ERRORS)
    assert 0.2 < amounts[:, :, EVENTS].sum() / table.canary.amounts[:, :, EVENTS].sum() < 0.8


def test_slower_requests_move_to_later_buckets_and_none_is_lost() -> None:
    table, amounts = _canary_of(slower(2.0), LATENCY)
    before = table.canary.amounts
    assert np.array_equal(amounts.sum(axis=2), before.sum(axis=2))
    # Twice as slow: what was slower than 50 ms is slower than 100 ms now, up to the spread within buckets.
    bound = table.bounds.index(0.1)
    slow_before = before[:, :, table.bounds.index(0.05) + 1 :].sum()
    assert amounts[:, :, bound + 1 :].sum() == pytest.approx(slow_before, rel=0.03)


@given(st.floats(0.2, 5.0))
def test_slower_by_any_factor_keeps_every_request(factor: float) -> None:
    table, amounts = _canary_of(slower(factor), LATENCY)
    assert np.array_equal(amounts.sum(axis=2), table.canary.amounts.sum(axis=2))


def test_gauges_change_by_their_factor() -> None:
    table, used = _canary_of(more_used(1.3), CPU)
    assert used[:, :, 0].sum() == pytest.approx(1.3 * table.canary.amounts[:, :, 0].sum())
    assert np.array_equal(used[:, :, 1], table.canary.amounts[:, :, 1])
    table, level = _canary_of(higher(1.25, "Log"), MEMORY)
    assert np.allclose(level, 1.25 * table.canary.amounts, equal_nan=True)
    table, grown = _canary_of(growing(1.5), MEMORY)
    factor = grown / table.canary.amounts
    assert np.nanmax(factor) == pytest.approx(1.5 ** (2385 / 3600))


def test_a_share_stays_between_nothing_and_all() -> None:
    half = Table(
        ArmTable(("a",), np.full((1, 4), 30.0), np.full((1, 4, 1), 0.5)),
        ArmTable((), np.zeros((0, 4)), np.zeros((0, 4, 1))),
        0,
        30.0,
    )
    raised = higher(3.0, "Logit")(half, np.random.Generator(np.random.PCG64(1)))
    assert np.allclose(raised, 0.75)


def test_each_metric_has_its_faults_and_a_dry_run_none() -> None:
    names = [
        fault.name
        for fault in faults_of((ERRORS, LATENCY, CPU, MEMORY, GROWTH, replace(ERRORS, name="x", dry_run=True)))
    ]
    assert names == [
        "errors x2",
        "errors x5",
        "latency +10%",
        "latency +25%",
        "cpu +30%",
        "memory +25%",
        "growth +50%/h",
    ]


def test_faults_are_in_the_worse_direction() -> None:
    assert [fault.name for fault in faults_of((replace(CPU, direction="Decrease"),))] == ["cpu -30%"]


def test_the_judge_finds_a_gross_fault_and_lets_the_placebo_pass() -> None:
    rules = _run(ERRORS, CPU)
    noises = {rule.name: prior(rule) for rule in rules.rules}
    cut = placebo(_piece(3), rules, DEFAULT_PLAN, seed=9)
    assert play(cut, rules, noises).failed_at_seconds is None
    fault = next(fault for fault in faults_of(rules.rules) if fault.name == "errors x5")
    outcome = play(fault.put_into(cut, 9), rules, noises)
    assert outcome.failed_at_seconds is not None
    assert outcome.culprits == ("errors",)


def test_the_same_trial_gives_the_same_outcomes() -> None:
    pieces = _pieces(2)
    first, second = ([*tried(_trial(pieces), pieces, faults=False)][-1] for _ in range(2))
    assert first == second


def test_the_certificate_counts_placebos_and_faults() -> None:
    trial = _trial(_pieces(3))
    tally = [*tried(trial, _pieces(3))][-1]
    found = certificate(trial, tally)
    assert (found.budget, found.placebos, found.held_out.segments) == ("1%", 6, 3)
    assert found.false_rollbacks == 0
    assert found.held_out.from_ == "1970-01-01T00:16:40Z"
    assert found.held_out.to == "1970-01-01T02:36:40Z"
    assert [detection.fault for detection in found.detects] == ["errors x2", "errors x5", "cpu +30%"]
    assert found.detects[1].found == "100%"
    assert found.detects[1].median_time.endswith("m")


def test_pieces_that_give_no_placebo_are_no_certificate() -> None:
    with pytest.raises(InvalidSpec, match="no piece"):
        [*tried(_trial(_pieces(1)), [Piece(0.0, {"other": _piece(1)["errors"]})])]


def _tally(failed: Sequence[tuple[int, bool]]) -> Tally:
    outcomes = [(piece, Outcome(60.0 if fell else None, 1.0)) for piece, fell in failed]
    return Tally(outcomes, begins=dict.fromkeys((piece for piece, _ in failed), 0.0))


def test_two_false_rollbacks_in_one_piece_count_once() -> None:
    tally = _tally([(0, True), (0, True), (1, False), (1, False)])
    assert (tally.segments, tally.false_segments) == (2, 1)


def test_one_percent_takes_299_clean_pieces() -> None:
    assert keeps_budget(_tally([(piece, False) for piece in range(299)]), 0.01)
    assert not keeps_budget(_tally([(piece, False) for piece in range(298)]), 0.01)
    assert not keeps_budget(_tally([(piece, piece == 0) for piece in range(400)]), 0.01)


def test_a_budget_is_broken_only_where_chance_does_not_explain_it() -> None:
    assert not breaks_budget(_tally([(piece, piece < 1) for piece in range(50)]), 0.01)
    assert breaks_budget(_tally([(piece, piece < 5) for piece in range(50)]), 0.01)


@given(st.integers(0, 60), st.integers(1, 60))
def test_bounds_contain_the_share_and_are_what_clopper_and_pearson_say(found: int, more: int) -> None:
    trials = found + more
    low, high = lower_bound(found, trials), upper_bound(found, trials)
    assert low <= found / trials <= high
    probability = math.fsum(math.comb(trials, k) * high**k * (1 - high) ** (trials - k) for k in range(found + 1))
    assert probability == pytest.approx(0.05, rel=1e-6)


def test_the_quantile_of_placebos_is_between_their_values() -> None:
    tally = Tally([(piece, Outcome(None, float(piece))) for piece in range(101)])
    assert placebo_quantile99(tally) == pytest.approx(99.0)


def test_calibration_raises_the_limit_only_with_enough_values() -> None:
    few = Calibration(healthy_rollouts=tuple("9" for _ in range(98)))
    many = Calibration(healthy_rollouts=tuple("9" for _ in range(99)))
    assert limit_raise(few, 0.01) == 0.0
    assert limit_raise(many, 0.01) == pytest.approx(9 - math.log(100))


def test_calibration_never_lowers_the_limit() -> None:
    calm = Calibration(healthy_rollouts=tuple("-1.5" for _ in range(500)))
    assert limit_raise(calm, 0.01) == 0.0
    assert limit_raise(None, 0.01) == 0.0


def test_placebos_raise_the_limit_too() -> None:
    placebos = Calibration(placebos=PlaceboCalibration(count=500, quantile99="6.0"))
    assert limit_raise(placebos, 0.01) == pytest.approx(6 - math.log(100))
    assert limit_raise(placebos, 0.001) == 0.0
    assert limit_raise(Calibration(placebos=PlaceboCalibration(count=20, quantile99="6.0")), 0.01) == 0.0
