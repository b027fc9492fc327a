"""`coalmine analysis plan`: what an author reads, from files alone."""

from pathlib import Path

import pytest

from analysis.model.query import query_digest
from rollout.cli.arguments import USAGE
from rollout.cli.main import main, parser
from rollout.cli.plan_words import minutes

TEMPLATE = """\
apiVersion: coalmine.dev/v1alpha1
kind: AnalysisTemplate
metadata: {name: checkout}
spec:
  args: [{name: tolerance, value: 100%}, {name: address}]
  metrics:
  - name: errors
    interval: 30s
    provider: {prometheus: {address: "{{args.address}}"}}
    comparison:
      counts: {events: 'e{pod=~"{{arms.pods}}"}', total: 't{pod=~"{{arms.pods}}"}'}
      tolerance: "{{args.tolerance}}"
      budgetWeight: 25
  - name: latency
    interval: 30s
    provider: {prometheus: {address: "{{args.address}}"}}
    comparison:
      histogram: {buckets: 'l_bucket{pod=~"{{arms.pods}}"}', tails: [250ms]}
      tolerance: 10%
"""
ROLLOUT = """\
---
apiVersion: coalmine.dev/v1alpha1
kind: Rollout
metadata: {name: shop}
spec:
  replicas: 20
  strategy:
    canary:
      analysis:
        templates: [{templateName: checkout}]
        args: [{name: address, value: "http://p:9090"}]
        comparison: {falseRollbackBudget: 2%}
      steps:
      - setCanaryScale: {replicas: 4}
      - setWeight: 10
      - pause: {duration: 15m}
      - setWeight: 40
      - verify: {timeout: 1200}
"""
TRAFFIC = ["--rps", "200", "--error-rate", "1%"]


def plan(*words: str) -> int:
    return main(["analysis", "plan", *words])


@pytest.fixture
def template(tmp_path: Path) -> str:
    path = tmp_path / "template.yaml"
    path.write_text(TEMPLATE)
    return str(path)


