"""A record over time: the judgement at the end of every block, as the run's looks saw it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from analysis.evidence.metric_state import Piece
from analysis.judge import Facts, Running, RunState, conclude, replayed
from analysis.judgement import DataState, Judgement
from analysis.record import Record, judging

T = TypeVar("T")


@dataclass(frozen=True)
class Moment:
    """One look.

    Attributes:
        state: of the run, with all blocks that had ended.
    """

    seconds: float
    judgement: Judgement
    state: RunState


def timeline(record: Record, most: int | None = None) -> tuple[Moment, ...]:
    """Return the looks at the end of every block, and the record's own look as the last one.

    Only that one knows the running blocks, the guard about pods and the problems of the data.

    Args:
        record: of a run.
        most: how many looks at most, evenly spread; None for all.

    Raises:
        RecordError: the record's numbers give no judgement.
    """
    with judging():
        return _moments(record, most)


def _moments(record: Record, most: int | None) -> tuple[Moment, ...]:
    state, begun = record.begun, record.begun.started_at
    ends = spread(sorted({_end(piece) for pieces in record.finished.values() for piece in pieces}), most)
    taken: dict[str, int] = dict.fromkeys(record.finished, 0)
    moments = []
    for end in ends:
        at = begun + end
        if at >= record.facts.at:
            break
        facts = Facts(at, record.facts.weights)
        state = replayed(state, facts, _due(record, taken, end))
        moments.append(Moment(end, conclude(state, facts, _nothing_running(state)), state))
    last = replayed(record.begun, record.facts, record.finished)
    final = conclude(last, record.facts, record.running)
    return (*moments, Moment(record.facts.at - begun, final, last))


def spread(values: Sequence[T], most: int | None) -> list[T]:
    """Return at most so many values, evenly spread, the last one among them; all where `most` is None."""
    if most is None or len(values) <= most:
        return list(values)
    return [values[round(place * (len(values) - 1) / max(most - 1, 1))] for place in range(most)]


def _due(record: Record, taken: dict[str, int], end: float) -> Mapping[str, tuple[Piece, ...]]:
    """Return the blocks of each metric that ended by then and were not taken in yet; `taken` is moved on."""
    due = {}
    for name, pieces in record.finished.items():
        stop = taken[name]
        while stop < len(pieces) and _end(pieces[stop]) <= end + 1e-9:
            stop += 1
        due[name] = pieces[taken[name] : stop]
        taken[name] = stop
    return due


def _end(piece: Piece) -> float:
    return (piece.block.first + piece.block.windows) * piece.block.interval_seconds


def _nothing_running(state: RunState) -> dict[str, Running]:
    return {name: Running(None, DataState.COLLECTING) for name in state.metrics}
