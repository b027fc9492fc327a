"""Every kill point in turn, a few lanes at a time: until a telling has ended before its number was reached."""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.faults.cluster import Cluster
from tests.faults.executioner import ACTIONS_MAX, with_a_kill
from tests.faults.lanes import LANES, Lanes, Outcome
from tests.faults.story import Lane, lanes_in


class Numbers:
    """1, 2, 3 ... or others at a distance, until one was not reached."""

    def __init__(self, step: int = 1, first: int = 1) -> None:
        self.ended, self._step, self._first = False, step, first

    def __iter__(self) -> Iterator[int]:
        numbers = itertools.count(self._first, self._step)
        return itertools.takewhile(lambda number: not self.ended and number <= ACTIONS_MAX, numbers)


async def every_kill(
    cluster: Cluster,
    folder: Path,
    runner: asyncio.Runner,
    lanes: int = LANES,
    told: Callable[[int, Outcome], None] = lambda *_: None,
    step: int = 1,
    first: int = 1,
) -> dict[int, Outcome]:
    """The outcome of each kill point, or of every so many, of those that were reached."""
    numbers, reached = Numbers(step, first), set[int]()

    async def tell(it: Lane, number: int) -> str:
        executioner = await with_a_kill(it, number)
        if not executioner.killed.is_set():
            numbers.ended = True
            return f"not reached, {len(executioner.done)} actions"
        reached.add(number)
        return f"killed at {executioner.done[number - 1]}"

    outcomes = await Lanes(lanes_in(cluster, folder, runner), tell, told).run(numbers, lanes)
    return {number: one for number, one in sorted(outcomes.items()) if number in reached or not one.right}
