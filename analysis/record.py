"""The record of a judgement: versioned canonical JSON that replays to the same judgement, bit for bit."""

import hashlib
from dataclasses import replace
from typing import Any, Literal

import msgspec
import numpy as np

from analysis.errors import CoalmineError
from analysis.evidence.noise import Noise
from analysis.evidence.special import FloatArray
from analysis.evidence.windows import ArmWindows, CountWindows
from analysis.judge import RunData, judge
from analysis.judgement import DataState, Judgement
from analysis.rules import CountsRule, RunRules
from analysis.series.prepare import MetricData

VERSION = 1
MAX_BYTES = 16 * 1024 * 1024


class RecordError(CoalmineError):
    """A record that cannot be kept or read."""


class _Arm(msgspec.Struct, frozen=True):
    events: list[list[float]]
    totals: list[list[float]]
    seconds: list[list[float]]


class _Metric(msgspec.Struct, frozen=True):
    name: str
    interval: float
    windows: int
    canary: _Arm
    stable: _Arm
    raw_canary: _Arm
    raw_stable: _Arm
    state: str
    no_data_since: float | None
    problems: list[str]
    omega2: float
    tau2: float
    noise_source: str


class _Record(msgspec.Struct, frozen=True):
    version: Literal[1]
    budget: float
    warm_up_seconds: float
    weight_increases: int
    rules: list[dict[str, Any]]
    started_at: float
    at: float
    starts: list[float]
    proof_from: float
    weight_percent: int | None
    guard: str
    metrics: list[_Metric]


def encode(data: RunData) -> bytes:
    """Return the record of what a judgement was made of; raises RecordError where it is larger than 16 MiB."""
    record = _Record(
        version=1,
        budget=data.rules.budget,
        warm_up_seconds=data.rules.warm_up_seconds,
        weight_increases=data.rules.weight_increases,
        rules=[msgspec.to_builtins(rule) for rule in data.rules.rules],
        started_at=data.started_at,
        at=data.at,
        starts=[*data.starts],
        proof_from=data.proof_from,
        weight_percent=data.weight_percent,
        guard=data.guard,
        metrics=[_metric(rule, data.metrics[rule.name], data.noises[rule.name]) for rule in data.rules.rules],
    )
    encoded = msgspec.json.encode(record, order="sorted")
    if len(encoded) > MAX_BYTES:
        raise RecordError(f"the record would have {len(encoded)} bytes; at most {MAX_BYTES} are kept")
    return encoded


def digest(encoded: bytes) -> str:
    """Return the digest by which statuses name a record."""
    return f"sha256:{hashlib.sha256(encoded).hexdigest()}"


def decode(encoded: bytes) -> RunData:
    """Return what the judgement was made of; raises RecordError where the bytes are no record of this version."""
    if len(encoded) > MAX_BYTES:
        raise RecordError(f"a record has at most {MAX_BYTES} bytes")
    try:
        record = msgspec.json.decode(encoded, type=_Record)
        rules = tuple(msgspec.convert(rule, CountsRule) for rule in record.rules)
        metrics = {m.name: _metric_data(m) for m in record.metrics}
    except (msgspec.DecodeError, msgspec.ValidationError, ValueError) as error:
        raise RecordError(f"this is no record of version {VERSION}: {error}") from error
    if {rule.name for rule in rules} != metrics.keys():
        raise RecordError("the record's rules and metrics differ")
    return RunData(
        rules=RunRules(record.budget, record.warm_up_seconds, record.weight_increases, rules),
        started_at=record.started_at,
        at=record.at,
        starts=tuple(record.starts),
        proof_from=record.proof_from,
        weight_percent=record.weight_percent,
        guard=record.guard,
        metrics=metrics,
        noises={m.name: Noise(m.omega2, m.tau2, m.noise_source) for m in record.metrics},
    )


def replay(encoded: bytes) -> Judgement:
    """Judge a record again; raises RecordError where the bytes are no record of this version."""
    return replace(judge(decode(encoded)), record_digest=digest(encoded))


def _metric(rule: CountsRule, data: MetricData, noise: Noise) -> _Metric:
    return _Metric(
        name=rule.name,
        interval=rule.interval_seconds,
        windows=data.windows.canary.totals.shape[1],
        canary=_arm(data.windows.canary),
        stable=_arm(data.windows.stable),
        raw_canary=_arm(data.raw.canary),
        raw_stable=_arm(data.raw.stable),
        state=data.state.value,
        no_data_since=data.no_data_since,
        problems=[*data.problems],
        omega2=noise.omega2,
        tau2=noise.tau2,
        noise_source=noise.source,
    )


def _arm(arm: ArmWindows) -> _Arm:
    return _Arm(arm.events.tolist(), arm.totals.tolist(), arm.seconds.tolist())


def _metric_data(metric: _Metric) -> MetricData:
    def counts(canary: _Arm, stable: _Arm) -> CountWindows:
        return CountWindows(_arm_windows(canary, metric.windows), _arm_windows(stable, metric.windows), metric.interval)

    return MetricData(
        windows=counts(metric.canary, metric.stable),
        raw=counts(metric.raw_canary, metric.raw_stable),
        state=DataState(metric.state),
        no_data_since=metric.no_data_since,
        problems=tuple(metric.problems),
    )


def _arm_windows(arm: _Arm, windows: int) -> ArmWindows:
    return ArmWindows(*(_matrix(rows, windows) for rows in (arm.events, arm.totals, arm.seconds)))


def _matrix(rows: list[list[float]], windows: int) -> FloatArray:
    return np.asarray(rows, dtype=np.float64).reshape(len(rows), windows)
