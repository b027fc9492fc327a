"""Play rollouts through the engine and its peers, print the figures and keep them.

`python -m tests.benchmarks.decisions quick` takes minutes, `full` some hours on two cores. A run that was stopped goes
on where it was: outcomes are kept in `tests/benchmarks/results/<part>-<size>.jsonl` until they are deleted. Parts may
be played one by one, or beside each other; whatever was played so far is in the report.
"""

import argparse
import json
import os
import time
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from analysis.peers.panel import PANEL
from tests.benchmarks.decisions.engine import ABLATIONS, ENGINE
from tests.benchmarks.decisions.figures import (
    Figure,
    exposure_table,
    figures,
    pooled,
    power_table,
    rate_table,
)
from tests.benchmarks.decisions.learning import learned, tuned
from tests.benchmarks.decisions.limits import LIMITS, Limit, crossed
from tests.benchmarks.decisions.settings import BUDGET, FULL, INTERVAL_SECONDS, QUICK, Size, scenarios, seed_of
from tests.benchmarks.decisions.store import Store
from tests.benchmarks.decisions.work import TUNED, Judges, Outcome, Work, done, split

RESULTS = Path(__file__).parent.parent / "results"
ABLATED = ("base:healthy", "base:err_x2", "base:lat_+10%", "base:late_err_x3")
PIECE = 5
LIMIT_JUDGE = "information limit"
PLAYED: tuple[Judges, ...] = ("engine", "peers", "ablations")
LIMITS_PART = "limits"
PARTS = (*PLAYED, LIMITS_PART)


@dataclass(frozen=True)
class Prepared:
    """What was learned and tuned before anything is judged."""

    models: dict[str, bytes]
    scales: tuple[tuple[str, float], ...]


