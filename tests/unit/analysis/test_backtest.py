"""Past rollouts judged again: by the same rules to the same end, by others to what those would have decided."""

import gzip
import math
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from analysis.authoring.backtest import PastRollout, Truth, backtest, outcome, summarised
from analysis.authoring.timeline import timeline
from analysis.errors import InvalidSpec
from analysis.record import Record, decode
from analysis.rules import CountsRule, HistogramRule, MetricRule, RunRules
from analysis.verdict import Verdict
from rollout.cli.main import main
from tests.support.judging import Look, rules_of
from tests.support.recorded_runs import CPU, ERRORS, LATENCY, MEMORY, RULES, run_of

TEMPLATE = """\
apiVersion: coalmine.dev/v1alpha1
kind: AnalysisTemplate
metadata: {name: stricter}
spec:
  metrics:
  - name: errors
    interval: 30s
    provider: {prometheus: {address: "http://p"}}
    comparison:
      counts: {events: 'e{pod=~"{{arms.pods}}"}', total: 't{pod=~"{{arms.pods}}"}', minDifference: 90%}
  - name: never-recorded
    interval: 30s
    provider: {prometheus: {address: "http://p"}}
    comparison:
      gauge: {query: 'g{pod=~"{{arms.pods}}"}'}
"""


@cache
def run(name: str, seed: int = 1) -> Look:
    return run_of(name, seed)


@cache
def record(name: str, seed: int = 1) -> Record:
    return decode(run(name, seed).record)


def past(name: str, truth: Truth = Truth.UNKNOWN, seed: int = 1) -> PastRollout:
    return PastRollout(name, truth, record(name, seed))


def rules(*some: MetricRule, budget: float = 0.01) -> RunRules:
    return rules_of(*some, budget=budget, increases=2)


@pytest.mark.parametrize("name", ["base:err_x5", "base:healthy", "base:lat_+100%", "base:cpu_+30%"])
def test_the_last_moment_of_a_timeline_is_the_judgement_of_the_run(name: str) -> None:
    moments = timeline(record(name))
    assert moments[-1].judgement == run(name).judgement
    assert [moment.seconds for moment in moments] == sorted(moment.seconds for moment in moments)
    assert all(moment.judgement.verdict is not Verdict.FAIL for moment in moments[:-1])


def test_a_long_timeline_is_thinned_and_ends_alike() -> None:
    whole, thin = timeline(record("base:healthy")), timeline(record("base:healthy"), 4)
    assert len(thin) <= 5 < len(whole)
    assert thin[-1].judgement == whole[-1].judgement
    by_seconds = {moment.seconds: moment.judgement for moment in whole}
    assert all(by_seconds[moment.seconds] == moment.judgement for moment in thin)


def test_the_same_rules_decide_what_was_decided() -> None:
    for name in ("base:err_x5", "base:healthy"):
        again = backtest(past(name), rules(*RULES))
        assert again.was == again.would
        assert again.unknown == ()


def test_a_template_that_forgives_more_finds_the_harm_later_or_never() -> None:
    bold = backtest(past("base:err_x5"), rules(replace(ERRORS, harm=9.0), LATENCY, CPU, MEMORY))
    assert bold.was.verdict is Verdict.FAIL
    assert bold.was.metric == "errors"
    assert bold.would.verdict is not Verdict.FAIL
    assert bold.would.log_margin < bold.was.log_margin


def test_a_larger_budget_finds_it_no_later() -> None:
    strict = backtest(past("base:err_x5"), rules(*RULES, budget=0.001)).would
    bold = backtest(past("base:err_x5"), rules(*RULES, budget=0.2)).would
    assert bold.verdict is Verdict.FAIL
    assert bold.seconds <= (strict.seconds if strict.verdict is Verdict.FAIL else math.inf)


