"""`python -m tests.faults [--seeds 200] [--no-kills]`: many seeds and every kill point, with what became of each."""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from rollout.sandbox.box import Sandbox
from tests.faults.cluster import cluster_of
from tests.faults.every_kill import every_kill
from tests.faults.lanes import LANES, Lanes, Outcome
from tests.faults.seeds import seeds
from tests.faults.story import lanes_in, with_faults


async def play(folder: Path, runner: asyncio.Runner, played: list[int], lanes: int, first: int) -> bool:
    """The seeds, and every kill from the first action on, if there is one; whether all ended in the right state."""
    began = time.monotonic()

    def tell(what: str, outcome: Outcome) -> None:
        right = "right" if outcome.right else "WRONG"
        print(f"{time.monotonic() - began:6.0f} s  {what:14} {right}  {outcome.words}", flush=True)

    async with cluster_of(Sandbox(folder / "sandbox")) as cluster:
        opened = lanes_in(cluster, folder / "seeds", runner)
        there = Lanes(opened, with_faults, lambda seed, one: tell(f"seed {seed}", one))
        of_seeds = await there.run(played, lanes)
        of_kills: dict[int, Outcome] = {}
        if first:
            of_kills = await every_kill(
                cluster, folder / "kills", runner, lanes, lambda k, one: tell(f"action {k}", one), first=first
            )
    wrong = [f"seed {seed}" for seed, one in of_seeds.items() if not one.right]
    wrong += [f"action {number}" for number, one in of_kills.items() if not one.right]
    print(
        f"{len(of_seeds)} seeds and {len(of_kills)} kills in {time.monotonic() - began:.0f} s: "
        + (f"{len(wrong)} ended in the wrong state: {', '.join(wrong)}" if wrong else "all ended in the right state"),
    )
    if any(one.startswith("seed") for one in wrong):
        print("put each seed into tests/faults/seeds.txt, with its reason: it is a test from now on")
    return not wrong


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many, from 0 on; those that once failed are added")
    parser.add_argument("--seed", type=int, action="append", help="only this one; repeatable")
    parser.add_argument("--action", type=int, default=1, help="the first one that is killed at")
    parser.add_argument("--lanes", type=int, default=LANES, help="stories that are told at a time")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--no-kills", action="store_true", help="seeds only")
    only.add_argument("--no-seeds", action="store_true", help="kills only")
    parser.add_argument("--keep", type=Path, help="folder for everything, which is kept")
    arguments = parser.parse_args()
    played = [] if arguments.no_seeds else arguments.seed or seeds(arguments.seeds)
    with asyncio.Runner() as runner, tempfile.TemporaryDirectory(prefix="coalmine-faults-") as temporary:
        folder = arguments.keep or Path(temporary)
        first = 0 if arguments.no_kills else arguments.action
        right = runner.run(play(folder, runner, played, arguments.lanes, first))
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
