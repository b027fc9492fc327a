"""A metric between looks: how its windows become blocks, and what is kept of them."""

import numpy as np
import pytest

from analysis.evidence.metric_parts import MetricNoise, log_worsening, main_kind, metric_parts, prior, scale_of, unit
from analysis.evidence.metric_state import Beginnings, MetricState, Piece, absorbed, begin, pieces
from analysis.evidence.metric_verdict import null_bound
from analysis.evidence.noise import PRIORS, Noise
from analysis.judgement import WeightChange
from analysis.rules import CountsRule, GaugeRule, HistogramRule, MetricRule
from analysis.verdict import Verdict
from tests.support.judging import START, WINDOW, Scenario, arm, judged, looks, rules_of, steady, table

ERRORS = MetricRule("errors", WINDOW, CountsRule(), 0.1, tolerance=1.0)
LATENCY = MetricRule("latency", WINDOW, HistogramRule((0.25, 0.5)), 0.03, tolerance=0.2)
DATA = steady((2, 3), 40, (4, 100), (2, 100))


def cut(begun: Beginnings, ends: int, state: MetricState | None = None) -> tuple[list[tuple[int, int]], int]:
    """The blocks that a table makes, the running one last, and where that begins."""
    state = state or begin(ERRORS, prior(ERRORS))
    part = DATA.cut(state.running_from, ends)
    found, running, running_from = pieces(state, part, part, begun, [10] * len(begun.cuts))
    all_of = [*found, running] if running else [*found]
    return [(one.block.first, one.block.windows) for one in all_of if one is not None], running_from


def test_blocks_have_four_windows_and_the_last_one_runs() -> None:
    assert cut(Beginnings((0,), 0, (0,)), 10) == ([(0, 4), (4, 4), (8, 2)], 8)
    assert cut(Beginnings((0,), 0, (0,)), 8) == ([(0, 4), (4, 4)], 8)


def test_blocks_end_where_the_weight_changes() -> None:
    assert cut(Beginnings((0, 6), 6, (0, 6)), 12) == ([(0, 4), (4, 2), (6, 4), (10, 2)], 10)


def test_nothing_counts_before_the_first_traffic() -> None:
    assert cut(Beginnings((), None), 9) == ([], 9)
    assert cut(Beginnings((3,), 3, (3,)), 9) == ([(3, 4), (7, 2)], 7)
    assert cut(Beginnings((30,), 30, (30,)), 9) == ([], 30)


def test_a_block_knows_the_weight_it_was_taken_at() -> None:
    state = begin(ERRORS, prior(ERRORS))
    begun = Beginnings((0, 6), 6, (0, 6))
    found, _, _ = pieces(state, DATA.cut(0, 10), DATA.cut(0, 10), begun, [10, 50])
    assert [piece.weight_percent for piece in found] == [10, 10, 50]


def taken_in(begun: Beginnings, ends: int) -> MetricState:
    state = begin(ERRORS, prior(ERRORS))
    found, _, running_from = pieces(state, DATA.cut(0, ends), DATA.cut(0, ends), begun, [10] * len(begun.cuts))
    for piece in found:
        state = absorbed(state, piece, begun)
    assert state.running_from == running_from
    return state


def totals(state: MetricState) -> list[float]:
    return [state.parts[0].part.totals(one)[1] for one in state.kept[0].since]


def test_each_start_gathers_what_came_after_it() -> None:
    assert totals(taken_in(Beginnings((0, 4, 12), 12, (0, 4, 12)), 16)) == [3200.0, 2400.0, 800.0]


def test_a_proof_gathers_what_came_after_the_last_change() -> None:
    state = taken_in(Beginnings((0,), 8, (0, 8)), 16)
    assert state.kept[0].proof is not None
    assert state.parts[0].part.totals(state.kept[0].proof)[1] == 1600.0


def test_without_a_tolerance_no_proof_is_kept() -> None:
    rule = MetricRule("errors", WINDOW, CountsRule(), 0.1)
    seen = judged(Scenario(rules_of(rule), {"errors": DATA}), (1200.0,))
    assert seen.state.metrics["errors"].kept[0].proof is None


