"""Several lanes at a time: each takes the next case, and one in which a story ended wrongly is left for a new one."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from tests.faults.cluster import Cluster
from tests.faults.story import Lane, lane, words_of

Case = TypeVar("Case")
LANES = 3


@dataclass(frozen=True)
class Outcome:
    """How a case ended: right, with a few words, or wrong, with many."""

    right: bool
    words: str


class Lanes(Generic[Case]):
    """Tells the story for each case.

    Args:
        cluster: where.
        folder: what the lanes keep.
        runner: of the loop that everything runs in.
        tell: tells it once in a lane; its words are kept.
        told: called with each outcome.
    """

    def __init__(
        self,
        cluster: Cluster,
        folder: Path,
        runner: asyncio.Runner,
        tell: Callable[[Lane, Case], Awaitable[str]],
        told: Callable[[Case, Outcome], None] = lambda *_: None,
    ) -> None:
        self._cluster, self._folder, self._runner = cluster, folder, runner
        self._tell, self._told = tell, told
        self._opened = 0
        self.outcomes: dict[Case, Outcome] = {}

    async def run(self, cases: Iterable[Case], lanes: int = LANES) -> dict[Case, Outcome]:
        """All cases, a few at a time."""
        waiting = iter(cases)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(lanes):
                tasks.create_task(self._serve(waiting))
        return self.outcomes

    async def _serve(self, waiting: Iterator[Case]) -> None:
        first = next(waiting, None)
        while first is not None:
            first = await self._one_lane(first, waiting)

    async def _one_lane(self, first: Case, waiting: Iterator[Case]) -> Case | None:
        """Cases until there are none, or until one ends wrongly; returns the one that is next then."""
        self._opened += 1
        try:
            async with lane(self._cluster, self._folder / f"lane-{self._opened}", self._runner) as it:
                case: Case | None = first
                while case is not None:
                    right = await self._one_case(it, case)
                    case = next(waiting, None)
                    if not right:
                        return case
        except Exception as error:  # noqa: BLE001  a lane that cannot be opened is the outcome of its case
            if first not in self.outcomes:
                self._keep(first, Outcome(False, f"no lane: {words_of(error)}"))
            return next(waiting, None)
        return None

    async def _one_case(self, it: Lane, case: Case) -> bool:
        try:
            outcome = Outcome(True, await self._tell(it, case))
        except Exception as error:  # noqa: BLE001  whatever went wrong is the outcome
            outcome = Outcome(False, f"{words_of(error)}\nthe operator's last words: {_end_of(it.operator.log)}")
        self._keep(case, outcome)
        return outcome.right

    def _keep(self, case: Case, outcome: Outcome) -> None:
        self.outcomes[case] = outcome
        self._told(case, outcome)


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-3000:] if log.exists() else "none"
