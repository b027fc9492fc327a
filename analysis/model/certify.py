"""The certificate of a model: what the judge does with it in releases cut from history it has never seen.

It is computed here and never copied from a manifest. Placebos of one piece of history resemble each other, so false
rollbacks are counted a piece.
"""

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from analysis.durations import format_time
from analysis.errors import InvalidSpec
from analysis.evidence.metric_parts import MetricNoise
from analysis.failure_model_spec import Certificate, Detection, HeldOut
from analysis.model.applied import Applied, RunMetrics
from analysis.model.binomial import lower_bound, upper_bound
from analysis.model.faults import Fault, faults_of
from analysis.model.history import PIECES_MAX, SEGMENT_SECONDS, Piece
from analysis.model.placebo import Release, placebo
from analysis.model.plan import Plan
from analysis.model.play import Outcome, play
from analysis.model.sentinel.acting import ActingSentinel
from analysis.percent import format_percent
from analysis.rules import RunRules

PLACEBOS_A_SEGMENT = 2
FAULTY_RELEASES = 40
"""For each fault: enough to tell 95 % from 80 %."""
FAULTS_MAX = 24


@dataclass(frozen=True)
class Trial:
    """What a model is tried with.

    Attributes:
        pieces: how many pieces of held-out history are expected; faulty releases are spread over them.
        piece_seconds: length of each.
        seed: chooses the posing pods.
        sentinel: looks on where it may fail a release; None where there is none, or it may not.
    """

    rules: RunRules
    noises: Mapping[str, MetricNoise]
    plan: Plan
    pieces: int
    piece_seconds: float = SEGMENT_SECONDS
    limit_raise: float = 0.0
    seed: int = 0
    sentinel: ActingSentinel | None = None


def trial_of(
    given: Applied, metrics: RunMetrics, plan: Plan, pieces: int, piece_seconds: float = SEGMENT_SECONDS
) -> Trial:
    """Return the trial of what a model gives to a run; its sentinel looks on where it may fail a release."""
    sentinel = given.sentinel if given.sentinel is not None and given.sentinel.taken else None
    return Trial(metrics.rules, given.noises, plan, pieces, piece_seconds, given.limit_raise, sentinel=sentinel)


@dataclass
class Tally:
    """What was found so far."""

    placebos: list[tuple[int, Outcome]] = field(default_factory=list)
    """Number of the piece, and how its placebo ended."""
    faulty: dict[str, list[Outcome]] = field(default_factory=dict)
    """How releases with each fault ended."""
    begins: dict[int, float] = field(default_factory=dict)
    """Epoch seconds at which each piece began that gave a placebo."""

    @property
    def segments(self) -> int:
        """Pieces that gave a placebo."""
        return len(self.begins)

    @property
    def false_segments(self) -> int:
        """Pieces of which a placebo was rolled back."""
        return len({number for number, outcome in self.placebos if outcome.failed_at_seconds is not None})

    @property
    def log_evidence(self) -> tuple[float, ...]:
        """The largest log evidence of each placebo."""
        return tuple(outcome.largest_log_evidence for _, outcome in self.placebos)


def tried(trial: Trial, pieces: Iterable[Piece], *, faults: bool = True) -> Iterator[Tally]:
    """Play placebos and faulty releases; yields after each, so that a caller shows progress or stops.

    Raises:
        InvalidSpec: no piece of history can give a placebo.
    """
    tally = Tally()
    for number, piece in enumerate(islice(pieces, PIECES_MAX)):
        for _ in played(trial, tally, number, piece, faults=faults):
            yield tally
    if not tally.placebos:
        raise InvalidSpec("history", "no piece of it can give a placebo", "two pods with traffic are the least")


