"""What holds of evidence whatever the data: the same answer by any way to it, no answer out of nothing, no NaN."""

import math
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.evidence.table import ArmTable, Table
from analysis.explain import describe, sentence
from analysis.judgement import DataState, Judgement, WeightChange
from analysis.record import RecordError, decode, replay
from analysis.rules import CountsRule, GaugeRule, HistogramRule, MetricRule, RunRules
from analysis.verdict import Verdict
from tests.support.any_tables import BOUNDS, RULES, scenarios, tables
from tests.support.judging import START, WINDOW, Scenario, judged, looks, rules_of

EXAMPLES = settings(max_examples=60, deadline=None, derandomize=True)
FEW = settings(max_examples=25, deadline=None, derandomize=True)
END = 14 * WINDOW


def figures(value: Any) -> Iterator[float]:
    """Every number in a judgement."""
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, tuple | list):
        for one in value:
            yield from figures(one)
    elif isinstance(value, float):
        yield value


@EXAMPLES
@given(scenarios())
def test_no_judgement_of_any_table_has_a_number_that_is_none(scenario: Scenario) -> None:
    for look in looks(scenario, (60.0, 150.0, END)):
        assert all(math.isfinite(one) for one in figures(asdict(look.judgement)))
        assert look.judgement.metrics[0].lower is None or look.judgement.metrics[0].lower >= 0
        words = describe(look.judgement)
        assert "nan" not in words
        assert " inf" not in words
        assert len(sentence(look.judgement)) <= 300


@EXAMPLES
@given(scenarios(), st.lists(st.integers(1, int(END)), max_size=6))
def test_look_by_look_and_at_once_and_from_a_record_are_the_same(scenario: Scenario, before: list[int]) -> None:
    at_once = judged(scenario, (END,))
    in_steps = judged(scenario, (*map(float, sorted(before)), END))
    assert in_steps.judgement == at_once.judgement
    assert in_steps.record == at_once.record
    assert decode(at_once.record).judged() == at_once.judgement
    assert decode(at_once.record).encoded() == at_once.record


@EXAMPLES
@given(scenarios(), st.integers(1, int(END)))
def test_a_restart_in_the_middle_changes_nothing(scenario: Scenario, middle: int) -> None:
    kept = judged(scenario, (float(middle),)).state
    resumed = list(looks(scenario, (END,), kept))[-1]
    assert resumed.judgement == judged(scenario, (END,)).judgement


@EXAMPLES
@given(scenarios(), st.randoms(use_true_random=False))
def test_the_order_of_pods_means_nothing(scenario: Scenario, random: Any) -> None:
    def shuffled(arm: ArmTable) -> ArmTable:
        order = list(range(len(arm.pods)))
        random.shuffle(order)
        return ArmTable(tuple(arm.pods[i] for i in order), arm.seconds[order], arm.amounts[order])

    other = {
        name: replace(table, canary=shuffled(table.canary), stable=shuffled(table.stable))
        for name, table in scenario.tables.items()
    }
    one, two = (judged(run, (150.0, END)).judgement for run in (scenario, replace(scenario, tables=other)))
    assert close(one, two)


def close(one: Judgement, two: Judgement, relative: float = 1e-6) -> bool:
    """Whether two judgements say the same, but for the last digits of sums."""
    pairs = zip(figures(asdict(one)), figures(asdict(two)), strict=True)
    return one.verdict is two.verdict and all(a == pytest.approx(b, rel=relative, abs=1e-6) for a, b in pairs)


@EXAMPLES
@given(scenarios())
def test_no_data_never_pass(scenario: Scenario) -> None:
    seen = judged(scenario, (END,)).judgement
    acting = [metric for metric in seen.metrics if not metric.dry_run]
    if seen.verdict is Verdict.PASS:
        assert acting
        assert all(metric.state is DataState.COLLECTING for metric in acting)
        assert all(min(metric.canary.total, metric.stable.total) > 0 for metric in acting)
    for metric in seen.metrics:
        if min(metric.canary.total, metric.stable.total) <= 0:
            assert not metric.proven


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_nothing_at_all_is_never_proven(rule: MetricRule) -> None:
    columns = {HistogramRule: 5, GaugeRule: 1}.get(type(rule.family), 2)
    columns = 2 if getattr(rule.family, "type", "") == "Usage" else columns
    for pods in (0, 3):
        arm = ArmTable(tuple(f"p-{i}" for i in range(pods)), np.zeros((pods, 14)), np.zeros((pods, 14, columns)))
        table = Table(arm, arm, 0, WINDOW, BOUNDS if columns == 5 else ())
        seen = judged(Scenario(rules_of(rule), {rule.name: table}), (END,)).judgement
        assert seen.verdict is Verdict.INCONCLUSIVE
        assert seen.log_evidence == pytest.approx(0, abs=1e-9)


