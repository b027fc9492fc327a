"""The record of a judgement: versioned canonical JSON that replays to the same judgement, bit for bit.

It holds blocks, not samples: what every pod of both arms did in every two minutes. So it can also be drawn over time,
and judged again by another template.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from analysis.errors import CoalmineError
from analysis.evidence.block import ArmBlock, Block
from analysis.evidence.metric_parts import MetricNoise
from analysis.evidence.metric_state import Piece, RawCounts
from analysis.evidence.noise import Noise
from analysis.judge import Facts, Running, RunState, begin_run, conclude, replayed
from analysis.judgement import DataState, Judgement, WeightChange
from analysis.packed_looks import PackedLooks
from analysis.rules import CountsRule, Direction, GaugeRule, HistogramRule, MetricRule, RunRules
from analysis.sentinel_seen import DRIVERS_MAX, SentinelSeen
from analysis.sentinel_verdict import with_sentinel

VERSION = 2
MAX_BYTES = 16 * 1024 * 1024
MAX_BLOCKS = 20_000
"""Of one metric: four weeks of blocks of two minutes."""


class RecordError(CoalmineError):
    """A record that cannot be kept or read."""


class _Arm(msgspec.Struct, frozen=True):
    pods: list[str]
    seconds: list[float]
    amounts: list[list[float]]


class _Piece(msgspec.Struct, frozen=True):
    first: int
    windows: int
    interval_seconds: float
    bounds: list[float]
    evenness: list[Annotated[float, msgspec.Meta(gt=0, le=1)]]
    canary: _Arm
    stable: _Arm
    raw: tuple[float, float, int, float, float]
    weight_percent: int | None


class _Noise(msgspec.Struct, frozen=True):
    main: dict[str, Any]
    tails: list[tuple[float, dict[str, Any]]]


class _Metric(msgspec.Struct, frozen=True):
    name: str
    noise: _Noise
    blocks: list[msgspec.Raw]
    running: msgspec.Raw
    state: str
    no_data_since: float | None
    problems: list[str]


class _Rule(msgspec.Struct, frozen=True):
    name: str
    interval_seconds: Annotated[float, msgspec.Meta(gt=0)]
    harm: Annotated[float, msgspec.Meta(ge=0)]
    direction: Direction
    tolerance: Annotated[float, msgspec.Meta(gt=0)] | None
    budget_weight: Annotated[int, msgspec.Meta(ge=1, le=1000)]
    pod_label: str
    initial_delay_seconds: float
    dry_run: bool


class _Record(msgspec.Struct, frozen=True):
    version: Literal[2]
    budget: float
    limit_raise: float
    warm_up_seconds: float
    weight_increases: Annotated[int, msgspec.Meta(ge=1, le=1000)]
    rules: list[dict[str, Any]]
    started_at: float
    at: float
    weights: list[tuple[float, int]] | None
    guard: str
    metrics: list[_Metric]
    sentinel: SentinelSeen | msgspec.UnsetType = msgspec.UNSET
    """What it saw, as it was told: its artefact is not in the record. Absent without one."""


@dataclass
class RunRecorder:
    """Keeps the finished blocks of a run, packed; a run of hours needs some tens of kilobytes.

    More than a record can hold is not kept.
    """

    _looks: PackedLooks = field(default_factory=PackedLooks)
    _bytes: int = 0

    def add(self, finished: Mapping[str, tuple[Piece, ...]]) -> None:
        """Keep blocks that were finished at a look."""
        found = {name: [msgspec.Raw(_piece_bytes(piece)) for piece in some] for name, some in finished.items() if some}
        if found and self._bytes <= MAX_BYTES:
            self._looks.add(msgspec.json.encode(found))
            self._bytes += sum(len(bytes(block)) for some in found.values() for block in some)

    def __len__(self) -> int:
        """How many looks left something."""
        return len(self._looks)

    def encode(
        self,
        state: RunState,
        facts: Facts,
        running: Mapping[str, Running],
        sentinel: SentinelSeen | None = None,
        looks: int | None = None,
    ) -> bytes:
        """Return the record of what a judgement was made of; raises RecordError where it would be too large.

        Args:
            state: of the run.
            facts: of the look.
            running: blocks at the look.
            sentinel: what it saw.
            looks: how many there were that had left something; None for all.
        """
        if self._bytes > MAX_BYTES:
            raise RecordError(f"the record would have more than {self._bytes} bytes; at most {MAX_BYTES} are kept")
        finished: dict[str, list[msgspec.Raw]] = {name: [] for name in state.metrics}
        for look in islice(self._looks, looks):
            for name, blocks in msgspec.json.decode(look, type=dict[str, list[msgspec.Raw]]).items():
                finished[name] += blocks
        return _encode(state, facts, running, finished, sentinel)


def _encode(
    state: RunState,
    facts: Facts,
    running: Mapping[str, Running],
    finished: Mapping[str, list[msgspec.Raw]],
    sentinel: SentinelSeen | None,
) -> bytes:
    record = _Record(
        version=2,
        budget=state.rules.budget,
        limit_raise=state.limit_raise,
        warm_up_seconds=state.rules.warm_up_seconds,
        weight_increases=state.rules.weight_increases,
        rules=[_rule(rule) for rule in state.rules.rules],
        started_at=state.started_at,
        at=facts.at,
        weights=None if facts.weights is None else [(change.at, change.percent) for change in facts.weights],
        guard=facts.guard,
        metrics=[_metric(state, name, running[name], finished[name]) for name in state.metrics],
        sentinel=msgspec.UNSET if sentinel is None else sentinel,
    )
    encoded = msgspec.json.encode(record, order="sorted")
    if len(encoded) > MAX_BYTES:
        raise RecordError(f"the record would have {len(encoded)} bytes; at most {MAX_BYTES} are kept")
    return encoded


def _metric(state: RunState, name: str, running: Running, blocks: list[msgspec.Raw]) -> _Metric:
    if len(blocks) > MAX_BLOCKS:
        raise RecordError(f'metric "{name}" has {len(blocks)} blocks; a record keeps at most {MAX_BLOCKS}')
    noise = state.metrics[name].noise
    return _Metric(
        name=name,
        noise=_Noise(
            msgspec.to_builtins(noise.main),
            [(bound, msgspec.to_builtins(tail)) for bound, tail in sorted(noise.tails.items())],
        ),
        blocks=blocks,
        running=msgspec.Raw(b"null" if running.piece is None else _piece_bytes(running.piece)),
        state=running.state.value,
        no_data_since=running.no_data_since,
        problems=[*running.problems],
    )


def digest(encoded: bytes) -> str:
    """Return the digest by which statuses name a record."""
    return f"sha256:{hashlib.sha256(encoded).hexdigest()}"


@contextmanager
def judging() -> Iterator[None]:
    """Bear numbers that no run has seen, as of a record by hand; raises RecordError where they give no judgement."""
    try:
        with np.errstate(all="ignore"):
            yield
    except (ArithmeticError, ValueError, IndexError) as error:
        raise RecordError(f"the record cannot be judged: {str(error)[:200]}") from error


@dataclass(frozen=True)
class Record:
    """What a judgement was made of.

    Attributes:
        begun: the run before its first block.
        finished: blocks by metric, in order.
        running: the running block of each metric at the look.
        sentinel: what an anomaly detector saw then; None without one.
    """

    begun: RunState
    facts: Facts
    finished: Mapping[str, tuple[Piece, ...]]
    running: Mapping[str, Running]
    sentinel: SentinelSeen | None = None

    def judged(self) -> Judgement:
        """Return the judgement of the look; raises RecordError where the record's numbers give none."""
        with judging():
            state = replayed(self.begun, self.facts, self.finished)
            return with_sentinel(conclude(state, self.facts, self.running), self.sentinel)

    def encoded(self) -> bytes:
        """Return the record's bytes again: the same ones where nothing else was in them."""
        blocks = {name: [msgspec.Raw(_piece_bytes(piece)) for piece in found] for name, found in self.finished.items()}
        return _encode(self.begun, self.facts, self.running, blocks, self.sentinel)


