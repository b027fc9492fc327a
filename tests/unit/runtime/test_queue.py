"""The work queue: what nobody waits for stands beside everything else."""

import asyncio
from collections.abc import Callable, Coroutine

from rollout.runtime.queue import WorkQueue

BOUND_SECONDS = 60.0


def play(story: Callable[[WorkQueue[str]], Coroutine[None, None, None]]) -> None:
    async def whole() -> None:
        async with asyncio.timeout(BOUND_SECONDS):
            await story(WorkQueue())

    asyncio.run(whole())


def test_what_nobody_waits_for_is_not_in_the_way() -> None:
    async def story(queue: WorkQueue[str]) -> None:
        for number in range(200):
            queue.add(f"untouched {number}", later=True)
        queue.add("touched")
        assert await queue.get() == "touched"
        queue.add("touched again")
        assert await queue.get() == "touched again"
        assert await queue.get_later() == "untouched 0"
        assert len(queue) == 199

    play(story)


def test_it_gets_its_turn_however_much_else_is_asked_for() -> None:
    async def story(queue: WorkQueue[str]) -> None:
        for number in range(200):
            queue.add(f"touched {number}")
        queue.add("untouched", later=True)
        assert await queue.get_later() == "untouched"

    play(story)


def test_asked_for_both_ways_it_is_one_turn_at_once() -> None:
    async def story(queue: WorkQueue[str]) -> None:
        queue.add("web", later=True)
        queue.add("web")
        queue.add("web", later=True)
        queue.add("api", later=True)
        assert len(queue) == 2
        assert await queue.get() == "web"
        assert await queue.get_later() == "api"
        assert len(queue) == 0

    play(story)


def test_never_two_turns_of_a_key_at_once() -> None:
    async def story(queue: WorkQueue[str]) -> None:
        queue.add("web")
        assert await queue.get() == "web"
        queue.add("web", later=True)
        queue.add("api", later=True)
        assert await queue.get_later() == "api"
        waiting = asyncio.ensure_future(queue.get_later())
        queue.add("db", later=True)
        assert await waiting == "db"
        waiting = asyncio.ensure_future(queue.get_later())
        await asyncio.sleep(0)
        assert not waiting.done()
        queue.done("web")
        assert await waiting == "web"
        queue.add("web")
        urgent = asyncio.ensure_future(queue.get())
        await asyncio.sleep(0)
        assert not urgent.done()
        queue.done("web")
        assert await urgent == "web"

    play(story)


def test_who_waits_for_later_work_is_woken_by_it() -> None:
    async def story(queue: WorkQueue[str]) -> None:
        waiting = asyncio.ensure_future(queue.get_later())
        await asyncio.sleep(0)
        queue.add("web", later=True)
        assert await waiting == "web"

    play(story)
