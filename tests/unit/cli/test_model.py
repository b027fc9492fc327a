"""`coalmine model`: from recorded history to a manifest, its certificate, differences and digest."""

import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from analysis.model.artefact import canonical, digest
from analysis.model.history import Piece
from analysis.model.history_file import encode_history
from analysis.model.sentinel.model import parse_sentinel
from analysis.simulation.catalogue import ENVIRONMENTS
from analysis.simulation.generate import history
from rollout.api.failuremodel import FailureModel
from rollout.cli.main import main

MINUTE, MINUTE_LATER = "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"
DAY = 1_790_000_000.0
SELECT = '{pod=~"{{arms.pods}}"}'
METRICS = [
    ("errors", {"counts": {"events": f"errors{SELECT}", "total": f"requests{SELECT}"}}),
    ("latency", {"histogram": {"buckets": f"latency{SELECT}"}}),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A template, a Rollout, and history before and after noon."""
    path = tmp_path_factory.mktemp("model")
    provider = {"prometheus": {"address": "http://127.0.0.1:1"}}
    metrics = [
        {"name": name, "interval": "30s", "provider": provider, "comparison": comparison}
        for name, comparison in METRICS
    ]
    template = {"apiVersion": "coalmine.dev/v1alpha1", "kind": "AnalysisTemplate", "metadata": {"name": "http"}}
    (path / "template.yaml").write_text(yaml.safe_dump({**template, "spec": {"metrics": metrics}}))
    (path / "rollout.yaml").write_text(yaml.safe_dump(_rollout()))
    for name, first, pieces in (("before.zip", 0, 10), ("after.zip", 60, 9), ("few.zip", 30, 1)):
        (path / name).write_bytes(encode_history([_piece(first + number) for number in range(pieces)]))
    return path


def _rollout() -> dict[str, Any]:
    steps = [{"setWeight": 10}, {"pause": {"duration": "15m"}}, {"setWeight": 50}, {"pause": {"duration": "15m"}}]
    analysis = {"templates": [{"templateName": "http"}], "comparison": {"falseRollbackBudget": "30%"}}
    pods = {"metadata": {"labels": {"app": "shop"}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}}
    return {
        "apiVersion": "coalmine.dev/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "shop", "namespace": "market"},
        "spec": {
            "selector": {"matchLabels": {"app": "shop"}},
            "template": pods,
            "strategy": {"canary": {"steps": steps, "analysis": analysis}},
        },
    }


def _piece(number: int) -> Piece:
    tables = history(900 + number, ENVIRONMENTS["base"]).tables
    return Piece(DAY + 2400 * number, {name: tables[name] for name, _ in METRICS})


def _fit(folder: Path, *more: str) -> int:
    files = [str(folder / name) for name in ("template.yaml", "rollout.yaml")]
    return main(["model", "fit", *files, "--history", str(folder / "before.zip"), *more])


@pytest.fixture(scope="module")
def fitted(folder: Path) -> FailureModel:
    assert _fit(folder, "--output", str(folder / "model.yaml"), "--enforce") == 0
    return msgspec.convert(yaml.safe_load((folder / "model.yaml").read_text()), FailureModel)


def test_a_model_is_fitted_from_recorded_history(fitted: FailureModel) -> None:
    spec = fitted.spec
    assert (fitted.metadata.name, fitted.metadata.namespace) == ("shop", "market")
    assert (spec.rollout_ref.name, spec.window, spec.mode) == ("shop", "30s", "Enforce")
    assert [metric.name for metric in spec.metrics] == ["errors", "latency"]
    assert spec.training.segments == 10
    assert spec.training.data_digest.startswith("sha256:")
    assert 0.002 < float(spec.metrics[1].noise.omega_squared) < 0.01
    assert spec.metrics[1].tails == ("250ms", "500ms")
    assert spec.calibration is not None
    assert spec.calibration.placebos is not None
    assert spec.calibration.placebos.count == 20


def test_the_same_history_gives_the_same_model_and_says_what_was_learned(
    folder: Path, fitted: FailureModel, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _fit(folder, "--enforce") == 0
    out, err = capsys.readouterr()
    again = msgspec.convert(yaml.safe_load(out), FailureModel).spec
    assert msgspec.structs.replace(again, valid_until=fitted.spec.valid_until) == fitted.spec
    assert "learned from 10 pieces of history" in err
    assert "errors: a pod varies by" in err
    assert "slower than 250ms" in err


def test_certify_plays_history_that_came_later(
    folder: Path, fitted: FailureModel, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [str(folder / name) for name in ("model.yaml", "template.yaml", "rollout.yaml")]
    assert main(["model", "certify", *files, "--history", str(folder / "after.zip")]) == 0
    out = capsys.readouterr().out
    assert "18 placebos of 9 pieces of history" in out
    assert "0 rolled back; with 95 % confidence at most 28.3% of healthy releases are (budget 30%)" in out
    assert "errors x5: found in 100% of releases, half of them within" in out
    assert "certified: the budget is kept" in out


def test_too_little_history_is_said_to_be_that(
    folder: Path, fitted: FailureModel, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [str(folder / name) for name in ("model.yaml", "template.yaml", "rollout.yaml")]
    code = main(["model", "certify", *files, "--history", str(folder / "few.zip"), "--budget", "1%"])
    assert code == 1
    assert "so little history cannot show that the budget is kept" in capsys.readouterr().out


def test_history_that_was_learned_from_cannot_certify(
    folder: Path, fitted: FailureModel, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [str(folder / name) for name in ("model.yaml", "template.yaml", "rollout.yaml")]
    assert main(["model", "certify", *files, "--history", str(folder / "before.zip")]) == 1
    assert "no data" in capsys.readouterr().err
    assert main(["model", "certify", *files, "--from", "2020-01-01T00:00:00Z"]) == 3
    assert "the model was learned from that" in capsys.readouterr().err


def test_diff_says_what_changed(folder: Path, fitted: FailureModel, capsys: pytest.CaptureFixture[str]) -> None:
    spec = fitted.spec
    errors, latency = spec.metrics
    louder = msgspec.structs.replace(errors.noise, tau_squared="0.3", tau_squared_upper="0.4")
    other = msgspec.structs.replace(
        spec,
        mode="Shadow",
        metrics=(
            msgspec.structs.replace(errors, noise=louder, query_digest="sha256:" + "0" * 64),
            msgspec.structs.replace(latency, tails=("250ms",), tail_noise=latency.tail_noise[:1]),
            msgspec.structs.replace(errors, name="declines"),
        ),
    )
    spec = msgspec.structs.replace(spec, metrics=(*spec.metrics, msgspec.structs.replace(errors, name="cpu")))
    _write(folder / "known.yaml", spec)
    _write(folder / "other.yaml", other)
    assert main(["model", "diff", str(folder / "known.yaml"), str(folder / "other.yaml")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "mode: Enforce -> Shadow" in lines
    assert "cpu: no longer known, the priors hold" in lines
    assert "errors: learned from another query" in lines
    assert any(line.startswith("errors: pods differ by ") and line.endswith("-> 72.9%") for line in lines)
    assert "latency: tails 250ms, 500ms -> 250ms" in lines
    assert any(line.startswith("declines: known now") for line in lines)


def test_a_model_does_not_differ_from_itself(
    folder: Path, fitted: FailureModel, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["model", "diff", str(folder / "model.yaml"), str(folder / "model.yaml")]) == 0
    assert capsys.readouterr().out == "the models say the same\n"


def _write(path: Path, spec: msgspec.Struct) -> None:
    kind = {"apiVersion": "coalmine.dev/v1alpha1", "kind": "FailureModel", "metadata": {"name": "shop"}}
    path.write_text(yaml.safe_dump({**kind, "spec": msgspec.to_builtins(spec)}))


def test_export_writes_what_the_digest_names(
    folder: Path, fitted: FailureModel, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["model", "export", str(folder / "model.yaml")]) == 0
    out, err = capsys.readouterr()
    assert out.encode() == canonical(fitted.spec) + b"\n"
    assert err.strip() == digest(fitted.spec)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("fit", "template.yaml", "--history", "before.zip"), 3, "name the --rollout"),
        (("fit", "template.yaml", "rollout.yaml", "--from", "yesterday"), 3, "--from"),
        (("fit", "template.yaml", "rollout.yaml", "--to", MINUTE_LATER, "--from", MINUTE), 3, "forty minutes"),
        (("fit", "template.yaml", "rollout.yaml", "--history", "template.yaml"), 1, "no recorded history"),
        (("fit", "template.yaml", "rollout.yaml", "--history", "missing.zip"), 1, "cannot be read"),
        (("export", "template.yaml"), 3, "0 FailureModels"),
        (("fit", "template.yaml", "rollout.yaml"), 1, "cannot query Prometheus: "),
        (("fit", "template.yaml", "rollout.yaml"), 1, "; --address names the store as it is reached from here"),
    ],
)  # fmt: skip
def test_wrong_usage_is_told_with_its_remedy(
    folder: Path, arguments: tuple[str, ...], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    named = [str(folder / word) if word.endswith((".yaml", ".zip")) else word for word in arguments]
    assert main(["model", *named]) == code
    assert words in capsys.readouterr().err


def test_a_model_with_a_wrong_number_is_refused_with_its_field(
    folder: Path, fitted: FailureModel, capsys: pytest.CaptureFixture[str]
) -> None:
    errors = fitted.spec.metrics[0]
    broken = msgspec.structs.replace(errors.noise, omega_squared="NaN")
    _write(
        folder / "broken.yaml",
        msgspec.structs.replace(fitted.spec, metrics=(msgspec.structs.replace(errors, noise=broken),)),
    )
    assert main(["model", "export", str(folder / "broken.yaml")]) == 1
    assert "spec.metrics[0].noise.omegaSquared" in capsys.readouterr().err


def _documents(path: Path) -> tuple[FailureModel, dict[str, Any]]:
    model, config_map = yaml.safe_load_all(path.read_text())
    return msgspec.convert(model, FailureModel), config_map


def test_a_sentinel_is_fitted_beside_and_says_what_it_is_worth(
    folder: Path, fitted: FailureModel, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _fit(folder, "--sentinel", "Mahalanobis", "--enforce", "--output", str(folder / "watched.yaml")) == 0
    model, config_map = _documents(folder / "watched.yaml")
    stanza = model.spec.sentinel
    assert stanza is not None
    assert (stanza.type, stanza.on_anomaly, stanza.budget) == ("Mahalanobis", "Pause", None)
    assert (config_map["kind"], config_map["metadata"]) == (
        "ConfigMap",
        {"name": "shop-sentinel", "namespace": "market"},
    )
    assert stanza.artifact.config_map_ref is not None
    text = config_map["data"][stanza.artifact.config_map_ref.key]
    artefact = parse_sentinel(text.encode(), stanza.artifact.digest)
    assert artefact.features == (
        "errors",
        "latency, typical",
        "latency, slower than 0.25 s",
        "latency, slower than 0.5 s",
    )
    # Five pieces taught it, five say what is unusual: too few to call anything so.
    assert len(artefact.largest_scores) == 5
    assert "4 contrasts, by 5 placebos that it did not learn from; it raises NO alarm" in capsys.readouterr().err
    # The rest of the model is the same with it and without.
    assert msgspec.structs.replace(model.spec, sentinel=None, valid_until="") == msgspec.structs.replace(
        fitted.spec, valid_until=""
    )


def test_the_certificate_counts_what_a_sentinel_fails(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "failing.yaml"
    flags = ("--sentinel", "NearestNeighbors", "--on-anomaly", "Fail", "--sentinel-budget", "20%")
    assert _fit(folder, *flags, "--output", str(path)) == 0
    told = capsys.readouterr().err
    assert "false alarms in at most 20% of releases that are like placebos" in told
    assert "watch it with --on-anomaly Report" in told
    model, config_map = _documents(path)
    assert model.spec.sentinel is not None
    artefact = parse_sentinel(config_map["data"]["model.json"].encode(), model.spec.sentinel.artifact.digest)
    # One that finds everything unusual has to show in the certificate.
    jumpy = msgspec.structs.replace(artefact, largest_scores=(0.0,) * 5)
    config_map["data"]["model.json"] = canonical(jumpy).decode()
    artifact = msgspec.structs.replace(model.spec.sentinel.artifact, digest=digest(jumpy))
    _write(
        path,
        msgspec.structs.replace(model.spec, sentinel=msgspec.structs.replace(model.spec.sentinel, artifact=artifact)),
    )
    alone = path.read_text()
    path.write_text(f"{alone}---\n{yaml.safe_dump(config_map)}")
    files = [str(folder / name) for name in ("failing.yaml", "template.yaml", "rollout.yaml")]
    later = ["--history", str(folder / "after.zip")]
    assert main(["model", "certify", *files, *later]) == 1
    assert "DEGRADED: more healthy releases are rolled back than the budget allows" in capsys.readouterr().out
    path.write_text(alone)
    assert main(["model", "certify", *files, *later]) == 0
    told = capsys.readouterr()
    assert "\n  0 rolled back" in told.out
    assert 'ConfigMap "shop-sentinel" is not in' in told.err
    path.write_text(f"{alone}---\n{yaml.safe_dump({**config_map, 'data': {'other': '{}'}})}")
    assert main(["model", "certify", *files, *later]) == 1
    assert 'ConfigMap "shop-sentinel" has no text under "model.json"; mend the key' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (("--on-anomaly", "Report"), 3, "belong to --sentinel"),
        (("--sentinel-budget", "1%"), 3, "belong to --sentinel"),
        (("--sentinel", "Mahalanobis", "--on-anomaly", "Fail"), 3, "needs --sentinel-budget"),
        (("--sentinel", "Mahalanobis", "--sentinel-budget", "1%"), 3, "needs --sentinel-budget"),
        (
            ("--sentinel", "Mahalanobis", "--on-anomaly", "Fail", "--sentinel-budget", "40%"),
            3,
            "less than the rollout's 30%",
        ),
        (("--sentinel", "Mahalanobis", "--on-anomaly", "Fail", "--sentinel-budget", "some"), 3, "no percentage"),
    ],
)
def test_flags_of_a_sentinel_fit_together(
    folder: Path, flags: tuple[str, ...], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _fit(folder, *flags) == code
    assert words in capsys.readouterr().err


def test_without_scikit_learn_a_sentinel_names_the_extra_before_anything_is_read(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    assert _fit(folder, "--sentinel", "Mahalanobis", "--history", "missing.zip") == 1
    assert "pip install 'coalmine[models]'" in capsys.readouterr().err