def main() -> None:
    """Play what is missing, then print and write all figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.decisions", description=__doc__)
    parser.add_argument("size", choices=("quick", "full"), nargs="?", default="quick")
    parser.add_argument("--only", default="", help="scenarios whose name contains this")
    parser.add_argument("--part", choices=PARTS, action="append", help="play this only; repeatable")
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    size = FULL if asked.size == "full" else QUICK
    # One thread a process: two processes share two cores.
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    with ProcessPoolExecutor(asked.workers) as pool:
        prepared = _prepared(pool, size)
        played = [name for name in scenarios() if asked.only in name]
        stores = {part: Store(RESULTS / f"{part}-{size.name}.jsonl") for part in PARTS}
        chosen = asked.part or PARTS
        for part in (part for part in PLAYED if part in chosen):
            _play(pool, stores[part], _missing(stores[part], size, prepared, played, part), part)
        if LIMITS_PART in chosen:
            _play_limits(pool, stores[LIMITS_PART], size, played)
    _report(size, stores, chosen)


def _prepared(pool: ProcessPoolExecutor, size: Size) -> Prepared:
    path = RESULTS / f"prepared-{size.name}.json"
    if path.exists():
        kept = json.loads(path.read_text())
        return Prepared(
            {name: text.encode() for name, text in kept["models"].items()}, tuple(map(tuple, kept["scales"]))
        )
    environments = list(dict.fromkeys(name.partition(":")[0] for name in scenarios()))
    print(f"learning from the history of {len(environments)} environments, tuning {len(PANEL)} peers ...", flush=True)
    models = dict(zip(environments, pool.map(learned, environments), strict=True))
    scales = tuple(zip([peer.name for peer in PANEL], pool.map(_scale, range(len(PANEL))), strict=True))
    RESULTS.mkdir(exist_ok=True)
    path.write_text(json.dumps({"models": {name: model.decode() for name, model in models.items()}, "scales": scales}))
    return Prepared(models, scales)


def _scale(index: int) -> float:
    return tuned(PANEL[index], BUDGET)


def _missing(store: Store, size: Size, prepared: Prepared, played: list[str], judges: Judges) -> list[Work]:
    """Return what is to be played, all scenarios side by side: a run that is stopped knows as much of each."""
    works: list[tuple[float, Work]] = []
    for name in played:
        known, count = store.seeds(name), _count(size, name, judges)
        seeds = tuple(seed for index in range(count) if (seed := seed_of(size, name, index)) not in known)
        model = prepared.models[name.partition(":")[0]]
        pieces = split(Work(name, seeds, model, prepared.scales, judges), PIECE)
        works += [(-(len(pieces) - at) * PIECE / count, piece) for at, piece in enumerate(pieces)]
    return [work for _, work in sorted(works, key=lambda item: item[0])]


def _count(size: Size, name: str, judges: Judges) -> int:
    """Return how many rollouts of a scenario are played."""
    if judges == "ablations":
        return 0 if name not in ABLATED else size.ablation * (4 if name.endswith(":healthy") else 1)
    return -(-size.rollouts(name) // (size.peers if judges == "peers" else 1))


def _play(pool: ProcessPoolExecutor, store: Store, works: list[Work], what: str) -> None:
    began, total, finished = time.monotonic(), sum(len(work.seeds) for work in works), 0
    for future in as_completed([pool.submit(done, work) for work in works]):
        outcomes = future.result()
        store.add(outcomes)
        finished += len({outcome.seed for outcome in outcomes})
        _progress(what, finished, total, began)


def _progress(what: str, finished: int, total: int, began: float) -> None:
    spent = time.monotonic() - began
    if finished == total or finished % 100 < PIECE:
        left = spent / finished * (total - finished)
        print(f"{what}: {finished} of {total}, {spent / 60:.1f} min spent, about {left / 60:.1f} left", flush=True)


def _play_limits(pool: ProcessPoolExecutor, store: Store, size: Size, played: list[str]) -> None:
    for limit in (limit for limit in LIMITS if limit.scenario in played):
        known = store.seeds(limit.scenario)
        wanted = [seed_of(size, limit.scenario, index) for index in range(size.faulty)]
        seeds = [seed for seed in wanted if seed not in known]
        found = pool.map(_limit, [limit] * len(seeds), seeds, chunksize=PIECE)
        store.add(list(found))


def _limit(limit: Limit, seed: int) -> Outcome:
    return Outcome(limit.scenario, seed, LIMIT_JUDGE, crossed(limit, seed), 0.0)


def _report(size: Size, stores: Mapping[str, Store], chosen: Collection[str]) -> None:
    """Print and write what was asked for: the decisions of all judges, and each side question in files of its own."""
    found = figures([*stores["engine"].outcomes, *stores["peers"].outcomes])
    without, bound = figures(stores["ablations"].outcomes), figures(stores[LIMITS_PART].outcomes)
    for name, parts, tables, told in (
        ("decisions", {"engine", "peers"}, _decision_tables(size, found), found),
        ("ablations", {"ablations"}, _ablation_tables(size, without), without),
        (LIMITS_PART, {LIMITS_PART}, _limit_tables(size, bound), bound),
    ):
        if told and parts & set(chosen):
            _write(f"{name}-{size.name}", "\n\n".join(tables), size, told)


def _write(name: str, text: str, size: Size, found: list[Figure]) -> None:
    print(text + "\n")
    (RESULTS / f"{name}.md").write_text(text + "\n")
    told = {"size": vars(size), "budget": BUDGET, "interval_seconds": INTERVAL_SECONDS}
    told["figures"] = [figure.as_json() for figure in found]
    (RESULTS / f"{name}.json").write_text(json.dumps(told, indent=1) + "\n")


def _decision_tables(size: Size, found: list[Figure]) -> Iterator[str]:
    usual = [ENGINE.name, *(peer.name for peer in PANEL)]
    tuned_names = [ENGINE.name, *(peer.name + TUNED for peer in PANEL)]
    played = {figure.scenario for figure in found}
    healthy = [name for name in scenarios() if name.endswith(":healthy") and name in played]
    faulty = [name for name in scenarios() if not name.endswith(":healthy") and name in played]
    events, trials, upper = pooled(found, ENGINE.name)
    yield f"# Decisions, {size.name} size: seeds from {size.first_seed} on, budget {BUDGET:.0%}"
    if size.peers > 1:
        yield f"Peers play one of {size.peers} rollouts of each scenario, the first ones; `n` is the engine's."
    yield f"Pooled over environments: {events} of {trials} healthy rollouts rolled back, upper bound {upper:.2%}."
    yield "## False rollbacks, % (engine with its 95 % interval), peers as their users set them"
    yield rate_table(found, usual, healthy)
    yield f"## The same with peers tuned to {BUDGET:.0%} in the base environment"
    yield rate_table(found, tuned_names, healthy)
    yield "## Found, % / median minutes, peers as their users set them"
    yield power_table(found, usual, faulty)
    yield f"## The same with peers tuned to {BUDGET:.0%}"
    yield power_table(found, tuned_names, faulty)
    yield "## Requests of users to the canary until the rollback, median"
    yield exposure_table(found, tuned_names, faulty)


def _ablation_tables(size: Size, without: list[Figure]) -> Iterator[str]:
    names = [variant.name for variant in ABLATIONS]
    played = {figure.scenario: figure.rollouts for figure in without}
    yield f"# Ablations, {size.name} size: the engine with one term switched off, seeds from {size.first_seed} on"
    yield f"Rollouts: {', '.join(f'{name} {count}' for name, count in played.items())}."
    yield "## False rollbacks, %"
    yield rate_table(without, names, ["base:healthy"])
    yield "## Found, % / median minutes"
    yield power_table(without, names, [name for name in ABLATED if not name.endswith(":healthy")])


def _limit_tables(size: Size, bound: list[Figure]) -> Iterator[str]:
    yield f"# Information limits, {size.name} size: seeds from {size.first_seed} on"
    yield (
        f"What a sequential test finds that knows the fault and the noise and spends the whole budget on it, of "
        f"{max(figure.rollouts for figure in bound)} rollouts, in % / median minutes. Who has to learn them finds less."
    )
    yield power_table(bound, [LIMIT_JUDGE], [limit.scenario for limit in LIMITS])


if __name__ == "__main__":
    main()
