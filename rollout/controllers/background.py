"""Jobs beside the turns: named, one of a name at a time, bounded in number, ended with the process."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from rollout.errors import CoalmineError

log = logging.getLogger("coalmine.jobs")
JOBS_MAX = 256
CANCEL_SECONDS_MAX = 5.0


class Background:
    """Runs jobs; as an asynchronous context it cancels what is left at the end."""

    def __init__(self, limit: int = JOBS_MAX) -> None:
        self._limit = limit
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None

    async def __aenter__(self) -> Self:
        self._group = await asyncio.TaskGroup().__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in tuple(self._tasks.values()):
            task.cancel()
        if self._group is not None:
            await self._group.__aexit__(kind, error, trace)

    async def cancel(self) -> None:
        """End all jobs; later ones may be started. One that does not heed it is waited for no longer than a while."""
        tasks = tuple(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CANCEL_SECONDS_MAX)

    def is_running(self, name: str) -> bool:
        """Whether the job of a name has not ended yet."""
        return name in self._tasks

    def start(self, name: str, work: Callable[[], Awaitable[None]]) -> bool:
        """Start a job; False where one of this name runs, or too many do: a later turn asks again."""
        if self._group is None or name in self._tasks or len(self._tasks) >= self._limit:
            return False
        self._tasks[name] = self._group.create_task(self._guarded(name, work))
        return True

    async def _guarded(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except CoalmineError as error:
            log.warning("job %s: %s", name, error)
        except Exception:  # A fault in one job must not end the others; its turn starts it again.
            log.exception("job %s failed", name)
        finally:
            self._tasks.pop(name, None)
