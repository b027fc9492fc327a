"""The largest evidence of a run: kept from look to look, over restarts, and written only where something else is."""

from analysis.judgement import DataState, Judgement, MetricJudgement
from analysis.run_comparison import summarize
from analysis.run_spec import RunComparisonStatus
from analysis.verdict import Verdict


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
