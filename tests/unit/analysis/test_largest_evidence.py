"""The largest evidence of a run: kept from look to look, over restarts, and written only where something else is."""

import pytest

from analysis.judgement import DataState, Judgement, MetricJudgement
from analysis.run_comparison import assess, summarize
from analysis.run_spec import ArmCounts, MetricComparison, MetricResult, RunComparisonStatus, ShadowComparison
from analysis.verdict import AnalysisPhase, Verdict


def seen(log_evidence: float, digest: str = "") -> Judgement:
    metric = MetricJudgement("errors", DataState.COLLECTING)
    return Judgement(1e9, Verdict.INCONCLUSIVE, log_evidence, 4.6, (metric,), record_digest=digest)


def after(old: RunComparisonStatus | None, log_evidence: float, largest: float, *, ended: bool = False) -> str:
    return summarize(old, seen(log_evidence), largest=largest, ended=ended).largest_log_evidence


def test_it_is_written_with_news_and_at_the_end() -> None:
    first = summarize(None, seen(-0.5), largest=-0.41)
    assert first.largest_log_evidence == "-0.41"
    same = summarize(first, seen(-0.52), largest=-0.3)
    assert same is first, "nobody sees a difference"
    assert after(first, 2.0, 2.1) == "2.1"
    assert after(first, -0.52, -0.3, ended=True) == "-0.3"


def test_a_restart_of_the_operator_does_not_make_it_smaller() -> None:
    before = summarize(None, seen(2.5), largest=2.75)
    assert after(before, 0.2, 0.3, ended=True) == "2.75"


def test_what_is_no_number_or_beyond_all_odds_is_not_written_as_one() -> None:
    assert after(None, 0.0, float("-inf")) == ""
    assert after(None, 0.0, 1e300) == "1000000000"
    assert summarize(None, seen(0.0)).largest_log_evidence == ""


def test_the_end_names_its_record_whatever_the_verdict() -> None:
    old = summarize(None, seen(0.2), largest=0.3)
    assert summarize(old, seen(0.2, "sha256:aa"), largest=0.3, ended=True).record_digest == "sha256:aa"


@pytest.mark.parametrize("garbage", ["much", "inf", "nan", "1,5", "--"])
def test_what_somebody_wrote_over_a_figure_is_none_and_the_run_ends(garbage: str) -> None:
    shadow = ShadowComparison(digest="sha256:aa", verdict=Verdict.PASS, evidence=garbage, evidence_limit="100")
    spoilt = RunComparisonStatus(largest_log_evidence=garbage, evidence=garbage, shadow=shadow)
    assert after(spoilt, 0.2, 0.3) == "0.3"
    assert after(spoilt, 0.2, 0.3, ended=True) == "0.3"
    assert after(spoilt, 0.2, float("-inf"), ended=True) == "", "what is no number is kept no longer"


@pytest.mark.parametrize("garbage", ["much", "inf", "-1"])
def test_spoilt_figures_of_a_metric_give_way_to_what_is_seen(garbage: str) -> None:
    arm = ArmCounts(total=garbage)
    spoilt = MetricComparison(evidence=garbage, canary=arm, stable=arm, data_state="Collecting")
    result = MetricResult(name="errors", phase=AnalysisPhase.RUNNING, comparison=spoilt)
    judgement = seen(2.5)
    found = assess(result, judgement, judgement.metrics[0], terminating=True)
    assert found.phase is AnalysisPhase.INCONCLUSIVE
    assert found.comparison is not None
    assert (found.comparison.evidence, found.comparison.canary) == ("1", ArmCounts())
