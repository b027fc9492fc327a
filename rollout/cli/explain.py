"""What an AnalysisRun found, in words, metric by metric; and whether its record replays to the same. Pure."""

import base64
import binascii
import gzip
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.comparison_spec import Comparison
from analysis.explain import describe
from analysis.judgement import Judgement
from analysis.record import MAX_BYTES, Record, RecordError, decode, digest, replay
from analysis.run_comparison import summarize
from analysis.run_spec import AnalysisRunStatus, MetricResult, RunComparisonStatus
from analysis.spec import Metric
from analysis.verdict import Verdict
from rollout.api.analysis import AnalysisRun
from rollout.errors import CoalmineError

Json = dict[str, Any]

RECORD_KEY = "record.json.gz"
MEASUREMENTS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Replay:
    """A record that was judged again.

    Attributes:
        digest: of the bytes.
        seen: the judgement they give.
        exact: whether what was read of them gives the same bytes again.
        record: what was read.
    """

    digest: str
    seen: Judgement
    exact: bool
    record: Record


def unpacked(config_map: Json) -> bytes:
    """The record in a ConfigMap; raises RecordError where there is none, or one that is too large."""
    packed = (config_map.get("binaryData") or {}).get(RECORD_KEY)
    if packed is None:
        raise RecordError(f"ConfigMap {config_map['metadata']['name']} has no {RECORD_KEY}")
    try:
        return unzipped(base64.b64decode(packed, validate=True))
    except binascii.Error as error:
        raise RecordError(f"{RECORD_KEY} is not base64: {error}") from error


def unzipped(content: bytes) -> bytes:
    """A record as it was encoded, from a file that may be gzipped; raises RecordError above 16 MiB."""
    if not content.startswith(b"\x1f\x8b"):
        return content
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            text = file.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise RecordError(f"the record is not gzip: {error}") from error
    if len(text) > MAX_BYTES:
        raise RecordError(f"a record has at most {MAX_BYTES} bytes")
    return text