def test_a_tolerance_that_was_not_asked_for_is_proven_in_the_past() -> None:
    healthy = past("base:healthy")
    asked = backtest(healthy, rules(replace(MEMORY, tolerance=1.0))).would
    assert asked.proven_seconds is not None
    narrow = backtest(healthy, rules(replace(MEMORY, tolerance=0.06))).would
    assert narrow.proven_seconds is None or narrow.proven_seconds >= asked.proven_seconds


def test_a_tail_that_was_not_judged_then_is_judged_now() -> None:
    other = replace(LATENCY, family=HistogramRule((0.5, 1.0)))
    seen = backtest(past("base:lat_+100%"), rules(other)).would
    assert seen.verdict is Verdict.FAIL
    assert seen.metric == "latency"


def test_a_metric_that_no_record_has_keeps_its_share_and_says_nothing() -> None:
    more = MetricRule("queue", 30.0, CountsRule(), 0.1, tolerance=0.5, budget_weight=900)
    alone, shared = (backtest(past("base:err_x5"), rules(*RULES, *extra)) for extra in ((), (more,)))
    assert shared.unknown == ("queue",)
    assert shared.would.log_margin < alone.would.log_margin
    with pytest.raises(InvalidSpec, match="none of the template's comparisons"):
        backtest(past("base:err_x5"), rules(more))
    with pytest.raises(InvalidSpec, match=r"errors \(Counts\)"):
        backtest(past("base:err_x5"), rules(replace(LATENCY, name="errors")))


def test_rates_are_told_of_what_became_known_only() -> None:
    pasts = [
        past("base:healthy", Truth.HEALTHY),
        past("base:healthy", Truth.HEALTHY, seed=2),
        past("base:err_x5", Truth.BAD),
        past("base:lat_+100%", Truth.BAD),
        past("base:cpu_+30%"),
    ]
    summary = summarised([backtest(one, rules(*RULES)) for one in pasts])
    assert (summary.healthy, summary.false_rollbacks, summary.bad, summary.found) == (2, 0, 2, 2)
    assert summary.false_upper == pytest.approx(1 - 0.05**0.5, abs=1e-6)
    assert summary.median_seconds is not None
    only_bad = summarised([backtest(pasts[2], rules(replace(ERRORS, harm=9.0)))])
    assert (only_bad.found, only_bad.median_seconds, only_bad.false_upper) == (0, None, 1.0)


def test_a_guard_that_fired_ends_the_run_whatever_the_template_says() -> None:
    kept = record("base:healthy")
    fired = replace(kept, facts=replace(kept.facts, guard="the canary crashes"))
    assert outcome(timeline(fired)).verdict is Verdict.FAIL


def test_the_command_tells_each_record_and_the_rates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.yaml").write_text(TEMPLATE)
    (tmp_path / "good.json").write_bytes(run("base:healthy").record)
    (tmp_path / "bad.json.gz").write_bytes(gzip.compress(run("base:err_x5").record))
    words = ["analysis", "backtest", "--template", str(tmp_path / "t.yaml")]
    code = main([*words, "--healthy", str(tmp_path / "good.json"), "--bad", str(tmp_path / "bad.json.gz")])
    seen = capsys.readouterr()
    assert code == 0
    assert "FAIL by errors after" in seen.out
    assert "INCONCLUSIVE when it ends" in seen.out
    assert "false rollbacks: 0 of 1 healthy releases (95% upper bound 95%)" in seen.out
    assert "found: 0 of 1 bad releases, median never" in seen.out
    assert 'no metric "never-recorded"' in seen.err


@pytest.mark.parametrize(("content", "words"), [(b"{}", "no record"), (b"", "no record")])
def test_what_is_no_record_is_told_by_its_file(
    content: bytes, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "t.yaml").write_text(TEMPLATE)
    (tmp_path / "r.json").write_bytes(content)
    assert main(["analysis", "backtest", "--template", str(tmp_path / "t.yaml"), str(tmp_path / "r.json")]) == 1
    seen = capsys.readouterr().err
    assert "r.json: " in seen
    assert words in seen
    assert main(["analysis", "backtest", "--template", str(tmp_path / "t.yaml")]) == 3
