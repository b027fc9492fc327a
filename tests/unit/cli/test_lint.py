"""`coalmine analysis lint` as a command: what it reads, and what it ends with."""

from pathlib import Path

import pytest

from analysis.model.query import query_digest
from rollout.cli.main import main

EVENTS = 'e_total{namespace="{{arms.namespace}}", pod=~"{{arms.pods}}", code=~"5.."}'
TOTAL = 'e_total{namespace="{{arms.namespace}}", pod=~"{{arms.pods}}"}'
TEMPLATE = f"""\
apiVersion: coalmine.dev/v1alpha1
kind: AnalysisTemplate
metadata: {{name: t}}
spec:
  metrics:
  - name: errors
    interval: 30s
    provider: {{prometheus: {{address: "http://p:9090"}}}}
    comparison:
      counts:
        events: {EVENTS}
        total: {TOTAL}
      tolerance: 20%
"""
MODEL = f"""\
apiVersion: coalmine.dev/v1alpha1
kind: FailureModel
metadata: {{name: m}}
spec:
  rolloutRef: {{name: web}}
  window: 30s
  metrics:
  - name: errors
    queryDigest: {query_digest(EVENTS, TOTAL)}
    noise: {{omegaSquared: "0.1", tauSquared: "0.0004"}}
"""


def test_a_tolerance_that_the_priors_forbid_is_right_with_a_model_that_was_learned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "t.yaml").write_text(TEMPLATE)
    (tmp_path / "m.yaml").write_text(MODEL)
    assert main(["analysis", "lint", str(tmp_path / "t.yaml")]) == 1
    assert "as the priors assume" in capsys.readouterr().out
    assert main(["analysis", "lint", str(tmp_path / "t.yaml"), "--model", str(tmp_path / "m.yaml")]) == 0
    assert "no errors, no warnings" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("kind: Service\napiVersion: v1\nmetadata: {name: s}\n", "no AnalysisTemplate"),
        ("{", "not YAML"),
        ("- 1\n", "not an object"),
        ("a: &a [*a]\n", "alias"),
    ],
)
def test_a_file_without_a_template_is_an_error_in_one_line(
    content: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "f.yaml").write_text(content)
    assert main(["analysis", "lint", str(tmp_path / "f.yaml")]) == 1
    seen = capsys.readouterr().err
    assert words in seen
    assert seen.count("\n") == 1


def test_every_template_of_every_file_is_checked_and_one_error_fails_them_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.yaml").write_text(TEMPLATE.replace("tolerance", "tolerence"))
    assert main(["analysis", "lint", "coalmine-jvm", str(tmp_path / "bad.yaml"), "--arg", "requests=r_total"]) == 1
    seen = capsys.readouterr().out
    assert "coalmine-jvm: ClusterAnalysisTemplate coalmine-jvm: no errors" in seen
    assert "spec.metrics[0].comparison.tolerence: is not known and would be dropped; is tolerance meant?" in seen
