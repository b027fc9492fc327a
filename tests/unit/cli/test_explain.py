"""A verdict is explained from its run and its record, and a record that does not fit is not believed."""

import base64
import gzip
from pathlib import Path
from typing import Any

import msgspec
import pytest

from analysis.judgement import Judgement
from analysis.record import MAX_BYTES, RecordError, digest
from analysis.run_comparison import assess, summarize
from analysis.run_spec import AnalysisRunStatus, Measurement, MetricResult
from analysis.spec import Metric
from analysis.verdict import AnalysisPhase
from rollout.api.analysis import AnalysisRun
from rollout.api.meta import ObjectMeta
from rollout.cli.explain import Replay, discrepancies, explain_run, replayed, unpacked, unzipped
from rollout.cli.main import main
from tests.unit.analysis.test_judge import PROVIDER, look, simulated, spec


@pytest.fixture(scope="module")
def failed() -> tuple[Judgement, bytes]:
    judgement, record = look(spec(), simulated(0.30), 120)
    assert record is not None
    return judgement, record


def run_of(judgement: Judgement) -> AnalysisRun:
    """The run as the operator publishes it."""
    first = MetricResult(name="errors", phase=AnalysisPhase.RUNNING)
    result = assess(first, judgement, judgement.metrics[0], terminating=False)
    status = AnalysisRunStatus(
        phase=AnalysisPhase.FAILED,
        message=result.message,
        metric_results=(result,),
        started_at="2027-01-15T08:00:00Z",
        completed_at="2027-01-15T08:02:00Z",
        comparison=summarize(None, judgement),
    )
    return AnalysisRun(spec=spec(), metadata=ObjectMeta(name="web-2", namespace="shop"), status=status)


def config_map(record: bytes) -> dict[str, Any]:
    packed = base64.b64encode(gzip.compress(record, mtime=0)).decode()
    return {"metadata": {"name": "web-2-record"}, "binaryData": {"record.json.gz": packed}}


def test_a_failed_comparison_is_told_with_what_was_compared_and_its_replay(failed: tuple[Judgement, bytes]) -> None:
    judgement, record = failed
    text = "\n".join(explain_run(run_of(judgement), replayed(record)))
    for words in (
        "AnalysisRun web-2 is Failed: canary/stable ",
        "began at 2027-01-15T08:00:00Z and ended at 2027-01-15T08:02:00Z",
        'compared: e{pod=~"{{arms.pods}}"}',
        "tolerated: up to 400% worse than stable",
        "pods",
        "95% interval",
        "prior noise",
        f"The record {digest(record)} replays to:",
        "FAIL at ",
        "limit 100:1",
    ):
        assert words in text, text


def test_the_record_of_a_run_replays_to_its_status(failed: tuple[Judgement, bytes]) -> None:
    judgement, record = failed
    assert unpacked(config_map(record)) == record
    assert discrepancies(run_of(judgement).status, replayed(record)) == []


def test_a_record_of_another_digest_is_not_believed(failed: tuple[Judgement, bytes]) -> None:
    judgement, record = failed
    other = msgspec.json.decode(record)
    other["metrics"][0]["canary"]["events"][0][0] += 1.0
    changed = replayed(msgspec.json.encode(other, order="sorted"))
    assert "digest" in discrepancies(run_of(judgement).status, changed)[0]


def test_a_status_that_says_something_else_than_the_replay_is_told(failed: tuple[Judgement, bytes]) -> None:
    judgement, record = failed
    status = run_of(judgement).status
    assert status.comparison is not None
    forged = msgspec.structs.replace(status, comparison=msgspec.structs.replace(status.comparison, evidence="7"))
    assert discrepancies(forged, replayed(record)) == [
        f"evidence: the status says 7, the replay {status.comparison.evidence}"
    ]
    silent = msgspec.structs.replace(status, metric_results=())
    assert "no metric has the message" in discrepancies(silent, replayed(record))[0]


def test_a_record_with_something_beside_it_does_not_replay_bit_for_bit(failed: tuple[Judgement, bytes]) -> None:
    judgement, record = failed
    padded = record + b" "
    again = replayed(padded)
    assert not again.exact
    status = run_of(judgement).status
    assert status.comparison is not None
    named = msgspec.structs.replace(status.comparison, record_digest=again.digest)
    assert discrepancies(msgspec.structs.replace(status, comparison=named), again)


@pytest.mark.parametrize(
    "content",
    [{}, {"binaryData": {}}, {"binaryData": {"record.json.gz": "!"}}, {"binaryData": {"record.json.gz": "H4sIAAAA"}}],
)
def test_a_config_map_without_a_record_is_refused(content: dict[str, Any]) -> None:
    with pytest.raises(RecordError):
        unpacked({"metadata": {"name": "web-2-record"}, **content})


def test_a_record_that_unpacks_to_more_than_its_bound_is_refused() -> None:
    with pytest.raises(RecordError, match="at most"):
        unzipped(gzip.compress(b" " * (MAX_BYTES + 1)))


def test_an_ordinary_metric_is_told_with_its_conditions_and_last_measurements() -> None:
    metric = Metric(name="latency", provider=PROVIDER, success_condition="result < 1", failure_limit=1)
    seen = MetricResult(
        name="latency",
        phase=AnalysisPhase.FAILED,
        message="failed (2) > failureLimit (1)",
        failed=2,
        successful=1,
        measurements=tuple(
            Measurement(phase=AnalysisPhase.FAILED, value=str(n), finished_at=f"2027-01-15T08:00:0{n}Z")
            for n in range(5)
        ),
    )
    run = AnalysisRun(spec=spec(metric), status=AnalysisRunStatus(metric_results=(seen,)))
    text = "\n".join(explain_run(run, None))
    assert "latency: Failed: failed (2) > failureLimit (1)" in text
    assert "succeeds where: result < 1" in text
    assert "1 successful, 2 failed" in text
    assert "2027-01-15T08:00:04Z  Failed  4" in text
    assert "2027-01-15T08:00:01Z" not in text
    assert "It has not begun." in text


def test_a_record_in_a_file_is_explained_without_a_cluster(
    failed: tuple[Judgement, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, record = failed
    (tmp_path / "plain").write_bytes(record)
    (tmp_path / "packed").write_bytes(gzip.compress(record))
    for name in ("plain", "packed"):
        assert main(["analysis", "explain", "--file", str(tmp_path / name)]) == 0
        assert digest(record) in capsys.readouterr().out


@pytest.mark.parametrize("content", [None, b"", b"\x1f\x8b\x08broken", b"{}"])
def test_a_file_that_is_no_record_is_refused_in_one_line(
    content: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "record"
    if content is not None:
        path.write_bytes(content)
    assert main(["analysis", "explain", "--file", str(path)]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_replay_knows_its_digest(failed: tuple[Judgement, bytes]) -> None:
    judgement, record = failed
    assert replayed(record) == Replay(digest(record), judgement, exact=True)
