"""The engine played on the median release: when it would have seen harm, when it would have proven a tolerance."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from analysis.authoring.expected import Course, expected_table
from analysis.authoring.luck import ONE_OF_TEN, missed
from analysis.evidence.block import block_of, block_windows
from analysis.evidence.combined import over_shares, start_shares
from analysis.evidence.gathered import Gathered, PodSums
from analysis.evidence.metric_parts import MetricNoise, scale_of
from analysis.evidence.metric_state import Beginnings, Kept, MetricState, Piece, absorbed, begin, raw_counts
from analysis.evidence.metric_verdict import PartVerdict, part_verdicts
from analysis.evidence.table import Table
from analysis.rules import Direction, MetricRule

HORIZON_SECONDS = 6 * 3600.0
"""What would take longer than six hours is not waited for."""
SETTLED_SECONDS = 45 * 60.0
"""By then the youngest pods have counted for half an hour: data without end tell whether more of it could ever help."""
_ENDLESS = 1e6
_DENSE_BLOCKS = 10
_SPARSE = 1.05

Reached = Callable[[MetricState], bool]


@dataclass(frozen=True)
class Wait:
    """How long something takes.

    Attributes:
        seconds: since its step began; None where it takes longer than six hours.
        never: whether it would not come with data without end either: pods' differences explain it.
    """

    seconds: float | None
    never: bool = False


class Game:
    """One metric of a run, the evidence of the other metrics being 1.

    Evidence at the mean of the data is its median up to terms that do not grow with time, since the log likelihood is
    nearly linear in the counts of a block, and the lasting differences between pods have median 0.
    """

    def __init__(
        self, rule: MetricRule, noise: MetricNoise, table: Table, starts: tuple[int, ...], weight_increases: int
    ) -> None:
        self.rule, self._table, self._starts = rule, table, starts
        self._shares = start_shares(weight_increases)
        self._beginnings = Beginnings(starts, proof=starts[-1], cuts=starts)
        self._ends = _block_ends(starts, table.windows, block_windows(rule.interval_seconds))
        self._states = [begin(rule, noise)]

    @classmethod
    def of(cls, rule: MetricRule, noise: MetricNoise, course: Course, weight_increases: int) -> "Game":
        """Return the game of the median release."""
        table = expected_table(rule, noise, course)
        return cls(rule, noise, table, course.step_starts(rule.interval_seconds), weight_increases)

    def state_at(self, windows: int) -> MetricState:
        """Return what is kept after so many windows, those of an unfinished block included."""
        done = sum(end <= windows for end in self._ends)
        while len(self._states) <= done:
            block = len(self._states) - 1
            self._states.append(self._absorbed(self._states[block], self._begin(block), self._ends[block]))
        if windows > self._begin(done):
            return self._absorbed(self._states[done], self._begin(done), windows)
        return self._states[done]

    def parts(self, state: MetricState) -> tuple[PartVerdict, ...]:
        """Return what each part says."""
        return part_verdicts(state, self._shares)

    def log_evidence(self, state: MetricState) -> float:
        """Return the log odds against no harm by this metric."""
        parts = self.parts(state)
        return over_shares([part.log_evidence for part in parts], [part.rule.share for part in parts])

    def wait(self, reached: Reached, from_step: int) -> Wait:
        """Return how long after the beginning of a step something is reached."""
        interval = self.rule.interval_seconds
        start = self._starts[from_step]
        before, settled = start, False
        for end in self._looks(start):
            if reached(self.state_at(end)):
                return Wait((self._first(reached, before, end) - start) * interval)
            before = end
            if not settled and (end - start) * interval >= SETTLED_SECONDS:
                settled = True
                if not reached(endless(self.state_at(end))):
                    return Wait(None, never=True)
        return Wait(None, never=not reached(endless(self.state_at(before))))

    def _begin(self, block: int) -> int:
        return self._ends[block - 1] if block else 0

    def _absorbed(self, state: MetricState, start: int, stop: int) -> MetricState:
        table = self._table.cut(start, stop)
        piece = Piece(block_of(table, scale_of(self.rule)), raw_counts(self.rule, table), None)
        return absorbed(state, piece, self._beginnings)

    def _looks(self, start: int) -> list[int]:
        """Return some ends of blocks: all of the first ones, later those that are 5 % apart."""
        looks: list[int] = []
        for end in self._ends:
            dense = len(looks) < _DENSE_BLOCKS or end - start >= _SPARSE * (looks[-1] - start)
            if end > start and (dense or end == self._ends[-1]):
                looks.append(end)
        return looks

    def _first(self, reached: Reached, before: int, after: int) -> int:
        """Return the first number of windows at which it is reached, by bisection."""
        while after - before > 1:
            middle = (before + after) // 2
            before, after = (before, middle) if reached(self.state_at(middle)) else (middle, after)
        return after


def detection(game: Game, budget_share: float, log_limit: float) -> Reached:
    """Return the question whether a run would have failed by this metric alone."""
    return lambda state: math.log(budget_share) + game.log_evidence(state) >= log_limit


def unlucky(reached: Reached, direction: Direction, *, harm: bool) -> Reached:
    """Return the question whether nine of ten releases would have reached it.

    Args:
        reached: by the median release.
        direction: which way is worse.
        harm: whether harm is to be seen, which bad luck hides; else a tolerance is to be proven.
    """
    towards_less = harm != (direction == "Decrease")
    deviations = -ONE_OF_TEN if towards_less else ONE_OF_TEN
    return lambda state: reached(missed(state, deviations))


def proof(game: Game) -> Reached:
    """Return the question whether the tolerance is proven in every part."""
    return lambda state: all(part.proven for part in game.parts(state))


def endless(state: MetricState) -> MetricState:
    """Return the state that data without end would lead to: what does not average out remains."""
    kept = tuple(
        Kept(tuple(_grown(one) for one in old.since), None if old.proof is None else _grown(old.proof))
        for old in state.kept
    )
    return replace(state, kept=kept, floor=None if state.floor is None else _grown(state.floor))


def _grown(gathered: Gathered) -> Gathered:
    def pods(sums: PodSums) -> PodSums:
        return PodSums(sums.pods, sums.sums * _ENDLESS)

    return Gathered(gathered.sums * _ENDLESS, pods(gathered.canary), pods(gathered.stable))


def _block_ends(starts: tuple[int, ...], windows: int, size: int) -> tuple[int, ...]:
    ends, begins = [], 0
    while begins < windows:
        begins = min([begins + size, windows, *(start for start in starts if start > begins)])
        ends.append(begins)
    return tuple(ends)
