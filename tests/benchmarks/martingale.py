"""`make bench-martingale`: whether evidence keeps its promise where nothing is wrong, over a thousand looks.

Under each exact null P(evidence ever >= 1/alpha) must not exceed alpha, and an interval must hold at all looks together
with 95 %, up to the error of the simulation. A replicate is a whole run, looked at after every window, the running
block included, by the engine itself. Rows take turns, and what was done is kept: remove the results to begin anew.
"""

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from analysis.evidence.combined import joint_log_evidence, over_shares
from analysis.evidence.metric_state import Beginnings, MetricState, absorbed, begin, pieces
from analysis.evidence.metric_verdict import PartVerdict, part_verdicts
from tests.benchmarks.nulls import Null, nulls

ALPHAS = (0.05, 0.01)
LOOKS, REPLICATES = 1000, 1000
RESULTS = Path(__file__).parent / "results" / "martingale.json"
_BATCH = 25

WHOLE = ("counts, pods that differ", "level", "usage", "growth")
"""Metrics of the run whose total and combined evidence is looked at; they are independent."""
STARTS = (0, 0.25, 0.5)
"""Of the whole run: when evidence begins again, as shares of its length."""
START_SHARES = (0.5, 0.25, 0.25)


@dataclass(frozen=True)
class Run:
    """The largest log evidence of one replicate, and whether an interval ever missed the truth; None without one."""

    largest: float
    missed: bool | None


@dataclass(frozen=True)
class Row:
    """What was seen under one null: in how many runs evidence passed 1/alpha, and in how many an interval missed."""

    name: str
    looks: int
    replicates: int = 0
    reached: Mapping[str, int] = field(default_factory=dict)
    missed: int | None = None

    @property
    def kept(self) -> bool:
        """Whether chance explains what was seen, with the promise kept."""
        passed = all(self.reached.get(f"{alpha:g}", 0) <= most_by_chance(self.replicates, alpha) for alpha in ALPHAS)
        return passed and (self.missed or 0) <= most_by_chance(self.replicates, ALPHAS[0])

    def plus(self, runs: Sequence[Run]) -> "Row":
        """Return the row with some more replicates."""
        reached = {
            f"{alpha:g}": self.reached.get(f"{alpha:g}", 0) + sum(run.largest >= -math.log(alpha) for run in runs)
            for alpha in ALPHAS
        }
        missed = [run.missed for run in runs if run.missed is not None]
        return replace(
            self,
            replicates=self.replicates + len(runs),
            reached=reached,
            missed=(self.missed or 0) + sum(missed) if missed else self.missed,
        )


def ungated(state: MetricState) -> MetricState:
    """Return a state that counts evidence without its gate, which only lowers it: the harder test."""
    return replace(state, parts=tuple(replace(part, gate=0.0) for part in state.parts))


def follow(null: Null, seed: int, looks: int, starts: Sequence[int] = (0,)) -> Iterator[tuple[PartVerdict, ...]]:
    """Look at one replicate after every window."""
    drawn = null.draw(np.random.default_rng(seed), looks)
    state = ungated(begin(null.rule, null.noise))
    for look in range(1, looks + 1):
        came = tuple(start for start in starts if start < look)
        begun = Beginnings(starts=came, proof=came[-1], cuts=came)
        part = drawn.cut(state.running_from, look)
        finished, running, running_from = pieces(state, part, part, begun, [None] * len(came))
        for piece in finished:
            state = absorbed(state, piece, begun)
        state = replace(state, running_from=running_from)
        now = state if running is None else absorbed(state, running, begun)
        yield part_verdicts(now, (1.0,) if len(starts) == 1 else START_SHARES)


def single(null: Null, seed: int, looks: int) -> Run:
    """Return what one replicate of one metric showed."""
    largest, missed = -math.inf, False
    for verdicts in follow(null, seed, looks):
        largest = max(largest, verdicts[0].log_evidence)
        found = verdicts[0].estimate
        missed = missed or (found is not None and not found.lower <= null.u <= found.upper)
    return Run(largest, missed)