def test_what_is_kept_of_a_run_does_not_grow_with_its_age() -> None:
    def size(windows: int) -> int:
        tables = {"errors": steady((2, 3), windows, (4, 100), (2, 100))}
        state = judged(Scenario(rules_of(ERRORS), tables), (windows * WINDOW,)).state.metrics["errors"]
        kept = [*state.kept[0].since, state.kept[0].proof]
        return sum(one.sums.size + one.canary.sums.size + one.stable.sums.size for one in kept if one is not None)

    assert size(40) == size(2000)


def test_a_fault_at_a_larger_weight_is_not_buried_under_earlier_good_data() -> None:
    good, bad = np.tile([2.0, 100.0], (4, 400, 1)), np.tile([8.0, 100.0], (4, 40, 1))
    late = {
        "errors": table(arm("new", np.concatenate([good, bad], axis=1)), arm("old", np.tile(good[:, :1], (1, 440, 1))))
    }
    raised = (WeightChange(START, 10), WeightChange(START + 400 * WINDOW, 50))
    seen = {
        increases: judged(Scenario(rules_of(ERRORS, increases=increases), late, raised), (440 * WINDOW,)).judgement
        for increases in (1, 2)
    }
    assert seen[2].verdict is Verdict.FAIL
    assert seen[1].log_evidence < seen[2].log_evidence


def test_the_null_is_never_narrower_than_an_absolute_difference() -> None:
    floor = MetricRule("errors", WINDOW, CountsRule(min_difference=0.01), 0.1)
    tiny = steady((4, 4), 40, (12, 100_000), (2, 100_000))
    assert judged(Scenario(rules_of(floor), {"errors": tiny}), (1200.0,)).judgement.log_evidence <= 0
    plain = MetricRule("errors", WINDOW, CountsRule(), 0.1)
    assert judged(Scenario(rules_of(plain), {"errors": tiny}), (1200.0,)).judgement.verdict is Verdict.FAIL
    state = begin(floor, prior(floor))
    assert null_bound(state, state.parts[0], state.kept[0]) == state.parts[0].delta


def test_a_limit_is_of_the_canary_alone() -> None:
    limited = MetricRule("errors", WINDOW, CountsRule(limit=0.2), 0.1)
    both_bad = {"errors": steady((2, 2), 20, (60, 100), (60, 100))}
    failed = judged(Scenario(rules_of(limited), both_bad), (600.0,)).judgement
    assert failed.verdict is Verdict.FAIL
    assert failed.explanation == "the canary's rate is above its limit of 20%: 2400 of 4000 (60%)"
    kept = {"errors": steady((2, 2), 20, (19, 100), (1, 100))}
    assert judged(Scenario(rules_of(limited), kept), (600.0,)).judgement.metrics[0].guard == ""


def test_a_canary_whose_requests_all_fail_is_stopped_while_its_pods_are_young() -> None:
    young = np.zeros((2, 8))
    nothing = table(arm("new", np.zeros((2, 8, 2)), young), arm("old", np.tile([1.0, 100.0], (2, 8, 1))))
    raw = steady((2, 2), 8, (20, 20), (1, 100))
    run = Scenario(rules_of(ERRORS), {"errors": nothing}, raw={"errors": raw})
    found = [look.judgement for look in looks(run, (60.0, 90.0))]
    assert [one.verdict for one in found] == [Verdict.INCONCLUSIVE, Verdict.FAIL]
    assert "all 120 canary requests failed" in found[1].explanation
    for rule in (
        MetricRule("errors", WINDOW, CountsRule(pod_seconds=True), 0.1),
        MetricRule("errors", WINDOW, CountsRule(), 0.1, direction="Decrease"),
    ):
        assert (
            judged(Scenario(rules_of(rule), {"errors": nothing}, raw={"errors": raw}), (240.0,))
            .judgement.metrics[0]
            .guard
            == ""
        )