def played(trial: Trial, tally: Tally, number: int, piece: Piece, *, faults: bool = True) -> Iterator[Outcome]:
    """Play what one piece of history is good for, and count it; yields each outcome.

    A piece in which the service had one pod, or none, is no use; the certificate says how many were.
    """
    for again in range(PLACEBOS_A_SEGMENT):
        release = _placebo(trial, piece, number * PLACEBOS_A_SEGMENT + again)
        if release is None:
            return
        outcome = play(release, trial.rules, trial.noises, trial.limit_raise, to_the_end=True, sentinel=trial.sentinel)
        tally.placebos.append((number, outcome))
        tally.begins[number] = piece.began_at
        yield outcome
    if faults and _gives_faulty(trial, number):
        for fault in faults_of(trial.rules.rules)[:FAULTS_MAX]:
            yield from _with_fault(trial, fault, tally, number, piece)


def _gives_faulty(trial: Trial, number: int) -> bool:
    """Spread over all of the history, so that each time of day is there."""
    wanted, pieces = FAULTY_RELEASES, max(trial.pieces, 1)
    return number * wanted // pieces > (number - 1) * wanted // pieces or pieces <= wanted


def _placebo(trial: Trial, piece: Piece, number: int) -> Release | None:
    try:
        return placebo(piece.tables, trial.rules, trial.plan, trial.seed + number)
    except InvalidSpec:
        return None


def _with_fault(trial: Trial, fault: Fault, tally: Tally, number: int, piece: Piece) -> Iterator[Outcome]:
    release = _placebo(trial, piece, number * PLACEBOS_A_SEGMENT)
    if release is None or not release.tables[fault.metric].canary.pods:
        return
    faulty = fault.put_into(release, trial.seed + number)
    outcome = play(faulty, trial.rules, trial.noises, trial.limit_raise, sentinel=trial.sentinel)
    tally.faulty.setdefault(fault.name, []).append(outcome)
    yield outcome


def certificate(trial: Trial, tally: Tally) -> Certificate:
    """Return what was found, as a status shows it."""
    begins = sorted(tally.begins.values())
    return Certificate(
        budget=format_percent(trial.rules.budget),
        held_out=HeldOut(
            from_=format_time(begins[0]) if begins else "",
            to=format_time(begins[-1] + trial.piece_seconds) if begins else "",
            segments=tally.segments,
        ),
        placebos=len(tally.placebos),
        false_rollbacks=sum(outcome.failed_at_seconds is not None for _, outcome in tally.placebos),
        false_rollback_upper_bound=format_percent(upper_bound(tally.false_segments, tally.segments)),
        detects=tuple(_detection(name, outcomes) for name, outcomes in tally.faulty.items() if outcomes),
        sentinel="" if trial.sentinel is None else trial.sentinel.digest,
    )


def _detection(name: str, outcomes: Sequence[Outcome]) -> Detection:
    times = sorted(outcome.failed_at_seconds for outcome in outcomes if outcome.failed_at_seconds is not None)
    # The median over all releases: where less than half are found, there is none.
    median = times[(len(outcomes) - 1) // 2] if 2 * len(times) > len(outcomes) else None
    return Detection(
        fault=name,
        found=format_percent(len(times) / len(outcomes)),
        median_time="" if median is None else f"{median / 60:.3g}m",
    )


def keeps_budget(tally: Tally, budget: float) -> bool:
    """Whether false rollbacks are shown to be within the budget: 299 pieces without one at 1 %."""
    return upper_bound(tally.false_segments, tally.segments) <= budget


def breaks_budget(tally: Tally, budget: float) -> bool:
    """Whether false rollbacks are shown to exceed the budget."""
    return lower_bound(tally.false_segments, tally.segments) > budget


def placebo_quantile99(tally: Tally) -> float:
    """Return the 99 % quantile of the largest log evidence of placebos."""
    values = sorted(tally.log_evidence)
    if not values:
        raise InvalidSpec("history", "gave no placebo", "read a longer one")
    return statistics.quantiles(values, n=100, method="inclusive")[98] if len(values) > 1 else values[0]
