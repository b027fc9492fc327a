"""Blocking git calls off the event loop: a bounded pool of threads, one writer a repository."""

import asyncio
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from rollout.git.mirror import Mirror, normalised_url
from rollout.git.upkeep import prepare

T = TypeVar("T")
THREADS_MAX = 8
_LOCKS_MAX = 10_000


class GitPool:
    """Mirrors below one folder, and the threads that work on them.

    Args:
        root: folder of the mirrors; a cache, it may be emptied between runs.
        threads: how many git calls run at the same time.
    """

    def __init__(self, root: Path, threads: int = THREADS_MAX) -> None:
        self.root = root
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="git")
        self._locks: dict[str, asyncio.Lock] = {}

    async def __aenter__(self) -> Self:
        prepare(self.root)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Wait for running calls (all are bounded in time) and end the threads."""
        with suppress(RuntimeError):
            await asyncio.to_thread(self._executor.shutdown, cancel_futures=True)

    def mirror(self, url: str) -> Mirror:
        """The mirror of a repository."""
        return Mirror.of(self.root, url)

    async def drop(self, url: str) -> None:
        """Remove the mirror of a repository that nobody asks for any more."""
        async with self.lock(url):
            await self.run(partial(shutil.rmtree, self.mirror(url).directory, ignore_errors=True))

    def lock(self, url: str) -> asyncio.Lock:
        """The lock of a repository: whoever fetches, builds or pushes holds it; readers of commits need not."""
        key = normalised_url(url)
        if key not in self._locks and len(self._locks) >= _LOCKS_MAX:
            self._locks = {name: lock for name, lock in self._locks.items() if lock.locked()}
        return self._locks.setdefault(key, asyncio.Lock())

    async def run(self, call: Callable[[], T]) -> T:
        """Result of a blocking call, from a thread of the pool."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)