def decode(encoded: bytes) -> Record:
    """Return what the judgement was made of; raises RecordError where the bytes are no record of this version."""
    if len(encoded) > MAX_BYTES:
        raise RecordError(f"a record has at most {MAX_BYTES} bytes")
    try:
        return _decoded(msgspec.json.decode(encoded, type=_Record))
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, KeyError, OverflowError, RecursionError) as error:
        raise RecordError(f"this is no record of version {VERSION}: {str(error)[:300]}") from error


def replay(encoded: bytes) -> Judgement:
    """Judge a record again; raises RecordError where the bytes are no record of this version."""
    return replace(decode(encoded).judged(), record_digest=digest(encoded))


def _decoded(record: _Record) -> Record:
    rules = tuple(_read_rule(rule) for rule in record.rules)
    names = [metric.name for metric in record.metrics]
    if [rule.name for rule in rules] != names or len(set(names)) != len(names):
        raise RecordError("the record's rules and metrics differ")
    _finite(record.budget, record.limit_raise, record.started_at, record.at)
    if not 0 < record.budget <= 0.5:
        raise RecordError("the record's budget lies outside of 0 to 50 %")
    run = RunRules(record.budget, record.warm_up_seconds, record.weight_increases, rules)
    noises = {metric.name: _noise(metric.noise) for metric in record.metrics}
    weights = None if record.weights is None else tuple(WeightChange(at, percent) for at, percent in record.weights)
    return Record(
        begun=begin_run(run, record.started_at, noises, record.limit_raise),
        facts=Facts(record.at, weights, record.guard),
        finished={m.name: tuple(_piece(block) for block in m.blocks[:MAX_BLOCKS]) for m in record.metrics},
        running={m.name: _running(m) for m in record.metrics},
        sentinel=None if record.sentinel is msgspec.UNSET else _sentinel(record.sentinel),
    )