@FEW
@given(scenarios(), st.data())
def test_a_dry_run_decides_nothing(scenario: Scenario, data: st.DataObject) -> None:
    watched = replace(RULES[0], name="watched", dry_run=True)
    table = data.draw(tables(watched, scenario.tables[scenario.rules.rules[0].name].windows))
    more = replace(
        scenario,
        rules=replace(scenario.rules, rules=(*scenario.rules.rules, watched)),
        tables={**scenario.tables, "watched": table},
    )
    without, beside = (judged(run, (END,)).judgement for run in (scenario, more))
    assert beside.verdict is without.verdict
    assert beside.log_evidence == without.log_evidence
    assert beside.explanation == without.explanation
    assert beside.proven == without.proven


@EXAMPLES
@given(scenarios(), st.integers(1, 5))
def test_windows_without_data_change_nothing_but_the_age(scenario: Scenario, more: int) -> None:
    def longer(table: Table) -> Table:
        def arm(one: ArmTable) -> ArmTable:
            pods, _, columns = one.amounts.shape
            empty = np.full((pods, more, columns), math.nan if columns == 1 else 0.0)
            return ArmTable(
                one.pods,
                np.concatenate([one.seconds, np.zeros((pods, more))], axis=1),
                np.concatenate([one.amounts, empty], axis=1),
            )

        return replace(table, canary=arm(table.canary), stable=arm(table.stable))

    longer_run = replace(scenario, tables={name: longer(table) for name, table in scenario.tables.items()})
    late = END + more * WINDOW
    before, after = judged(scenario, (late,)).judgement, judged(longer_run, (late,)).judgement
    assert close(before, after)


def drawn(seed: int, pods: tuple[int, int], rates: tuple[float, float], windows: int = 14) -> Table:
    random = np.random.default_rng(seed)
    arms = []
    for count, rate, prefix in zip(pods, rates, ("new", "old"), strict=True):
        requests = random.poisson(200, (count, windows)).astype(np.float64)
        errors = random.binomial(requests.astype(int), rate).astype(np.float64)
        names = tuple(f"{prefix}-{i}" for i in range(count))
        arms.append(ArmTable(names, np.full((count, windows), WINDOW), np.stack([errors, requests], axis=2)))
    return Table(arms[0], arms[1], 0, WINDOW)


ERRORS = RULES[0]
SEEDS = st.integers(0, 10**6)


def of_errors(table: Table, rule: MetricRule = ERRORS) -> Judgement:
    return judged(Scenario(rules_of(rule), {rule.name: table}, weights=None), (END,)).judgement


@FEW
@given(SEEDS, st.integers(2, 1000))
def test_more_traffic_in_both_arms_moves_no_estimate_and_never_widens_the_interval(seed: int, times: int) -> None:
    table = drawn(seed, (2, 4), (0.04, 0.02))
    one = of_errors(table).metrics[0]
    many = of_errors(scaled(table, times)).metrics[0]
    assert one.ratio is not None
    assert many.ratio is not None
    # Where blocks disagree, their noise weighs more in the larger one: the estimate may move by its own error.
    assert abs(math.log(many.ratio / one.ratio)) <= 0.5
    assert width(many) <= width(one) + 1e-9


def width(metric: Any) -> float:
    return math.log(metric.upper / metric.lower)


def scaled(table: Table, times: float, columns: slice = slice(None)) -> Table:
    def arm(one: ArmTable) -> ArmTable:
        amounts = one.amounts.copy()
        amounts[:, :, columns] *= times
        return ArmTable(one.pods, one.seconds, amounts)

    return replace(table, canary=arm(table.canary), stable=arm(table.stable))


@FEW
@given(SEEDS)
def test_arms_exchanged_mirror_the_estimate_and_the_direction(seed: int) -> None:
    table = drawn(seed, (3, 4), (0.05, 0.02))
    forward = of_errors(table).metrics[0]
    backward = of_errors(table.swapped(), replace(ERRORS, direction="Decrease", harm=1 - 1 / 1.1)).metrics[0]
    assert forward.ratio is not None
    assert backward.ratio == pytest.approx(1 / forward.ratio)
    assert backward.lower == pytest.approx(1 / (forward.upper or 0))
    assert backward.upper == pytest.approx(1 / (forward.lower or 1))
    assert backward.log_evidence == pytest.approx(forward.log_evidence, abs=1e-6)


