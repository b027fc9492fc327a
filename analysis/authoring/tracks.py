"""A record as lines over time: evidence and ratio of every part, to be drawn."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from analysis.authoring.timeline import Moment, spread, timeline
from analysis.evidence.likelihood import Estimate
from analysis.evidence.metric_state import MetricState, Piece
from analysis.judgement import PartJudgement, WeightChange
from analysis.record import Record
from analysis.rules import MetricRule, family_name

MOMENTS_MAX = 240
"""A picture has no more points than a reader can tell apart: eight hours of blocks of two minutes."""


@dataclass(frozen=True)
class Point:
    """A ratio and its interval at a moment; ratios are canary/stable, of Growth an hour's factor."""

    minutes: float
    ratio: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Track:
    """One part of a metric over time.

    Attributes:
        label: of the part; empty where the metric has one only.
        log_odds: of this part alone against no harm, with its share of the budget taken off, by moment.
        known: what all blocks so far say, by moment, where they say anything.
        blocks: what each block says alone.
        harm: the ratio that is harm; below 1 where a decrease is.
        tolerance: the ratio that `verify` wants excluded; None where not asked.
    """

    metric: str
    label: str
    family: str
    minutes: tuple[float, ...]
    log_odds: tuple[float, ...]
    known: tuple[Point, ...]
    blocks: tuple[Point, ...]
    harm: float
    tolerance: float | None

    @property
    def name(self) -> str:
        """Metric and part."""
        return f"{self.metric}, {self.label}" if self.label else self.metric


@dataclass(frozen=True)
class Tracks:
    """A whole record over time.

    Attributes:
        log_odds: of the run against no harm, by moment.
        log_limit: at which it fails.
        weights: minutes and percent of each change of the weight.
    """

    minutes: tuple[float, ...]
    log_odds: tuple[float, ...]
    log_limit: float
    weights: tuple[tuple[float, int], ...]
    parts: tuple[Track, ...]


def tracks_of(record: Record) -> Tracks:
    """Return what is drawn of a record."""
    moments = timeline(record, MOMENTS_MAX)
    begun = record.begun.started_at
    return Tracks(
        minutes=tuple(moment.seconds / 60 for moment in moments),
        log_odds=tuple(moment.judgement.log_evidence for moment in moments),
        log_limit=moments[-1].judgement.log_limit,
        weights=tuple(_weight(change, begun) for change in record.facts.weights or ()),
        parts=tuple(_tracks(record, moments)),
    )


def _weight(change: WeightChange, begun: float) -> tuple[float, int]:
    return (change.at - begun) / 60, change.percent


def _tracks(record: Record, moments: Sequence[Moment]) -> Iterator[Track]:
    for state in record.begun.metrics.values():
        rule = state.rule
        for place, part in enumerate(state.parts):
            by_moment = [_judged(moment, rule.name, place) for moment in moments]
            yield Track(
                metric=rule.name,
                label=part.part.label,
                family=family_name(rule.family),
                minutes=tuple(moment.seconds / 60 for moment in moments),
                log_odds=tuple(one.log_evidence + math.log(max(one.budget_share, 1e-300)) for one in by_moment),
                known=tuple(_points(moments, by_moment)),
                blocks=tuple(_blocks(state, place, record.finished[rule.name])),
                harm=math.exp(-part.gate if rule.direction == "Decrease" else part.gate),
                tolerance=_tolerance(rule, part.margin),
            )


def _judged(moment: Moment, metric: str, place: int) -> PartJudgement:
    return next(one for one in moment.judgement.metrics if one.name == metric).parts[place]


def _points(moments: Sequence[Moment], judged: Sequence[PartJudgement]) -> Iterator[Point]:
    for moment, one in zip(moments, judged, strict=True):
        if one.ratio is not None and one.lower is not None and one.upper is not None:
            yield Point(moment.seconds / 60, one.ratio, one.lower, one.upper)


def _blocks(state: MetricState, place: int, pieces: Sequence[Piece]) -> Iterator[Point]:
    part = state.parts[place].part
    for piece in spread(pieces, MOMENTS_MAX):
        block = piece.block
        estimate: Estimate | None = part.likelihood(part.gather(block)).estimate()
        if estimate is not None:
            middle = (block.first + block.windows / 2) * block.interval_seconds / 60
            yield Point(middle, math.exp(estimate.u), math.exp(estimate.lower), math.exp(estimate.upper))


def _tolerance(rule: MetricRule, margin: float | None) -> float | None:
    if margin is None:
        return None
    return math.exp(-margin if rule.direction == "Decrease" else margin)