_FAMILIES: dict[str, type[CountsRule | HistogramRule | GaugeRule]] = {
    "Counts": CountsRule,
    "Histogram": HistogramRule,
    "Gauge": GaugeRule,
}


def _rule(rule: MetricRule) -> dict[str, Any]:
    kind = next(name for name, known in _FAMILIES.items() if isinstance(rule.family, known))
    return {**msgspec.to_builtins(rule), "family": {kind: msgspec.to_builtins(rule.family)}}


def _read_rule(kept: dict[str, Any]) -> MetricRule:
    family = kept.pop("family", None)
    if not isinstance(family, dict) or len(family) != 1:
        raise RecordError("a rule of the record names no family")
    kind, fields = next(iter(family.items()))
    if kind not in _FAMILIES:
        raise RecordError(f"a rule of the record has the family {str(kind)[:40]!r}")
    plain = msgspec.convert(kept, _Rule, strict=True)
    return MetricRule(family=msgspec.convert(fields, _FAMILIES[kind]), **msgspec.structs.asdict(plain))


def _finite(*numbers: float) -> None:
    if not all(math.isfinite(number) for number in numbers):
        raise RecordError("a number of the record is not finite")


def _noise(noise: _Noise) -> MetricNoise:
    main = msgspec.convert(noise.main, Noise)
    tails = {bound: msgspec.convert(tail, Noise) for bound, tail in noise.tails}
    for one in (main, *tails.values()):
        _finite(one.omega2, one.tau2, one.elasticity, one.elasticity_error, *(one.usage or ()))
        if min(one.omega2, one.tau2) < 0:
            raise RecordError("a variance of the record is negative")
    return MetricNoise(main, tails)


def _sentinel(seen: SentinelSeen) -> SentinelSeen:
    if len(seen.drivers) > DRIVERS_MAX:
        raise RecordError(f"the record's sentinel has {len(seen.drivers)} drivers; at most {DRIVERS_MAX} are named")
    threshold = () if seen.threshold is None else (seen.threshold,)
    _finite(seen.budget, seen.score, seen.p_value, *threshold, *(driver.contrast for driver in seen.drivers))
    if not 0 < seen.budget < 1:
        raise RecordError("the budget of the record's sentinel is no ratio")
    return seen


def _running(metric: _Metric) -> Running:
    piece = None if bytes(metric.running) == b"null" else _piece(metric.running)
    return Running(piece, DataState(metric.state), metric.no_data_since, tuple(metric.problems))


def _piece_bytes(piece: Piece) -> bytes:
    block, raw = piece.block, piece.raw
    return msgspec.json.encode(
        _Piece(
            first=block.first,
            windows=block.windows,
            interval_seconds=block.interval_seconds,
            bounds=[*block.bounds],
            evenness=[*block.evenness],
            canary=_arm(block.canary),
            stable=_arm(block.stable),
            raw=(raw.canary_events, raw.canary_total, raw.canary_windows, raw.stable_events, raw.stable_total),
            weight_percent=piece.weight_percent,
        ),
        order="sorted",
    )


def _arm(arm: ArmBlock) -> _Arm:
    return _Arm([*arm.pods], arm.seconds.tolist(), arm.amounts.tolist())


def _piece(encoded: msgspec.Raw) -> Piece:
    kept = msgspec.json.decode(encoded, type=_Piece)
    columns = {len(row) for arm in (kept.canary, kept.stable) for row in arm.amounts}
    if len(columns) > 1:
        raise RecordError("the rows of a block differ in length")
    width = columns.pop() if columns else max(len(kept.bounds) + 1, 2)
    block = Block(
        canary=_arm_block(kept.canary, width),
        stable=_arm_block(kept.stable, width),
        first=kept.first,
        windows=kept.windows,
        interval_seconds=kept.interval_seconds,
        bounds=tuple(kept.bounds),
        evenness=tuple(kept.evenness),
    )
    return Piece(block, RawCounts(*kept.raw), kept.weight_percent)


def _arm_block(arm: _Arm, width: int) -> ArmBlock:
    if not len(arm.pods) == len(arm.seconds) == len(arm.amounts):
        raise RecordError("an arm of a block has rows without a pod, or pods without a row")
    amounts = np.asarray(arm.amounts, dtype=np.float64).reshape(len(arm.pods), width)
    return ArmBlock(tuple(arm.pods), np.asarray(arm.seconds, dtype=np.float64), amounts)
