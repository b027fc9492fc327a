"""A verdict is explained from its run and its record, and a record that does not fit is not believed."""

import base64
import gzip
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
import pytest

from analysis.authoring.tracks import tracks_of
from analysis.comparison_spec import Comparison, CountsComparison, GaugeComparison, HistogramComparison
from analysis.judgement import Judgement
from analysis.provider_spec import MetricProvider, PrometheusMetric
from analysis.record import MAX_BYTES, RecordError, decode, digest
from analysis.run_comparison import assess, summarize
from analysis.run_spec import AnalysisRunSpec, AnalysisRunStatus, Measurement, MetricResult
from analysis.spec import Metric
from analysis.verdict import AnalysisPhase, Verdict
from rollout.api.analysis import AnalysisRun
from rollout.api.meta import ObjectMeta
from rollout.cli.explain import discrepancies, explain_run, replayed, unpacked, unzipped
from rollout.cli.explain_html import page
from rollout.cli.main import main
from rollout.cli.pictures import draw
from tests.support.recorded_runs import run_of as recorded

PROVIDER = MetricProvider(prometheus=PrometheusMetric(address="http://p", query="up"))
PODS = 'pod=~"{{arms.pods}}"'


def metric(name: str, **comparison: Any) -> Metric:
    return Metric(name=name, provider=PROVIDER, interval="30s", comparison=Comparison(**comparison))


def spec(*metrics: Metric) -> AnalysisRunSpec:
    errors = metric("errors", counts=CountsComparison(events=f"e{{{PODS}}}", total=f"t{{{PODS}}}"), tolerance="100%")
    return AnalysisRunSpec(metrics=metrics or (errors,))


@pytest.fixture(scope="module")
def failed() -> tuple[Judgement, bytes]:
    last = recorded("base:err_x5")
    record = last.record
    return replace(last.judgement, record_digest=digest(record)), record


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
        "tolerated: up to 100% worse than stable",
        "pods",
        "95% interval",
        "prior noise",
        f"The record {digest(record)} replays to:",
        "  FAIL ",
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
    other["metrics"][0]["blocks"][-1]["canary"]["amounts"][0][0] += 1.0
    changed = replayed(msgspec.json.encode(other, order="sorted"))
    assert "digest" in discrepancies(run_of(judgement).status, changed)[0]


def test_the_record_of_a_run_without_harm_replays_to_its_status_too() -> None:
    last = recorded("base:healthy")
    judgement = replace(last.judgement, record_digest=digest(last.record))
    assert judgement.verdict is not Verdict.FAIL
    result = MetricResult(name="errors", phase=AnalysisPhase.SUCCESSFUL)
    status = AnalysisRunStatus(
        phase=AnalysisPhase.SUCCESSFUL,
        metric_results=(result,),
        comparison=summarize(None, judgement, largest=0.4, ended=True),
    )
    assert discrepancies(status, replayed(last.record)) == []
    assert status.comparison is not None
    assert (status.comparison.record_digest, status.comparison.largest_log_evidence) == (digest(last.record), "0.4")


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


def test_words_of_a_stranger_do_not_steer_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = msgspec.json.decode(recorded("base:healthy").record)
    driver = {"feature": "\x1b]0;title\x07errors", "contrast": 3.0}
    seen = {"type": "\x1b[2J\x9b2J", "digest": "", "on_anomaly": "Pause", "budget": 0.02, "rollouts": 99}
    document["sentinel"] = {**seen, "score": 5.0, "threshold": 1.0, "p_value": 0.01, "drivers": [driver]}
    (tmp_path / "odd.json").write_bytes(msgspec.json.encode(document))
    main(["analysis", "explain", "--file", str(tmp_path / "odd.json")])
    (tmp_path / "odd.json").write_bytes(b"{}")
    main(["analysis", "explain", "--file", f"{tmp_path}/\x1b[2Jgone.json"])
    told = capsys.readouterr()
    assert "driven by \ufffd]0;title\ufffderrors" in told.out
    assert "\ufffd[2Jgone.json cannot be read" in told.err
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", told.out + told.err)