@FEW
@given(SEEDS, st.sampled_from([1e-6, 1e-3, 1e3, 1048576.0]), st.sampled_from(["Level", "Growth"]))
def test_the_unit_of_a_gauge_means_nothing(seed: int, unit: float, kind: Any) -> None:
    random = np.random.default_rng(seed)
    arms = [
        ArmTable(("a", "b"), np.full((2, 14), WINDOW), np.exp(random.normal(15, 0.2, (2, 14, 1)))) for _ in range(2)
    ]
    rule = MetricRule("memory", WINDOW, GaugeRule(kind), 0.05, tolerance=0.2)
    table = Table(arms[0], arms[1], 0, WINDOW)
    assert close(of_errors(table, rule), of_errors(scaled(table, unit), rule))


@FEW
@given(SEEDS, st.sampled_from([1e-3, 1e3, 1e9]))
def test_the_unit_of_use_means_nothing(seed: int, unit: float) -> None:
    table = scaled(drawn(seed, (2, 3), (0.3, 0.25)), 1.0)
    rule = MetricRule("cpu", WINDOW, GaugeRule("Usage", load=True), 0.05, tolerance=0.2)
    one, other = of_errors(table, rule), of_errors(scaled(table, unit, slice(0, 1)), rule)
    assert other.log_evidence == pytest.approx(one.log_evidence, abs=1e-6)
    assert other.metrics[0].ratio == pytest.approx(one.metrics[0].ratio)


@FEW
@given(SEEDS)
def test_the_unit_of_a_histogram_means_nothing(seed: int) -> None:
    random = np.random.default_rng(seed)
    arms = [
        ArmTable(("a", "b"), np.full((2, 14), WINDOW), random.poisson(30, (2, 14, 5)).astype(float)) for _ in range(2)
    ]
    table = Table(arms[0], arms[1], 0, WINDOW, BOUNDS)
    rule = replace(RULES[3], family=HistogramRule((0.1,)))
    in_milliseconds = replace(rule, family=HistogramRule((100.0,)))
    one = of_errors(table, rule)
    other = of_errors(replace(table, bounds=tuple(1000 * bound for bound in BOUNDS)), in_milliseconds)
    assert other.log_evidence == pytest.approx(one.log_evidence, abs=1e-6)
    assert other.metrics[0].ratio == pytest.approx(one.metrics[0].ratio)


@FEW
@given(SEEDS, st.sampled_from([10.0, 15.0, 60.0]))
def test_the_length_of_a_window_moves_no_count(seed: int, interval: float) -> None:
    windows = int(480 / interval)
    table = drawn(seed, (2, 3), (0.03, 0.02), windows)
    arms = [
        replace(arm, seconds=np.full_like(arm.seconds, interval)) if arm else arm
        for arm in (table.canary, table.stable)
    ]
    table = replace(table, canary=arms[0], stable=arms[1], interval_seconds=interval)
    rule = replace(ERRORS, interval_seconds=interval)
    seen = judged(Scenario(rules_of(rule), {rule.name: table}, weights=None), (480.0,)).judgement.metrics[0]
    assert seen.canary.events == table.canary.amounts[:, :, 0].sum()
    assert seen.stable.total == table.stable.amounts[:, :, 1].sum()


RECORD = judged(
    Scenario(
        RunRules(0.01, 180.0, 1, (ERRORS,)), {"errors": drawn(1, (2, 3), (0.3, 0.02))}, (WeightChange(START, 50),)
    ),
    (END,),
).record


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.integers(0, len(RECORD) - 1), st.binary(max_size=4), st.integers(0, 6))
def test_damaged_records_are_refused_or_judged_and_nothing_else(place: int, put: bytes, dropped: int) -> None:
    damaged = RECORD[:place] + put + RECORD[place + dropped :]
    try:
        seen = replay(damaged)
    except RecordError:
        return
    assert all(math.isfinite(one) for one in figures(asdict(seen)))


@EXAMPLES
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=3), st.lists, max_leaves=20))
def test_any_other_document_is_no_record(document: Any) -> None:
    with pytest.raises(RecordError):
        decode(repr(document).encode())


def test_a_counts_rule_is_among_those_tried() -> None:
    assert {type(rule.family) for rule in RULES} == {CountsRule, HistogramRule, GaugeRule}
