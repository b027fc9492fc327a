"""What is proven, at which weight, and what a proof takes."""

import math

import pytest

from analysis.judgement import WeightChange
from analysis.rules import CountsRule, Direction, GaugeRule, MetricRule
from analysis.verdict import Verdict
from tests.support.judging import START, WINDOW, Scenario, judged, looks, rules_of, steady

ERRORS = MetricRule("errors", WINDOW, CountsRule(), 0.1, tolerance=4.0)


def healthy(windows: int = 40) -> Scenario:
    return Scenario(rules_of(ERRORS), {"errors": steady((4, 4), windows, (10, 500), (10, 500))})


def test_a_healthy_release_is_proven_and_says_what_is_excluded() -> None:
    seen = judged(healthy(), (600.0,)).judgement
    assert seen.verdict is Verdict.PASS
    assert seen.proven
    assert "errors worse than 400%" in seen.explanation


def test_a_new_weight_proves_nothing_before_its_first_window() -> None:
    raised = Scenario(healthy().rules, healthy().tables, (WeightChange(START, 10), WeightChange(START + 605, 50)))
    before, right_after, later = looks(raised, (600.0, 606.0, 1200.0))
    assert before.judgement.proven
    assert right_after.judgement.weight_percent == 50
    assert not right_after.judgement.proven
    assert right_after.judgement.verdict is Verdict.INCONCLUSIVE
    assert later.judgement.proven


def test_blocks_of_an_earlier_weight_do_not_count_in_the_new_proof() -> None:
    changed = (WeightChange(START, 10), WeightChange(START + 600, 50))
    few = judged(Scenario(healthy().rules, healthy().tables, changed), (630.0,)).judgement
    assert not few.proven
    assert few.metrics[0].canary.total == pytest.approx(4 * 500 * 21)


@pytest.mark.parametrize("before_seconds", [6, 100, 400])
def test_a_change_of_the_weight_that_is_told_late_takes_the_proof_away(before_seconds: int) -> None:
    first = WeightChange(START, 10)
    early = judged(Scenario(healthy().rules, healthy().tables, (first,)), (600.0,))
    late = Scenario(healthy().rules, healthy().tables, (first, WeightChange(START + 606 - before_seconds, 50)))
    right_after, later = looks(late, (606.0, 1200.0), early.state)
    assert early.judgement.proven
    assert (right_after.judgement.weight_percent, right_after.judgement.proven) == (50, False)
    assert later.judgement.proven


def test_nothing_is_proven_at_weight_zero() -> None:
    taken_away = (WeightChange(START, 10), WeightChange(START + 605, 0))
    assert not judged(Scenario(healthy().rules, healthy().tables, taken_away), (600.0, 606.0)).judgement.proven


def test_a_run_without_weights_is_proven_from_its_start() -> None:
    seen = judged(Scenario(healthy().rules, healthy().tables, weights=None), (600.0,)).judgement
    assert seen.proven
    assert seen.weight_percent is None


@pytest.mark.parametrize("direction", ["Increase", "Decrease", "Either"])
@pytest.mark.parametrize("canary", [10, 30, 3])
def test_a_tolerance_is_proven_in_the_directions_that_are_asked(direction: Direction, canary: float) -> None:
    rule = MetricRule("orders", WINDOW, CountsRule(), 0.1, direction=direction, tolerance=0.5)
    tables = {"orders": steady((6, 6), 240, (canary, 500), (10, 500))}
    excluded = {"Increase": canary <= 10, "Decrease": canary >= 10, "Either": canary == 10}
    assert judged(Scenario(rules_of(rule), tables), (7200.0,)).judgement.proven is excluded[direction]


def test_a_service_without_errors_is_proven_by_its_absolute_difference_alone() -> None:
    clean = {"errors": steady((4, 4), 40, (0, 2000), (0, 2000))}
    floor = MetricRule("errors", WINDOW, CountsRule(min_difference=0.0005), 0.1, tolerance=1.0)
    assert judged(Scenario(rules_of(floor), clean), (1200.0,)).judgement.proven
    assert not judged(Scenario(rules_of(ERRORS), clean), (1200.0,)).judgement.proven
    assert not judged(Scenario(rules_of(floor), clean), (30.0,)).judgement.proven


def test_no_amount_of_data_of_one_pod_proves_less_than_pods_differ_by() -> None:
    def proven(tolerance: float) -> bool:
        rule = MetricRule("errors", WINDOW, CountsRule(), 0.1, tolerance=tolerance)
        tables = {"errors": steady((1, 10), 2000, (10, 500), (10, 500))}
        return judged(Scenario(rules_of(rule), tables, (WeightChange(START, 9),)), (60_000.0,)).judgement.proven

    assert not proven(0.2)
    assert proven(4.0)


def test_every_part_and_every_acting_metric_has_to_be_proven() -> None:
    pool = MetricRule("pool", WINDOW, GaugeRule("Level"), 0.05, tolerance=0.01)
    tables = {**healthy().tables, "pool": steady((4, 4), 40, (5,), (5,))}
    seen = judged(Scenario(rules_of(ERRORS, pool), tables), (1200.0,)).judgement
    assert [metric.proven for metric in seen.metrics] == [True, False]
    assert seen.verdict is Verdict.INCONCLUSIVE
    assert "cannot yet exclude: pool" in seen.explanation


def test_without_a_tolerance_nothing_is_asked_and_nothing_proven() -> None:
    untold = MetricRule("errors", WINDOW, CountsRule(), 0.1)
    seen = judged(Scenario(rules_of(untold), healthy().tables), (1200.0,)).judgement
    assert not seen.proven
    assert seen.verdict is Verdict.INCONCLUSIVE
    assert math.isfinite(seen.log_evidence)
