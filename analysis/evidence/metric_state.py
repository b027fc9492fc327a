"""What is kept of a metric between looks: sums since each beginning, and nothing that grows with every window.

Blocks are taken in one by one, the running one only for the moment of a look. So the answer is the same whether a run
is judged at once, look by look, or after a restart in the middle.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from analysis.evidence.block import Block, block_of, block_windows, paired
from analysis.evidence.gathered import Gathered
from analysis.evidence.metric_parts import MetricNoise, PartRule, metric_parts, scale_of
from analysis.evidence.parts.rate import RatePart
from analysis.evidence.parts.share import SharePart
from analysis.evidence.special import FloatArray
from analysis.evidence.table import EVENTS, TOTAL, Table
from analysis.rules import CountsRule, MetricRule


@dataclass(frozen=True)
class Beginnings:
    """Windows at which evidence begins.

    Attributes:
        starts: of the first traffic and of each increase of the weight; those of the plan only.
        proof: of the last change of the weight; None while there is no traffic, when nothing is proven.
        cuts: of all changes of the weight, ascending; blocks end there.
    """

    starts: tuple[int, ...]
    proof: int | None
    cuts: tuple[int, ...] = ()


@dataclass(frozen=True)
class RawCounts:
    """Counts of a metric with young pods in them, for the guards: by arm, and in how many windows."""

    canary_events: float = 0.0
    canary_total: float = 0.0
    canary_windows: int = 0
    stable_events: float = 0.0
    stable_total: float = 0.0

    def plus(self, other: "RawCounts") -> "RawCounts":
        """Return both together."""
        return RawCounts(
            self.canary_events + other.canary_events,
            self.canary_total + other.canary_total,
            self.canary_windows + other.canary_windows,
            self.stable_events + other.stable_events,
            self.stable_total + other.stable_total,
        )


@dataclass(frozen=True)
class Piece:
    """One block of a metric, as it is taken in and as a record keeps it."""

    block: Block
    raw: RawCounts
    weight_percent: int | None


@dataclass(frozen=True, slots=True)
class Kept:
    """Sums of one part: since each start that came, and since the last change of the weight.

    Where that change was a start too, both are one and the same object.
    """

    since: tuple[Gathered, ...] = ()
    proof: Gathered | None = None


@dataclass(frozen=True)
class MetricState:
    """Everything that is kept of one metric.

    Attributes:
        running_from: first window that is in no finished block.
        proof_from: window at which the present proof began.
        kept: of each part.
        limit: the canary's own rate since the first traffic, where a limit is set.
        excess: the same where a smallest absolute difference is.
        floor: the same since the last change of the weight.
        raw: for the guard against failing altogether.
        share: for the check of the traffic's share.
    """

    rule: MetricRule
    noise: MetricNoise
    parts: tuple[PartRule, ...]
    running_from: int = 0
    proof_from: int | None = None
    kept: tuple[Kept, ...] = ()
    limit: Gathered | None = None
    excess: Gathered | None = None
    floor: Gathered | None = None
    raw: RawCounts = RawCounts()
    share: Gathered | None = None


def begin(rule: MetricRule, noise: MetricNoise) -> MetricState:
    """Return the state before any window."""
    parts = metric_parts(rule, noise)
    return MetricState(rule, noise, parts, kept=tuple(Kept() for _ in parts))


def pieces(
    state: MetricState, table: Table, raw: Table, beginnings: Beginnings, weights: Sequence[int | None]
) -> tuple[tuple[Piece, ...], Piece | None, int]:
    """Cut a table into blocks.

    Args:
        state: whose running block the table begins with.
        table: windows from `state.running_from` on.
        raw: the same with young pods in it.
        beginnings: of the run.
        weights: the weight in percent from each of `beginnings.cuts` on.

    Returns:
        The finished blocks, the running one (None where it has no window yet), and the window it begins at.
    """
    if not beginnings.starts:
        # Without traffic there is nothing to compare; what was before it never counts.
        return (), None, max(table.end, state.running_from)
    size = block_windows(table.interval_seconds)
    begins = max(state.running_from, beginnings.starts[0])
    found: list[Piece] = []
    while begins < table.end:
        ends = min([begins + size, *(cut for cut in beginnings.cuts if cut > begins)])
        piece = _piece(state, table.cut(begins, ends), raw.cut(begins, ends), _weight(beginnings, weights, begins))
        if ends > table.end:
            return tuple(found), piece, begins
        found.append(piece)
        begins = ends
    return tuple(found), None, begins


def _weight(beginnings: Beginnings, weights: Sequence[int | None], window: int) -> int | None:
    past = [weight for cut, weight in zip(beginnings.cuts, weights, strict=True) if cut <= window]
    return past[-1] if past else None


def _piece(state: MetricState, table: Table, raw: Table, weight_percent: int | None) -> Piece:
    return Piece(block_of(paired(table), scale_of(state.rule)), raw_counts(state.rule, raw), weight_percent)


def raw_counts(rule: MetricRule, raw: Table) -> RawCounts:
    """Return the counts of a table; none of gauges."""
    if scale_of(rule) != "Sum" or raw.canary.amounts.shape[2] < 2:
        return RawCounts()
    events, totals = _events_and_totals(rule, raw.canary.amounts)
    stable_events, stable_totals = _events_and_totals(rule, raw.stable.amounts)
    return RawCounts(
        float(events.sum()),
        float(totals.sum()),
        int((totals > 0).sum()),
        float(stable_events.sum()),
        float(stable_totals.sum()),
    )


def _events_and_totals(rule: MetricRule, amounts: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return events and totals by window; of a histogram all are totals, of a Usage the load is."""
    by_window = amounts.sum(axis=0)
    if isinstance(rule.family, CountsRule):
        return by_window[:, EVENTS], by_window[:, TOTAL]
    return np.zeros(by_window.shape[0]), by_window[:, 1] if rule_is_usage(rule) else by_window.sum(axis=1)