def whole(seed: int, looks: int, *, combined_only: bool = False) -> Run:
    """Return what a run of independent metrics and three starts showed in all, or the combined metric alone."""
    known = nulls()
    starts = tuple(int(share * looks) for share in STARTS)
    runs = zip(*(follow(known[name], seed * 1000 + i, looks, starts) for i, name in enumerate(WHOLE)), strict=True)
    largest, share = -math.inf, 1 / (len(WHOLE) + 1)
    for metrics in runs:
        parts = [verdict for metric in metrics for verdict in metric]
        joint = joint_log_evidence([(one.joint, one.rule.joint) for one in parts if one.joint is not None])
        total = over_shares([*(one.log_evidence for one in parts), joint], [share] * (len(parts) + 1))
        largest = max(largest, joint if combined_only else total)
    return Run(largest, None)


def replicate(name: str, seed: int, looks: int) -> Run:
    """Return one replicate of a row of the table."""
    if name in ("combined", "everything together"):
        return whole(seed, looks, combined_only=name == "combined")
    return single(nulls()[name], seed, looks)


def names() -> tuple[str, ...]:
    """Return the rows of the table."""
    return (*nulls(), "combined", "everything together")


def most_by_chance(replicates: int, probability: float, doubt: float = 0.001) -> int:
    """Return the largest count that is no surprise (probability above `doubt`) where the truth is `probability`."""
    term, below = (1 - probability) ** replicates, 0.0
    for count in range(replicates + 1):
        below += term
        if 1 - below <= doubt:
            return count
        term *= (replicates - count) / (count + 1) * probability / (1 - probability)
    return replicates


def batch(name: str, seeds: Sequence[int], looks: int) -> list[Run]:
    """Return some replicates; a process works on one batch at a time."""
    return [replicate(name, seed, looks) for seed in seeds]


def rounds(rows: dict[str, Row], pool: ProcessPoolExecutor, replicates: int) -> Iterator[Row]:
    """Add a batch to each row in turn until all are full, and show how far it is."""
    while unfinished := [row for row in rows.values() if row.replicates < replicates]:
        jobs = [(row.name, pool.submit(batch, row.name, seeds(row, replicates), row.looks)) for row in unfinished]
        for name, job in jobs:
            rows[name] = rows[name].plus(job.result())
            print(f"\r{rows[name].replicates:6} of {replicates}: {name:44}", end="", file=sys.stderr, flush=True)
            yield rows[name]


def seeds(row: Row, replicates: int) -> range:
    """Return the seeds of a row's next batch."""
    return range(row.replicates, min(row.replicates + _BATCH, replicates))


def shown(row: Row) -> str:
    """Return a row as a line of the table."""
    size = max(row.replicates, 1)
    coverage = "" if row.missed is None else f"{1 - row.missed / size:.4f}"
    reached = "".join(f"{row.reached.get(f'{alpha:g}', 0) / size:10.4f}" for alpha in ALPHAS)
    return f"{row.name:44}{row.replicates:6}{reached}{coverage:>10}  {'kept' if row.kept else 'BROKEN'}"


def read() -> dict[str, Row]:
    """Return the rows as far as they were measured before."""
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    return {**{name: Row(name, LOOKS) for name in names()}, **{old["name"]: Row(**old) for old in known}}


def main() -> int:
    """Measure all rows; print and write the table."""
    rows = read()
    with ProcessPoolExecutor(2) as pool:
        for _ in rounds(rows, pool, REPLICATES):
            RESULTS.parent.mkdir(exist_ok=True)
            RESULTS.write_text(json.dumps([asdict(row) for row in rows.values()], indent=1) + "\n")
    print(f"\n{'P(evidence ever >= 1/alpha), alpha =':44}{'runs':>6}{ALPHAS[0]:10}{ALPHAS[1]:10}{'coverage':>10}")
    print("\n".join(shown(row) for row in rows.values()))
    return 0 if all(row.kept for row in rows.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
