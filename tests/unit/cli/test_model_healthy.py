"""`coalmine model fit --healthy`: from what runs leave behind to a model's calibration."""

import gzip
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from analysis.errors import InvalidSpec
from analysis.model.history import Piece
from analysis.model.history_file import encode_history
from analysis.record import RecordError, digest
from analysis.simulation.catalogue import ENVIRONMENTS
from analysis.simulation.generate import history
from rollout.api.failuremodel import FailureModel
from rollout.cli import model_healthy
from rollout.cli.main import main
from rollout.cli.model_healthy import Given, read_healthy, selected
from tests.support.recorded_runs import run_of

Json = dict[str, Any]
SELECT = '{pod=~"{{arms.pods}}"}'


def run(
    canary: str, stable: str, largest: str = "0.5", *, phase: str = "Successful", total: str = "1200", **more: Any
) -> Json:
    """An AnalysisRun as kubectl writes it."""
    name = f"shop-{canary}-2"
    arms = {"canary": {"podTemplateHash": canary}, "stable": {"podTemplateHash": stable}}
    return {
        "apiVersion": "coalmine.dev/v1alpha1",
        "kind": "AnalysisRun",
        "metadata": {
            "name": name,
            "namespace": "market",
            "uid": f"uid-{canary}-{stable}",
            "labels": {"rollout-type": "Background", "rollouts-pod-template-hash": canary},
            "ownerReferences": [{"apiVersion": "coalmine.dev/v1alpha1", "kind": "Rollout", "name": "shop", "uid": "u"}],
            **more,
        },
        "spec": {"metrics": [], "comparison": {"arms": arms}},
        "status": {
            "phase": phase,
            "metricResults": [
                {"name": "errors", "phase": phase, "comparison": {"canary": {"total": total}}},
                {"name": "later", "phase": phase},
            ],
            "comparison": {
                "verdict": "INCONCLUSIVE",
                "largestLogEvidence": largest,
                "recordDigest": f"sha256:{canary}",
            },
        },
    }


def rollout(stable: str) -> Json:
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
        "status": {"stableRS": stable},
    }


def kept(path: Path, *objects: Json) -> Path:
    path.write_bytes(msgspec.json.encode({"apiVersion": "v1", "kind": "List", "items": list(objects)}))
    return path