def read_record(path: Path) -> bytes:
    """A record in a file, gzipped or not; raises RecordError above 16 MiB, and CoalmineError."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise CoalmineError(f"{path} cannot be read: {error.strerror}") from error
    return unzipped(content)


def replayed(record: bytes) -> Replay:
    """The record judged again; raises RecordError where it is none."""
    kept = decode(record)
    return Replay(digest(record), replay(record), kept.encoded() == record, kept)


def discrepancies(status: AnalysisRunStatus, again: Replay) -> list[str]:
    """Where the record and the status differ; none where the record replays to what the status says."""
    published = status.comparison or RunComparisonStatus()
    if published.record_digest != again.digest:
        return [f"the record has digest {again.digest}, the status names {published.record_digest or 'none'}"]
    fresh = summarize(None, again.seen)
    found = [] if again.exact else ["the record has more in it than a judgement reads"]
    failed = again.seen.verdict is Verdict.FAIL
    if failed and not any(again.seen.explanation in result.message for result in status.metric_results):
        found.append(f"no metric has the message of the replay: {again.seen.explanation}")
    pairs = (
        ("verdict", published.verdict, fresh.verdict),
        ("evidence", published.evidence, fresh.evidence),
        ("evidence limit", published.evidence_limit, fresh.evidence_limit),
        ("certified", published.certified, fresh.certified),
    )
    return found + [f"{name}: the status says {told}, the replay {now}" for name, told, now in pairs if told != now]


def explain_run(run: AnalysisRun, again: Replay | None) -> list[str]:
    """The run in words.

    Args:
        run: the AnalysisRun.
        again: its record, judged again; None where none was kept.
    """
    status = run.status
    head = f"AnalysisRun {run.metadata.name} is {status.phase}" + (f": {status.message}" if status.message else "")
    lines = [head, _times(status)]
    sentinel = status.comparison.sentinel if status.comparison else None
    if sentinel is not None:
        lines.append(f"At {sentinel.anomaly_at} {sentinel.message}" if sentinel.anomaly_at else sentinel.message)
    for result in status.metric_results:
        metric = next((m for m in run.spec.metrics if m.name == result.name), None)
        lines += ["", *_metric(result, metric)]
    if again is not None:
        lines += ["", *explain_record(again)]
    return lines


def explain_record(again: Replay) -> list[str]:
    """The judgement that a record gives, metric by metric."""
    return [f"The record {again.digest} replays to:", *(f"  {line}" for line in describe(again.seen).splitlines())]


def _times(status: AnalysisRunStatus) -> str:
    if not status.started_at:
        return "It has not begun."
    ended = f" and ended at {status.completed_at}" if status.completed_at else ""
    return f"It began at {status.started_at}{ended}."


def _metric(result: MetricResult, metric: Metric | None) -> Iterator[str]:
    """What was compared, what came out, and the conditions it was held against."""
    dry = " (dry run, decides nothing)" if result.dry_run else ""
    yield f"{result.name}{dry}: {result.phase}" + (f": {result.message}" if result.message else "")
    if result.comparison is not None:
        yield from _comparison(result, metric)
    else:
        yield from _conditions(result, metric)


def _comparison(result: MetricResult, metric: Metric | None) -> Iterator[str]:
    seen, compared = result.comparison, metric.comparison if metric else None
    if compared is not None:
        yield from _compared(compared)
    if seen is None:
        return
    for name, arm in (("canary", seen.canary), ("stable", seen.stable)):
        if arm is not None:
            yield f"  {name}:   {arm.events} of {arm.total}, {arm.pods} pods"
    if seen.ratio and seen.interval:
        yield f"  canary/stable: {seen.ratio}x, 95% interval {seen.interval.lower} to {seen.interval.upper}"
    yield f"  evidence: {seen.evidence}:1 against no harm" + (", learned noise" if seen.certified else ", prior noise")
    if seen.proven:
        yield "  proven: worse than tolerated is excluded at the present weight"
    if seen.no_data_since:
        yield f"  no data since {seen.no_data_since}"


def _compared(asked: Comparison) -> Iterator[str]:
    """What was asked of Prometheus, and from when on it is harm."""
    if asked.counts is not None:
        yield f"  compared: {asked.counts.events}"
        yield f"  per:      {asked.counts.total or 'pod and second'}"
    if asked.histogram is not None:
        yield f"  compared: {asked.histogram.buckets}"
        yield f"  tails:    {', '.join(asked.histogram.tails) or 'those of the FailureModel'}"
    if asked.gauge is not None:
        kinds = {"Level": "its level", "Growth": "its growth an hour", "Usage": f"per {asked.gauge.load}"}
        yield f"  compared: {asked.gauge.query}"
        yield f"  as:       {kinds[asked.gauge.type]}"
    if asked.direction != "Increase":
        yield f"  worse is: {'less' if asked.direction == 'Decrease' else 'any difference'}"
    if asked.harm:
        yield f"  harm is:  from {asked.harm} on"
    if asked.tolerance:
        yield f"  tolerated: up to {asked.tolerance} worse than stable"


def _conditions(result: MetricResult, metric: Metric | None) -> Iterator[str]:
    if metric is not None and metric.success_condition:
        yield f"  succeeds where: {metric.success_condition}"
    if metric is not None and metric.failure_condition:
        yield f"  fails where:    {metric.failure_condition}"
    counts = {
        "successful": result.successful,
        "failed": result.failed,
        "inconclusive": result.inconclusive,
        "error": result.error,
    }
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    yield f"  measured: {told or 'nothing yet'}"
    for measurement in result.measurements[-MEASUREMENTS_SHOWN:]:
        words = f": {measurement.message}" if measurement.message else ""
        at = measurement.finished_at or measurement.started_at
        yield f"    {at}  {measurement.phase}  {measurement.value}{words}"
