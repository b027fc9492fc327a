"""The work queue: N events of a key are one turn, never two turns of a key at once, one heap for all deadlines.

What nobody waits for stands beside it, for a worker of its own: it holds nobody up, and nobody holds it up for ever.
"""

import asyncio
import heapq
import random
from collections import OrderedDict
from typing import Generic, TypeVar

from rollout.runtime.clock import now

K = TypeVar("K")

RETRY_SECONDS_FIRST = 0.05
RETRY_SECONDS_MAX = 60.0


class WorkQueue(Generic[K]):
    """A de-duplicating queue with absolute deadlines, as in client-go."""

    def __init__(self) -> None:
        self._ready: asyncio.Queue[K] = asyncio.Queue()  # Bounded by the number of keys: a key is in it at most once.
        self._waiting: set[K] = set()
        self._later: OrderedDict[K, None] = OrderedDict()
        self._some_later = asyncio.Event()
        self._busy: set[K] = set()
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._failures: dict[K, int] = {}
        self._order = 0
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting) + len(self._later)

    def add(self, key: K, *, later: bool = False) -> None:
        """Ask for a turn; more calls before it are one, and later only where all of them say so."""
        if key in self._waiting:
            return
        if later:
            self._later[key] = None
            self._some_later.set()
            return
        self._later.pop(key, None)
        self._waiting.add(key)
        if key not in self._busy:
            self._ready.put_nowait(key)

    def wake(self, key: K, at: float | None) -> None:
        """Ask for a turn at a time (epoch seconds); the last wish counts, None takes it back."""
        if at is None:
            self._due.pop(key, None)
            return
        if self._due.get(key) == at:
            return
        self._due[key] = at
        self._order += 1
        heapq.heappush(self._heap, (at, self._order, key))
        self._changed.set()

    def retry(self, key: K) -> float:
        """Ask for a turn after a growing, jittered delay; returns the delay in seconds."""
        failures = self._failures[key] = min(self._failures.get(key, 0) + 1, 20)
        delay = float(min(RETRY_SECONDS_FIRST * 2.0 ** (failures - 1), RETRY_SECONDS_MAX)) * random.uniform(0.8, 1.2)
        self.wake(key, now() + delay)
        return delay

    def succeeded(self, key: K) -> None:
        """The next failure begins with a short delay again."""
        self._failures.pop(key, None)

    async def get(self) -> K:
        """The next key; call `done` when its turn is over."""
        key = await self._ready.get()
        self._waiting.discard(key)
        self._busy.add(key)
        return key

    async def get_later(self) -> K:
        """The next key that nobody waits for; call `done` when its turn is over."""
        while True:
            key = next((key for key in self._later if key not in self._busy), None)
            if key is not None:
                del self._later[key]
                self._busy.add(key)
                return key
            self._some_later.clear()
            await self._some_later.wait()

    def done(self, key: K) -> None:
        """The turn is over; what was asked meanwhile is next."""
        self._busy.discard(key)
        if key in self._waiting:
            self._ready.put_nowait(key)
        if key in self._later:
            self._some_later.set()

    async def run_deadlines(self) -> None:
        """Move keys whose time has come into the queue: the only timer of all keys."""
        while True:
            self._changed.clear()
            while self._heap and self._heap[0][0] <= now():
                at, _, key = heapq.heappop(self._heap)
                if self._due.get(key) == at:
                    del self._due[key]
                    self.add(key)
            delay = max(self._heap[0][0] - now(), 0.001) if self._heap else None
            try:
                async with asyncio.timeout(delay):
                    await self._changed.wait()
            except TimeoutError:
                continue
