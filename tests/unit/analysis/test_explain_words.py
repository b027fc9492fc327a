"""Words for judgements that are rare: guards, unknown figures, ends of the grid, long lists."""

from dataclasses import replace

import pytest

from analysis.explain import describe, next_step, sentence
from analysis.judgement import ArmTotals, DataState, Judgement, MetricJudgement, PartJudgement
from analysis.phrases import an_hour, data, effect, evidence, listed, odds, short, still_possible
from analysis.verdict import Verdict

ERRORS = MetricJudgement(
    "errors",
    DataState.COLLECTING,
    ratio=2.0,
    lower=1.5,
    upper=3.0,
    log_evidence=9.0,
    budget_share=0.5,
    canary=ArmTotals(20, 1000, 2),
    stable=ArmTotals(10, 1000, 4),
)


def judgement(*metrics: MetricJudgement, verdict: Verdict = Verdict.INCONCLUSIVE) -> Judgement:
    seen = Judgement(1_800_000_000.0, verdict, 8.0, 4.6, metrics)
    return replace(seen, explanation=sentence(seen))


def test_a_guard_speaks_for_itself_and_its_metric_comes_first() -> None:
    killed = replace(ERRORS, name="cpu", guard="canary containers were killed 3 times", log_evidence=0.0)
    text = describe(judgement(ERRORS, killed, verdict=Verdict.FAIL))
    assert text.startswith('FAIL by "cpu" at 2027-01-15T08:00:00Z: canary containers were killed 3 times')
    assert text.index("  cpu (") < text.index("  errors (")
    assert "    guard: canary containers were killed 3 times" in text
    assert "look at the canary's pods" in text


@pytest.mark.parametrize(
    ("lower", "upper", "words"),
    [
        (1.5, 3.0, "1.5-3"),
        (1.5, 24.53, "1.5 or more"),
        (0.0408, 0.5, "0.5 or less"),
        (0.0408, 24.53, "anything"),
    ],
)
def test_an_interval_that_ends_where_nobody_looked_is_open(lower: float, upper: float, words: str) -> None:
    assert effect(ERRORS, ERRORS) == "canary/stable 2x (95% interval 1.5-3)"
    assert f"(95% interval {words})" in effect(replace(ERRORS, lower=lower, upper=upper), ERRORS)


def test_an_interval_of_a_mean_is_closed_however_wide() -> None:
    wide = replace(ERRORS, family="Level", upper=30.0)
    assert "1.5-30" in effect(wide, wide)


def test_growth_is_told_an_hour_and_never_with_an_exponent() -> None:
    assert an_hour(1.05) == "+5% an hour"
    assert an_hour(1e9) == "more than +1000% an hour"
    growing = replace(ERRORS, family="Growth", ratio=1.5)
    assert "canary grows +50% an hour against stable" in effect(growing, growing)


@pytest.mark.parametrize(
    ("direction", "lower", "upper", "words"),
    [
        ("Increase", 0.9, 3.0, "errors up to 3x (tolerated 1.2x)"),
        ("Decrease", 0.5, 1.0, "errors down to 0.5x (tolerated 0.8x)"),
        ("Either", 0.5, 1.1, "errors down to 0.5x (tolerated 0.8x)"),
        ("Either", 0.5, 1.9, "errors up to 1.9x (tolerated 1.2x)"),
    ],
)
def test_what_is_still_possible_is_told_in_the_direction_of_harm(
    direction: str, lower: float, upper: float, words: str
) -> None:
    seen = replace(ERRORS, direction=direction, lower=lower, upper=upper, tolerance=0.2)
    assert still_possible(seen) == words


def test_what_is_not_known_says_why() -> None:
    unknown = replace(ERRORS, ratio=None, lower=None, upper=None, tolerance=0.2)
    assert "no event in either arm" in still_possible(unknown)
    assert "too shortly for a slope" in still_possible(replace(unknown, family="Growth"))
    assert "too little was counted" in still_possible(replace(unknown, family="Histogram"))
    assert "nothing of it was counted" in still_possible(replace(unknown, canary=ArmTotals()))
    assert "unknown" in effect(unknown, unknown)