def test_a_hard_guard_of_pods_fails_the_run_by_its_first_acting_metric() -> None:
    dry = MetricRule("dry", WINDOW, CountsRule(), 0.1, dry_run=True)
    run = Scenario(rules_of(dry, ERRORS), {"dry": DATA, "errors": DATA}, guard="canary pods restarted 4 times")
    seen = judged(run, (60.0,)).judgement
    assert [metric.guard for metric in seen.metrics] == ["", "canary pods restarted 4 times"]
    assert seen.verdict is Verdict.FAIL


# --- the parts of a metric ---


def test_a_histogram_has_a_typical_part_and_one_a_tail_whose_shares_sum_to_one() -> None:
    parts = metric_parts(LATENCY, prior(LATENCY))
    assert [part.part.label for part in parts] == ["typical", "slower than 0.25 s", "slower than 0.5 s"]
    assert sum(part.share for part in parts) == pytest.approx(1)
    assert parts[1].gate > parts[0].gate
    assert parts[1].margin is not None
    assert parts[0].margin is not None
    assert parts[1].margin > parts[0].margin
    bare = MetricRule("latency", WINDOW, HistogramRule(), 0.03)
    assert [part.margin for part in metric_parts(bare, prior(bare))] == [None]


def test_the_null_is_a_part_of_what_is_called_harm_and_harm_is_a_ratio_in_its_direction() -> None:
    for rule in (ERRORS, LATENCY):
        leading, *tails = metric_parts(rule, prior(rule))
        assert 0 < leading.delta < leading.gate
        assert bool(tails) is (rule is LATENCY)
        # Tails forgive all that is called harm in them, five times that of the typical latency.
        assert all(tail.delta == tail.gate == log_worsening(5 * rule.harm, "Increase") for tail in tails)
    assert log_worsening(0.1, "Increase") == pytest.approx(np.log(1.1))
    assert log_worsening(0.1, "Decrease") == pytest.approx(-np.log(0.9))
    assert np.isfinite(log_worsening(5.0, "Decrease"))
    assert unit(0.0) > 0


@pytest.mark.parametrize(
    ("family", "kind", "scale"),
    [
        (CountsRule(), "Counts", "Sum"),
        (HistogramRule(), "Typical", "Sum"),
        (GaugeRule("Level"), "Level", "Log"),
        (GaugeRule("Level", scale="Logit"), "Level", "Logit"),
        (GaugeRule("Growth"), "Growth", "Log"),
        (GaugeRule("Usage", load=True), "Usage", "Sum"),
    ],
)
def test_each_family_has_its_prior_and_its_scale(
    family: CountsRule | HistogramRule | GaugeRule, kind: str, scale: str
) -> None:
    rule = MetricRule("m", WINDOW, family, 0.1)
    assert main_kind(rule) == kind
    assert prior(rule).main == PRIORS[main_kind(rule)]
    assert scale_of(rule) == scale


def test_learned_noise_makes_a_run_certified() -> None:
    noise = MetricNoise(Noise(0.1, 0.01, source="sha256:a"))
    run = Scenario(rules_of(ERRORS), {"errors": DATA}, noises={"errors": noise})
    assert judged(run, (600.0,)).judgement.certified
    assert not judged(Scenario(rules_of(ERRORS), {"errors": DATA}), (600.0,)).judgement.certified


def test_a_calibration_only_raises_the_limit() -> None:
    limits = [
        judged(Scenario(rules_of(ERRORS), {"errors": DATA}, limit_raise=some), (60.0,)).judgement.log_limit
        for some in (-1.0, 0.0, 2.0)
    ]
    assert limits[0] == limits[1]
    assert limits[2] == pytest.approx(limits[1] + 2)


def test_a_piece_is_what_a_record_keeps() -> None:
    state = begin(ERRORS, prior(ERRORS))
    found, running, _ = pieces(state, DATA.cut(0, 5), DATA.cut(0, 5), Beginnings((0,), 0, (0,)), [10])
    assert all(isinstance(piece, Piece) for piece in (*found, running))
    assert found[0].raw.canary_total == 800.0
    assert found[0].raw.canary_windows == 4
