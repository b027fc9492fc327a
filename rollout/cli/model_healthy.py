"""`coalmine model fit --healthy`: how large the evidence became in releases that were promoted and stayed healthy."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from analysis.authoring.timeline import timeline
from analysis.failure_model_spec import Calibration
from analysis.model.calibrate import limit_raise
from analysis.model.decimals import decimal_text, parse_decimal
from analysis.model.validate import ROLLOUTS_MAX
from analysis.percent import format_percent
from analysis.phrases import counted, odds
from analysis.record import RecordError, decode, digest
from analysis.run_spec import MetricResult
from analysis.verdict import AnalysisPhase, Verdict
from rollout.api.analysis import AnalysisRun
from rollout.api.failuremodel import FailureModel
from rollout.api.keys import RUN_TYPE
from rollout.api.rollout import Rollout
from rollout.cli.explain import unzipped
from rollout.cli.model_history import Question
from rollout.cli.template_files import FileError

Json = dict[str, Any]

FILES_MAX = 10_000
FILE_BYTES_MAX = 64 * 1024 * 1024
SUFFIXES = (".json", ".gz")
_FIELD = "calibration.healthyRollouts"
_NO_DATA = "without data of the canary"


@dataclass
class Given:
    """What the files hold.

    Attributes:
        runs: by uid; of one that is there twice, the one of the later file.
        stable: hashes of the versions that Rollouts call stable, by namespace and name.
        records: by digest.
    """

    runs: dict[str, AnalysisRun] = field(default_factory=dict)
    stable: set[tuple[str, str, str]] = field(default_factory=set)
    records: dict[str, "Recorded"] = field(default_factory=dict)


@dataclass(frozen=True)
class Recorded:
    """What the looks of a record saw.

    Attributes:
        largest: log evidence.
        unfit: why it does not count; empty where it does.
    """

    largest: float
    unfit: str = ""


@dataclass(frozen=True)
class Healthy:
    """The releases that count.

    Attributes:
        values: largest log evidence of each, ascending.
        left_out: how many do not count, by the reason.
    """

    values: tuple[float, ...]
    left_out: Counter[str]


def with_healthy(model: FailureModel, question: Question, given: Given) -> tuple[FailureModel, list[str]]:
    """Put the evidence of healthy releases into a model's calibration; also what is to be told of them.

    Raises:
        InvalidSpec: a run's evidence, or what it counted, is no number.
    """
    found = selected(given, question.namespace, question.rollout)
    values = tuple(decimal_text(value, f"{_FIELD}[{index}]") for index, value in enumerate(found.values))
    calibration = msgspec.structs.replace(model.spec.calibration or Calibration(), healthy_rollouts=values)
    training = msgspec.structs.replace(model.spec.training, healthy_rollouts=len(values))
    spec = msgspec.structs.replace(model.spec, calibration=calibration, training=training)
    words = _words(found, calibration, question.metrics.rules.budget)
    return msgspec.structs.replace(model, spec=spec), list(words)


def read_healthy(paths: Sequence[Path]) -> Given:
    """Read files, and those of folders that end in .json or .gz; raises FileError and RecordError."""
    given = Given()
    for count, path in enumerate(_files(paths)):
        if count == FILES_MAX:
            raise FileError(f"more than {FILES_MAX} files are given; leave out the oldest")
        _read(path, given)
    return given


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(one for one in path.iterdir() if one.suffix in SUFFIXES and one.is_file())
        else:
            yield path


def _read(path: Path, given: Given) -> None:
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}") from error
    if len(content) > FILE_BYTES_MAX:
        raise FileError(f"{path} has more than {FILE_BYTES_MAX} bytes; keep fewer runs in a file")
    try:
        content = unzipped(content)
        document = msgspec.json.decode(content)
        if isinstance(document, dict) and "kind" not in document:
            given.records[digest(content)] = _recorded(content)
            return
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FileError(f"{path} is no JSON; write runs with `kubectl get analysisruns,rollouts -o json`") from error
    except RecordError as error:
        raise RecordError(f"{path}: {error}") from error
    for place, obj in enumerate(_objects(document, path)):
        _take_in(obj, f"{path}: item {place}", given)


def _recorded(record: bytes) -> Recorded:
    looks = [moment.judgement for moment in timeline(decode(record))]
    largest = max(look.log_evidence for look in looks)
    if any(look.verdict is Verdict.FAIL for look in looks):
        return Recorded(largest, "failed")
    has_data = any(metric.canary.total > 0 for metric in looks[-1].metrics if not metric.dry_run)
    return Recorded(largest, "" if has_data else _NO_DATA)


def _objects(document: object, path: Path) -> Iterable[object]:
    if not isinstance(document, dict):
        raise FileError(f"{path} has neither a record nor AnalysisRuns")
    items = document.get("items") if str(document["kind"]).endswith("List") else [document]
    if not isinstance(items, list):
        raise FileError(f"{path} is a list without items")
    return items


def _take_in(obj: object, title: str, given: Given) -> None:
    kind = obj.get("kind") if isinstance(obj, dict) else None
    try:
        if kind == "AnalysisRun":
            run = msgspec.convert(obj, AnalysisRun)
            given.runs[run.metadata.uid or f"{run.metadata.namespace}/{run.metadata.name}"] = run
        elif kind == "Rollout":
            live = msgspec.convert(obj, Rollout)
            given.stable.add((live.metadata.namespace, live.metadata.name, live.status.stable_rs))
    except msgspec.ValidationError as error:
        raise FileError(f"{title}, {kind}: {str(error)[:200]}") from error


def selected(given: Given, namespace: str, rollout: str) -> Healthy:
    """Choose the releases of a Rollout that were promoted and not taken back; records are taken at their word.

    A release was promoted where another run, or the Rollout's status, calls its version stable. It was taken back
    where a later release went from it to the version that it had replaced.
    """
    runs = [run for run in given.runs.values() if _is_of(run, namespace, rollout)]
    stable = {_hashes(run)[1] for run in runs}
    stable |= {pod_hash for space, name, pod_hash in given.stable if (space, name) == (namespace, rollout)}
    changes = {_hashes(run): _began(run) for run in sorted(runs, key=_began)}
    values: dict[str, float] = {}
    left_out: Counter[str] = Counter()
    for uid, run in given.runs.items():
        if not _is_of(run, namespace, rollout):
            continue
        comparison = run.status.comparison
        reason = _unfit(run, stable, changes)
        if reason or comparison is None:
            left_out[reason] += 1
            continue
        name = f"AnalysisRun {run.metadata.name}: status.comparison.largestLogEvidence"
        values[comparison.record_digest or uid] = parse_decimal(comparison.largest_log_evidence, name)
    for key, record in given.records.items():
        if record.unfit:
            left_out[record.unfit] += 1
        else:
            values.setdefault(key, record.largest)
    newest = list(values.values())[-ROLLOUTS_MAX:]
    return Healthy(tuple(sorted(newest)), left_out)


def _is_of(run: AnalysisRun, namespace: str, rollout: str) -> bool:
    owned = any((owner.kind, owner.name) == ("Rollout", rollout) for owner in run.metadata.owner_references)
    return owned and run.metadata.namespace == namespace and run.metadata.labels.get(RUN_TYPE) == "Background"


def _hashes(run: AnalysisRun) -> tuple[str, str]:
    """The versions of the canary and of stable."""
    arms = run.spec.comparison.arms if run.spec.comparison else None
    return (arms.canary.pod_template_hash, arms.stable.pod_template_hash) if arms else ("", "")


def _began(run: AnalysisRun) -> str:
    """When the API server took it, in RFC 3339 of one form, which sorts by time."""
    return run.metadata.creation_timestamp


def _unfit(run: AnalysisRun, stable: set[str], changes: dict[tuple[str, str], str]) -> str:
    """Why a release does not count; empty where it does.

    Args:
        run: of the release.
        stable: versions that were promoted.
        changes: when the last release of each kind began, by the versions of its canary and of stable.
    """
    canary, replaced = _hashes(run)
    if not run.status.phase.completed:
        return "still running"
    if run.status.phase in (AnalysisPhase.FAILED, AnalysisPhase.ERROR):
        return "failed"
    if run.status.comparison is None or not run.status.comparison.largest_log_evidence:
        return "without evidence in its status"
    if canary not in stable:
        return "not known to be promoted"
    if changes.get((replaced, canary), "") > _began(run):
        return "taken back"
    return "" if _has_data(run) else _NO_DATA


def _has_data(run: AnalysisRun) -> bool:
    """Whether a metric that counts saw anything of the canary: else evidence of nothing says nothing of harm."""
    return any(_canary_total(run, result) > 0 for result in run.status.metric_results if not result.dry_run)


def _canary_total(run: AnalysisRun, result: MetricResult) -> float:
    if result.comparison is None or result.comparison.canary is None:
        return 0.0
    name = f"AnalysisRun {run.metadata.name}: comparison.canary.total of {result.name}"
    return parse_decimal(result.comparison.canary.total, name)


def _words(found: Healthy, calibration: Calibration, budget: float) -> Iterator[str]:
    count, needed = len(found.values), math.ceil(1 / budget) - 1
    if count:
        yield f"in {counted(count, 'healthy release')} the evidence of harm reached {odds(found.values[-1])}:1 at most"
    else:
        yield "no healthy release was found"
    told = ", ".join(f"{number} {reason}" for reason, number in sorted(found.left_out.items()))
    if told:
        yield f"  left out: {told}"
    if count < needed:
        yield f"  they raise no limit before there are {needed} (budget {format_percent(budget)})"
        return
    raised = limit_raise(calibration, budget)
    rises = f"rises to {odds(raised - math.log(budget))}:1" if raised > 0 else "stays where it is"
    yield f"  the limit of {odds(-math.log(budget))}:1 {rises} (budget {format_percent(budget)})"