def test_a_plan_tells_when_each_step_sees_harm_and_what_to_change(
    template: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan(template, *TRAFFIC, "--arg", "address=http://p", "--weights", "25", "--canary-pods", "5") == 0
    seen = capsys.readouterr().out
    assert "checkout: 200 requests a second, 1% errors, 10 stable pods; budget 1%, noise assumed by priors" in seen
    assert "25% (5), 10m" in seen
    for row in ("errors x2", "errors x1.5", "latency +10%", "errors within 100%", "latency within 10%"):
        assert f"  {row} " in seen
    assert "What to change:" in seen
    assert "learn this service's noise" in seen
    assert "- setWeight: 25" in seen
    assert "- verify: {timeout: " in seen


def test_a_rollout_in_the_files_gives_steps_pods_arguments_and_budget(
    template: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rollout.yaml").write_text(ROLLOUT)
    assert plan(template, str(tmp_path / "rollout.yaml"), *TRAFFIC) == 0
    seen = capsys.readouterr().out
    assert "shop: 200 requests a second, 1% errors, 20 stable pods; budget 2%" in seen
    assert "10% (4), 15m  40% (4), 20m" in seen.replace("    ", "  ")


def test_a_preset_is_planned_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert plan("coalmine-linkerd-http", *TRAFFIC, "--weights", "25", "--duration", "20m") == 0
    assert "25% (3), 20m" in capsys.readouterr().out


def test_another_error_rate_for_one_metric_changes_its_row_alone(
    template: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (template, *TRAFFIC, "--arg", "address=http://p", "--weights", "30", "--canary-pods", "10")
    assert plan(*words) == 0
    before = capsys.readouterr().out.splitlines()
    assert plan(*words, "--error-rate", "errors=0.01%") == 0
    after = capsys.readouterr().out.splitlines()

    def row(lines: list[str], name: str) -> str:
        return next(line for line in lines if line.strip().startswith(name))

    assert row(before, "errors x2") != row(after, "errors x2")
    assert row(before, "latency +10%") == row(after, "latency +10%")


def test_the_picture_is_the_same_every_time(template: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    errors_only = Path(template).read_text().partition("  - name: latency")[0]
    (tmp_path / "errors.yaml").write_text(errors_only)
    pictures = []
    for name in ("a.svg", "b.svg"):
        words = ("--arg", "address=http://p", "--weights", "25", "--output", str(tmp_path / name))
        assert plan(str(tmp_path / "errors.yaml"), *TRAFFIC, *words) == 0
        pictures.append((tmp_path / name).read_text())
    assert pictures[0] == pictures[1]
    assert "<svg" in pictures[0]


MODEL = """\
apiVersion: coalmine.dev/v1alpha1
kind: FailureModel
metadata: {name: checkout}
spec:
  rolloutRef: {name: checkout}
  window: 30s
  metrics:
  - name: errors
    queryDigest: %s
    noise: {omegaSquared: "0.1", tauSquared: "0.001"}
"""


def test_a_learned_model_lets_harm_be_seen_sooner_where_it_knows_the_query(
    template: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = query_digest('e{pod=~"{{arms.pods}}"}', 't{pod=~"{{arms.pods}}"}')
    (tmp_path / "model.yaml").write_text(MODEL % digest)
    words = (template, *TRAFFIC, "--arg", "address=http://p", "--weights", "25", "--canary-pods", "3")
    assert plan(*words) == 0
    priors = capsys.readouterr().out
    assert plan(*words, "--model", str(tmp_path / "model.yaml")) == 0
    learned = capsys.readouterr()
    assert "says nothing of latency" in learned.err

    def row(text: str, name: str) -> str:
        return next(line for line in text.splitlines() if line.strip().startswith(name))

    assert "never" in row(priors, "errors x1.5")
    assert "never" not in row(learned.out, "errors x1.5")
    assert row(priors, "latency +10%") == row(learned.out, "latency +10%")
    assert plan(*words, "--model", template) == 1
    assert "has 0 FailureModels" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["{t}", *TRAFFIC], 1, 'argument "address" has no value'),
        (["{t}", *TRAFFIC, "--arg", "address=x", "--weights", "50,5"], 1, "do not rise"),
        (["{t}", *TRAFFIC, "--arg", "address=x", "--canary-pods", "1"], USAGE, "--canary-pods has 1"),
        (["{t}", *TRAFFIC, "--arg", "address=x", "--template", "none"], USAGE, "the files have: checkout"),
        (["{t}", *TRAFFIC, "--output", "x.txt"], USAGE, "must end in .svg"),
        (["{t}", "--rps", "1", "--error-rate", "a=1%"], USAGE, "without a metric's name"),
        (["{t}.none", *TRAFFIC], 1, "cannot be read"),
        (["{t}", *TRAFFIC, "--arg", "address=x", "--arg", "tolerance=much"], 1, "tolerance"),
    ],
)
def test_what_cannot_be_planned_is_told(
    words: list[str], code: int, message: str, template: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan(*(word.replace("{t}", template) for word in words)) == code
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--rps", "0"], ["--rps", "nan"], ["--error-rate", "5"], ["--weights", "5,,2"]])
def test_numbers_that_are_none_are_wrong_usage(words: list[str]) -> None:
    with pytest.raises(SystemExit) as exit_code:
        parser().parse_args(["analysis", "plan", "f", *TRAFFIC, *words])
    assert exit_code.value.code == USAGE


@pytest.mark.parametrize(
    ("seconds", "words"), [(30, "30s"), (60, "1m"), (570, "9m30s"), (3600, "1h"), (5400, "1h30m"), (10815, "3h")]
)
def test_spans_are_told_as_durations_that_a_rollout_accepts(seconds: float, words: str) -> None:
    assert minutes(seconds) == words
