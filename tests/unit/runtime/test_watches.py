"""The watches begin again, whatever ended them."""

import asyncio
from typing import NoReturn

import pytest

from rollout.kube.resources import ROLLOUTS
from rollout.runtime import watches

BOUND_SECONDS = 120.0


@pytest.mark.parametrize("end", [asyncio.CancelledError, OSError])
def test_watches_that_ended_by_anything_begin_again(end: type[BaseException]) -> None:
    connected = 0

    def connect() -> NoReturn:
        nonlocal connected
        connected += 1
        raise end

    async def story() -> None:
        again = asyncio.Event()
        watched = watches.Watches(connect, (ROLLOUTS,), (), watches.settings({}), lambda *_: None)
        async with asyncio.timeout(BOUND_SECONDS), asyncio.TaskGroup() as tasks:
            supervising = tasks.create_task(watched.supervise(lambda: again.set() if connected > 1 else None))
            await asyncio.wait([supervising, tasks.create_task(again.wait())], return_when=asyncio.FIRST_COMPLETED)
            assert not supervising.done()
            supervising.cancel()

    asyncio.run(story())
    assert connected == 2
