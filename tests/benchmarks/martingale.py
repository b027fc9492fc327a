"""`make bench-martingale`: whether evidence keeps its promise where nothing is wrong, over a thousand looks.

Under each exact null P(evidence ever >= 1/alpha) must not exceed alpha, and an interval must hold at all looks together
with 95 %, up to the error of the simulation. A replicate is a whole run, looked at after every window, the running
block included, by the engine itself.
"""

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
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
    """What was seen under one null."""

    name: str
    replicates: int
    looks: int
    reached: Mapping[str, float]
    coverage: float | None
    kept: bool


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


def row_of(name: str, runs: Sequence[Run], looks: int) -> Row:
    """Return a row: how often evidence passed 1/alpha, and how often the interval always held."""
    size = len(runs)
    reached = {alpha: sum(run.largest >= -math.log(alpha) for run in runs) for alpha in ALPHAS}
    missed = [run.missed for run in runs if run.missed is not None]
    kept = all(count <= most_by_chance(size, alpha) for alpha, count in reached.items())
    kept = kept and sum(missed) <= most_by_chance(size, 0.05)
    shares = {f"{alpha:g}": count / size for alpha, count in reached.items()}
    return Row(name, size, looks, shares, 1 - sum(missed) / size if missed else None, kept)


def batch(name: str, seeds: Sequence[int], looks: int) -> list[Run]:
    """Return some replicates; a process works on one batch at a time."""
    return [replicate(name, seed, looks) for seed in seeds]


def measured(name: str, pool: ProcessPoolExecutor, replicates: int, looks: int) -> Row:
    """Return one row, and show how far it is meanwhile."""
    jobs = [
        pool.submit(batch, name, range(first, min(first + _BATCH, replicates)), looks)
        for first in range(0, replicates, _BATCH)
    ]
    runs: list[Run] = []
    for job in jobs:
        runs += job.result()
        print(f"\r{name:44}{len(runs):6} of {replicates}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return row_of(name, runs, looks)


def shown(row: Row) -> str:
    """Return a row as a line of the table."""
    coverage = "" if row.coverage is None else f"{row.coverage:10.4f}"
    reached = "".join(f"{row.reached[f'{alpha:g}']:10.4f}" for alpha in ALPHAS)
    return f"{row.name:44}{reached}{coverage:>10}  {'kept' if row.kept else 'BROKEN'}"


def keep(row: Row) -> None:
    """Write a row into the table of results, in the place of an older one of its name."""
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    rows = {**{old["name"]: old for old in known}, row.name: asdict(row)}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps([rows[name] for name in names() if name in rows], indent=1) + "\n")


def main(arguments: Sequence[str]) -> int:
    """Measure all rows, or those that are named; print and write the table."""
    rows = []
    print(f"{'P(evidence ever >= 1/alpha), alpha =':44}{ALPHAS[0]:10}{ALPHAS[1]:10}  coverage of 95 % intervals")
    with ProcessPoolExecutor(2) as pool:
        for name in arguments or names():
            rows.append(measured(name, pool, REPLICATES, LOOKS))
            print(shown(rows[-1]), flush=True)
            keep(rows[-1])
    return 0 if all(row.kept for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