def test_a_replay_knows_its_digest(failed: tuple[Judgement, bytes]) -> None:
    judgement, record = failed
    again = replayed(record)
    assert (again.digest, again.seen, again.exact) == (digest(record), judgement, True)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (metric("m", counts=CountsComparison(events="e", exposure="PodSeconds")), "per:      pod and second"),
        (metric("m", histogram=HistogramComparison(buckets="b_bucket", tails=("250ms",))), "tails:    250ms"),
        (metric("m", gauge=GaugeComparison(query="g", type="Growth"), harm="9%"), "as:       its growth an hour"),
        (metric("m", gauge=GaugeComparison(query="g", load="l", type="Usage"), harm="9%"), "as:       per l"),
        (metric("m", gauge=GaugeComparison(query="g"), harm="9%"), "harm is:  from 9% on"),
        (metric("m", gauge=GaugeComparison(query="g"), direction="Decrease"), "worse is: less"),
    ],
)
def test_every_family_is_told_with_what_was_asked(asked: Metric, words: str, failed: tuple[Judgement, bytes]) -> None:
    judgement, _ = failed
    status = run_of(judgement).status
    named = msgspec.structs.replace(status.metric_results[0], name="m")
    run = AnalysisRun(spec=spec(asked), status=msgspec.structs.replace(status, metric_results=(named,)))
    assert words in "\n".join(explain_run(run, None))


def test_evidence_and_intervals_are_drawn_over_time(
    failed: tuple[Judgement, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judgement, record = failed
    (tmp_path / "r").write_bytes(record)
    assert main(["analysis", "explain", "--file", str(tmp_path / "r")]) == 0
    lines = capsys.readouterr().out.splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("evidence over"))
    assert "limit of 100:1" in lines[start]
    assert re.search(r"[█#] \d+:1$", lines[start + 1])
    assert "weight: 10% from 0 min" in lines[start + 2]
    ratio = judgement.metrics[0].ratio
    assert ratio is not None
    drawn = [line for line in lines if line.endswith(")") and "min" in line and " o" in line.replace("-o", " o")]
    assert any(f"{ratio:.3g}x (" in line for line in drawn)
    for name in ("errors", "latency, typical", "latency, slower than 0.25 s", "cpu", "memory"):
        assert any(line.startswith(f"{name}: evidence") for line in lines)


def test_a_terminal_without_block_characters_gets_plain_ones() -> None:
    tracks = tracks_of(decode(recorded("base:lat_+100%").record))
    assert all(line.isascii() for line in draw(tracks, fine=False))


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def test_the_page_draws_without_script_and_loads_nothing(
    failed: tuple[Judgement, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, record = failed
    (tmp_path / "r").write_bytes(record)
    assert main(["analysis", "explain", "--file", str(tmp_path / "r"), "--html", str(tmp_path / "r.html")]) == 0
    text = (tmp_path / "r.html").read_text()
    drawings = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    # One of the run, and two of each of the five parts.
    assert len(drawings) == 11
    for drawing in drawings:
        for element in ET.fromstring(drawing).iter():  # noqa: S314  Our own page.
            for place in ("x1", "x2", "y1", "y2", "cx", "cy"):
                assert 0 <= float(element.get(place, "0")) <= 860
    tags = Tags()
    tags.feed(text)
    assert not {tag for tag, _ in tags.seen} & {"script", "link", "img", "iframe", "object"}
    assert not any(name in {"src", "href"} or name.startswith("on") for _, given in tags.seen for name in given)
    assert main(["analysis", "explain", "--file", str(tmp_path / "r"), "--html", str(tmp_path)]) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_names_and_words_cannot_leave_their_place_in_the_page() -> None:
    tracks = tracks_of(decode(recorded("base:err_x5").record))
    hostile = replace(tracks, parts=(replace(tracks.parts[0], metric="<script>alert(1)</script>"),))
    text = page("<b>&", "</pre><script>", hostile)
    assert "<script" not in text
    assert "&lt;script&gt;alert" in text


def test_a_replay_prints_every_figure_and_fails_where_the_bytes_are_not_the_record(
    failed: tuple[Judgement, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judgement, record = failed
    (tmp_path / "r").write_bytes(record)
    assert main(["analysis", "explain", "--file", str(tmp_path / "r"), "--replay"]) == 0
    seen = msgspec.json.decode(capsys.readouterr().out)
    assert seen["record"] == digest(record)
    assert seen["judgement"] == msgspec.json.decode(msgspec.json.encode(judgement))
    (tmp_path / "r").write_bytes(record + b"\n")
    assert main(["analysis", "explain", "--file", str(tmp_path / "r"), "--replay"]) == 1
    assert "DOES NOT REPLAY" in capsys.readouterr().err
