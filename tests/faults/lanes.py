"""Several lanes at a time: each takes the next case, and one in which a story ended wrongly is left for a new one."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Generic, TypeVar

Place = TypeVar("Place")
Case = TypeVar("Case")
LANES = 5
log = logging.getLogger("faults")


@dataclass(frozen=True)
class Outcome:
    """How a case ended: right, with a few words, or wrong, with many."""

    right: bool
    words: str


class Lanes(Generic[Place, Case]):
    """Tells the story for each case.

    Args:
        opened: opens the n-th lane.
        tell: tells the story once in a lane; its words are kept, and what it raises is an outcome too.
        told: called with each outcome.
    """

    def __init__(
        self,
        opened: Callable[[int], AbstractAsyncContextManager[Place]],
        tell: Callable[[Place, Case], Awaitable[str]],
        told: Callable[[Case, Outcome], None] = lambda *_: None,
    ) -> None:
        self._open, self._tell, self._told = opened, tell, told
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
        case: Case | None = first
        try:
            async with self._open(self._opened) as it:
                right = True
                while right and case is not None:
                    right = await self._one_case(it, case)
                    case = next(waiting, None)
        except Exception as error:  # noqa: BLE001  a lane that cannot be opened is the outcome of its case
            if first not in self.outcomes:
                self._keep(first, Outcome(False, f"no lane: {words_of(error)}"))
                case = next(waiting, None)
        return case

    async def _one_case(self, it: Place, case: Case) -> bool:
        try:
            outcome = Outcome(True, await self._tell(it, case))
        except Exception as error:  # noqa: BLE001  whatever went wrong is the outcome
            outcome = Outcome(False, words_of(error))
        self._keep(case, outcome)
        return outcome.right

    def _keep(self, case: Case, outcome: Outcome) -> None:
        self.outcomes[case] = outcome
        log.info("%s: %s, %s", case, "right" if outcome.right else "WRONG", outcome.words)
        self._told(case, outcome)


def words_of(error: BaseException) -> str:
    """What went wrong, in a few lines."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(words_of(one) for one in error.exceptions)
    notes = "\n".join(getattr(error, "__notes__", ()))
    return f"{type(error).__name__}: {error}"[:4000] + (f"\n{notes}" if notes else "")