def test_the_first_part_that_is_not_proven_is_named() -> None:
    parts = (
        PartJudgement("typical", 1.0, 0.9, 1.1, tolerance=0.2, proven=True),
        PartJudgement("slower than 0.5 s", 1.0, 0.5, 4.0, tolerance=1.0),
    )
    seen = replace(ERRORS, name="latency", parts=parts, tolerance=0.2)
    assert still_possible(seen) == "latency slower than 0.5 s up to 4x (tolerated 2x)"


@pytest.mark.parametrize(
    ("family", "unit", "words"),
    [
        ("Counts", "requests", "canary 20 of 1000 (2%), stable 10 of 1000 (1%)"),
        ("Counts", "pod-seconds", "canary 20 in 1000 pod-seconds (72 an hour), stable 10 in 1000 pod-seconds"),
        ("Usage", "load", "canary 20 used for a load of 1000 (0.02 each), stable 10 used for a load of 1000"),
        ("Histogram", "requests", "canary 20 of 1000 (2%), stable 10 of 1000 (1%)"),
    ],
)
def test_data_are_told_in_their_unit(family: str, unit: str, words: str) -> None:
    assert data(replace(ERRORS, family=family, unit=unit), replace(ERRORS, family=family, unit=unit)).startswith(words)


def test_data_without_events_are_what_was_watched() -> None:
    watched = replace(ERRORS, family="Level", unit="pod-seconds", canary=ArmTotals(0, 60), stable=ArmTotals(0, 90))
    assert data(watched, watched) == "canary 60 pod-seconds, stable 90 pod-seconds"
    nothing = replace(ERRORS, canary=ArmTotals(), stable=ArmTotals())
    assert data(nothing, nothing) == "nothing counted yet"
    for family, unit in (("Usage", "load"), ("Counts", "requests"), ("Counts", "pod-seconds")):
        alone = replace(ERRORS, family=family, unit=unit, canary=ArmTotals())
        assert data(alone, alone).startswith("canary 0 ")


def test_odds_are_capped_and_odds_below_one_are_no_evidence() -> None:
    assert odds(1000.0) == "1000000000000"
    assert evidence(-1.0) == "no evidence of harm"
    assert evidence(5.0) == "evidence 148:1"


def test_long_lists_and_texts_are_cut() -> None:
    assert listed(["a" * 30] * 3, 70) == f"{'a' * 30}, {'a' * 30} and 1 more"
    assert short("b" * 20, 10) == "bbbbbbb..."
    many = [replace(ERRORS, name=f"metric-{i}", tolerance=1.0, proven=True) for i in range(40)]
    assert len(sentence(judgement(*many, verdict=Verdict.PASS))) <= 300
    assert len(sentence(judgement(*many, verdict=Verdict.FAIL))) <= 300
    waiting = [replace(metric, proven=False) for metric in many]
    assert len(sentence(judgement(*waiting))) <= 300
    silent = replace(ERRORS, state=DataState.NO_DATA, problems=("x" * 4000,))
    assert len(sentence(judgement(silent))) <= 300


def test_the_next_step_fits_what_hinders() -> None:
    assert "evidence is gathered" in next_step(judgement(ERRORS))
    assert "decided by dry runs" in next_step(judgement(replace(ERRORS, dry_run=True)))
    assert "older than the warm-up" in next_step(judgement(replace(ERRORS, state=DataState.WARMING_UP)))
    assert "nothing is decided without data" in next_step(judgement(replace(ERRORS, state=DataState.NO_DATA)))
    assert "readiness and its route" in next_step(judgement(replace(ERRORS, blocked=True, problems=("short",))))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "logs and traces"),
        ({"family": "Histogram"}, "slow requests"),
        ({"family": "Growth"}, "heap profile"),
        ({"family": "Usage"}, "profiles of both"),
        ({"unit": "pod-seconds"}, "last state"),
        ({"direction": "Decrease"}, "keeps it from happening"),
        ({"log_evidence": 1.0}, "no metric is bad alone"),
    ],
)
def test_after_a_failure_it_says_where_to_look(changes: dict[str, str], words: str) -> None:
    failed = judgement(replace(ERRORS, **changes), verdict=Verdict.FAIL)
    assert words in next_step(replace(failed, log_combined=9.0, combined_share=0.1))