def rule_is_usage(rule: MetricRule) -> bool:
    """Whether columns are use and load."""
    return getattr(rule.family, "type", "") == "Usage"


def absorbed(state: MetricState, piece: Piece, beginnings: Beginnings) -> MetricState:
    """Return the state with one more block."""
    block = piece.block
    came = sum(start <= block.first for start in beginnings.starts)
    proves = beginnings.proof is not None and block.first >= beginnings.proof
    goes_on = proves and state.proof_from == beginnings.proof
    kept = tuple(
        _with_block(old, rule, rule.part.gather(block), came, proves=proves, goes_on=goes_on)
        for old, rule in zip(state.kept, state.parts, strict=True)
    )
    requests = piece.raw.canary_total, piece.raw.stable_total
    share = SharePart().gather(requests, piece.weight_percent if shows_traffic(state.rule) else None)
    return replace(
        state,
        running_from=block.first + block.windows,
        proof_from=beginnings.proof,
        kept=kept,
        limit=_limit(state, block),
        excess=_excess(state, block),
        floor=_floor(state, block, goes_on=goes_on) if proves else None,
        raw=state.raw.plus(piece.raw),
        share=share if state.share is None or not goes_on else state.share.plus(share),
    )


def renewed(state: MetricState, beginnings: Beginnings) -> MetricState:
    """Return the state without what was proven at an earlier weight, where no block has come since the change."""
    if state.proof_from == beginnings.proof:
        return state
    kept = tuple(Kept(one.since) for one in state.kept)
    return replace(state, proof_from=beginnings.proof, kept=kept, floor=None, share=None)


def shows_traffic(rule: MetricRule) -> bool:
    """Whether the metric's totals are requests."""
    if isinstance(rule.family, CountsRule):
        return not rule.family.pod_seconds
    return scale_of(rule) == "Sum" and not rule_is_usage(rule)


def _with_block(old: Kept, rule: PartRule, new: Gathered, came: int, *, proves: bool, goes_on: bool) -> Kept:
    since = [one.plus(new) for one in old.since]
    since += [new] * (came - len(since))
    if not proves or rule.margin is None:
        return Kept(tuple(since))
    if not goes_on or old.proof is None:
        return Kept(tuple(since), new)
    last = len(old.since) - 1
    is_start = last >= 0 and old.proof is old.since[last]
    return Kept(tuple(since), since[last] if is_start else old.proof.plus(new))


def _limit(state: MetricState, block: Block) -> Gathered | None:
    family = state.rule.family
    if not isinstance(family, CountsRule) or family.limit is None:
        return None
    new = RatePart(state.noise.main, family.limit).gather(block)
    return new if state.limit is None else state.limit.plus(new)


def _excess(state: MetricState, block: Block) -> Gathered | None:
    family = state.rule.family
    if not isinstance(family, CountsRule) or family.min_difference <= 0 or state.rule.direction == "Decrease":
        return None
    new = RatePart(state.noise.main, family.min_difference).gather(block)
    return new if state.excess is None else state.excess.plus(new)


def _floor(state: MetricState, block: Block, *, goes_on: bool) -> Gathered | None:
    family = state.rule.family
    if not isinstance(family, CountsRule) or family.min_difference <= 0 or state.rule.tolerance is None:
        return None
    new = RatePart(state.noise.main, family.min_difference).gather(block)
    return state.floor.plus(new) if goes_on and state.floor is not None else new