def healthy(*objects: Json, folder: Path) -> model_healthy.Healthy:
    return selected(read_healthy([kept(folder / "runs.json", *objects)]), "market", "shop")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A template, a Rollout, and history."""
    path = tmp_path_factory.mktemp("healthy")
    metric = {
        "name": "errors",
        "interval": "30s",
        "provider": {"prometheus": {"address": "http://127.0.0.1:1"}},
        "comparison": {"counts": {"events": f"errors{SELECT}", "total": f"requests{SELECT}"}},
    }
    template = {"apiVersion": "coalmine.dev/v1alpha1", "kind": "AnalysisTemplate", "metadata": {"name": "http"}}
    (path / "template.yaml").write_text(yaml.safe_dump({**template, "spec": {"metrics": [metric]}}))
    (path / "rollout.yaml").write_text(yaml.safe_dump({**rollout(""), "status": {}}))
    pieces = [
        Piece(1_790_000_000.0 + 2400 * number, {"errors": history(900 + number, ENVIRONMENTS["base"]).tables["errors"]})
        for number in range(6)
    ]
    (path / "past.zip").write_bytes(encode_history(pieces))
    return path


def fit(folder: Path, *healthy: Path) -> int:
    files = [str(folder / name) for name in ("template.yaml", "rollout.yaml")]
    more = ["--history", str(folder / "past.zip"), "--output", str(folder / "model.yaml")]
    return main(["model", "fit", *files, *more, "--healthy", *(str(path) for path in healthy)])


def fitted(folder: Path) -> FailureModel:
    return msgspec.convert(yaml.safe_load((folder / "model.yaml").read_text()), FailureModel)


def test_runs_that_were_kept_over_time_raise_the_limit_of_the_model(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept(tmp_path / "monday.json", run("b", "a", "0.07"), run("c", "b", "2.5"), rollout("c"))
    kept(tmp_path / "friday.json", run("c", "b", "2.5"), run("bad", "c", "9", phase="Failed"), run("d", "c", "-0.41"))
    kept(tmp_path / "saturday.json", run("e", "d", "0.2", phase="Running"), rollout("d"))
    (tmp_path / "notes.txt").write_text("not read")
    assert fit(folder, tmp_path) == 0
    spec = fitted(folder).spec
    assert spec.calibration is not None
    assert spec.calibration.healthy_rollouts == ("-0.41", "0.07", "2.5")
    assert spec.calibration.placebos is not None, "what placebos say stays beside it"
    assert spec.training.healthy_rollouts == 3
    told = capsys.readouterr().err
    assert "in 3 healthy releases the evidence of harm reached 12.2:1 at most" in told
    assert "left out: 1 failed, 1 still running" in told
    assert "the limit of 3.33:1 rises to 12.2:1 (budget 30%)" in told


def test_records_count_as_they_are_given_and_once_beside_their_runs(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = run_of("base:healthy").record, run_of("base:err_x5").record
    (tmp_path / "good.json.gz").write_bytes(gzip.compress(good))
    (tmp_path / "again.json").write_bytes(good)
    (tmp_path / "bad.json").write_bytes(bad)
    same = run("b", "a", "0.25")
    same["status"]["comparison"]["recordDigest"] = digest(good)
    assert fit(folder, tmp_path) == 0
    (alone,) = (fitted(folder).spec.calibration or pytest.fail("no calibration")).healthy_rollouts
    assert float(alone) < 4.6
    told = capsys.readouterr().err
    assert "left out: 1 failed" in told
    assert "in 1 healthy release the evidence of harm" in told
    assert "they raise no limit before there are 3 (budget 30%)" in told
    assert fit(folder, tmp_path, kept(tmp_path / "runs.list", same, rollout("b"))) == 0
    assert (fitted(folder).spec.calibration or pytest.fail("none")).healthy_rollouts == ("0.25",)


def test_a_model_without_any_says_so(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fit(folder, kept(tmp_path / "runs.json", run("b", "a"))) == 0
    told = capsys.readouterr().err
    assert "no healthy release was found" in told
    assert "left out: 1 not known to be promoted" in told


def test_a_release_that_was_taken_back_is_left_out(tmp_path: Path) -> None:
    bad = run("b", "a", creationTimestamp="2026-11-05T00:00:00Z")
    back = run("a", "b", "0.3", creationTimestamp="2026-11-05T03:00:00Z")
    found = healthy(back, bad, rollout("a"), folder=tmp_path)
    assert (found.values, found.left_out) == ((0.3,), {"taken back": 1})


@pytest.mark.parametrize(
    "other",
    [
        run("b", "a", namespace="elsewhere"),
        run("b", "a", ownerReferences=[{"kind": "Rollout", "name": "cart"}]),
        run("b", "a", labels={"rollout-type": "Step"}),
    ],
)
def test_runs_of_something_else_are_none_of_it(other: Json, tmp_path: Path) -> None:
    found = healthy(other, rollout("b"), folder=tmp_path)
    assert (found.values, found.left_out.total()) == ((), 0)


def test_a_run_of_an_older_operator_is_left_out(tmp_path: Path) -> None:
    assert healthy(run("b", "a", ""), rollout("b"), folder=tmp_path).left_out == {"without evidence in its status": 1}


def test_a_release_without_data_is_left_out_and_told(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quiet, dry = run("c", "b", "0", total="0"), run("d", "c", "0")
    dry["status"]["metricResults"][0]["dryRun"] = True
    dark = msgspec.json.decode(run_of("base:healthy").record)
    for metric in dark["metrics"]:
        metric.update(blocks=[], running=None)
    (tmp_path / "dark.json").write_bytes(msgspec.json.encode(dark))
    kept(tmp_path / "runs.json", run("b", "a", "0.25"), quiet, dry, *(rollout(stable) for stable in "bcd"))
    assert fit(folder, tmp_path) == 0
    assert (fitted(folder).spec.calibration or pytest.fail("none")).healthy_rollouts == ("0.25",)
    assert "left out: 3 without data of the canary" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"kind: AnalysisRun", "kubectl get analysisruns,rollouts -o json"),
        (b"[" * 5000, "is no JSON"),
        (b"[1]", "neither a record nor AnalysisRuns"),
        (b"{}", "no record of version 2"),
        (b'{"kind": "List"}', "a list without items"),
        (b'{"kind": "AnalysisRun", "spec": 3}', "item 0, AnalysisRun: "),
        (b"\x1f\x8bnonsense", "is not gzip"),
    ],
)
def test_a_file_of_something_else_is_named(
    content: bytes, words: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "odd.json").write_bytes(content)
    assert fit(folder, tmp_path / "odd.json") == 1
    told = capsys.readouterr().err
    assert "odd.json" in told
    assert words in told


def test_a_run_whose_evidence_is_no_number_is_named(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(folder, kept(tmp_path / "runs.json", run("b", "a", "inf"), rollout("b"))) == 1
    assert "AnalysisRun shop-b-2: status.comparison.largestLogEvidence: 'inf' is no decimal" in capsys.readouterr().err


def test_a_run_whose_count_is_no_number_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec, match=r"shop-b-2: comparison\.canary\.total of errors: 'many' is no"):
        healthy(run("b", "a", total="many"), rollout("b"), folder=tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(started_at=1e308, at=1.5e308, weights=[[-1e308, 50]]),
        lambda d: d["rules"][0].update(interval_seconds=5e-324),
    ],
)
def test_a_record_of_numbers_that_no_run_has_seen_is_named(change: Any, tmp_path: Path) -> None:
    document = msgspec.json.decode(run_of("base:healthy").record)
    change(document)
    (tmp_path / "odd.json").write_bytes(msgspec.json.encode(document))
    with pytest.raises(RecordError, match=r"odd\.json: the record cannot be judged"):
        read_healthy([tmp_path])


def test_a_file_that_is_not_there_is_named(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fit(folder, tmp_path / "gone.json") == 1
    assert "gone.json cannot be read" in capsys.readouterr().err


def test_how_many_files_are_read_is_bounded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(model_healthy, "FILES_MAX", 1)
    paths = [kept(tmp_path / f"{number}.json") for number in (1, 2)]
    assert read_healthy(paths[:1]) == Given()
    with pytest.raises(model_healthy.FileError, match="more than 1 files"):
        read_healthy(paths)
