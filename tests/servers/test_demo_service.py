"""The demo service as a process: its faults are real, and its own metrics show them."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from rollout.sandbox.node.behaviour import Behaviour, read_behaviour
from tests.support.live_pods import LivePod

BOUND_SECONDS = 60.0
MEGABYTE = 1024 * 1024


class Asked:
    """A pod, and somebody who asks it."""

    def __init__(self, pod: LivePod, session: aiohttp.ClientSession) -> None:
        self.pod, self._session = pod, session

    async def ask(self, count: int) -> list[int]:
        """The statuses of so many answers."""
        statuses = []
        for _ in range(count):
            async with self._session.get(self.pod.url) as answer:
                statuses.append(answer.status)
        return statuses

    async def metric(self, name: str) -> float:
        async with self._session.get(f"{self.pod.url}metrics") as answer:
            lines = (await answer.text()).splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))


def play(folder: Path, behaviour: Behaviour, story: Callable[[Asked], Awaitable[Any]]) -> Any:
    @asynccontextmanager
    async def asked() -> AsyncIterator[Asked]:
        pod = LivePod("demo-pod-1", behaviour, folder)
        await pod.start()
        try:
            async with aiohttp.ClientSession() as session, asyncio.timeout(BOUND_SECONDS):
                yield Asked(pod, session)
        finally:
            await pod.part.kill()

    async def run() -> Any:
        async with asked() as it:
            return await story(it)

    return asyncio.run(run())


def test_processor_time_of_requests_is_really_used(tmp_path: Path) -> None:
    async def story(it: Asked) -> float:
        before = await it.metric("process_cpu_seconds_total")
        await it.ask(50)
        return await it.metric("process_cpu_seconds_total") - before

    assert play(tmp_path, Behaviour("1", cpu_seconds_per_request=0.01), story) >= 0.5


def test_what_requests_leak_is_resident(tmp_path: Path) -> None:
    async def story(it: Asked) -> float:
        before = await it.metric("process_resident_memory_bytes")
        await it.ask(30)
        return await it.metric("process_resident_memory_bytes") - before

    assert play(tmp_path, Behaviour("1", leak_bytes_per_request=MEGABYTE), story) >= 29 * MEGABYTE


def test_a_leak_goes_on_without_requests(tmp_path: Path) -> None:
    async def story(it: Asked) -> None:
        before = await it.metric("process_resident_memory_bytes")
        while await it.metric("process_resident_memory_bytes") < before + 10 * MEGABYTE:
            await asyncio.sleep(0.1)

    play(tmp_path, Behaviour("1", leak_bytes_per_second=20 * MEGABYTE), story)


def test_an_incident_lasts_as_long_as_its_file(tmp_path: Path) -> None:
    down = tmp_path / "down"

    async def story(it: Asked) -> tuple[list[int], list[int]]:
        down.touch()
        hurt = await it.ask(20)
        down.unlink()
        return hurt, await it.ask(40)

    hurt, healed = play(tmp_path, Behaviour("1", error_rate=0.34, incident_file=str(down)), story)
    assert set(hurt) == {500}
    assert set(healed) == {200, 500}


def test_every_request_is_in_the_counter_and_in_one_bucket(tmp_path: Path) -> None:
    async def story(it: Asked) -> tuple[float, ...]:
        await it.ask(25)
        names = ("http_requests_total", "http_request_duration_seconds_count", "http_request_duration_seconds_sum")
        return tuple([await it.metric(name) for name in names])

    requests, count, seconds = play(tmp_path, Behaviour("1", error_rate=0.5, latency_seconds=0.01), story)
    assert requests == count == 25
    assert seconds > 25 * 0.005


def test_the_environment_goes_before_the_image(tmp_path: Path) -> None:
    image = tmp_path / "1.json"
    image.write_text(json.dumps(asdict(Behaviour("1", error_rate=0.1, leak_bytes_per_second=7))))
    told = read_behaviour(image, {"ERROR_RATE": "0.5", "LEAK_BYTES_PER_REQUEST": "12", "INCIDENT_FILE": "/down"})
    assert told == Behaviour(
        "1", error_rate=0.5, leak_bytes_per_request=12, leak_bytes_per_second=7, incident_file="/down"
    )
    with pytest.raises(ValueError, match="many"):
        read_behaviour(image, {"ERROR_RATE": "many"})


def test_an_image_of_an_older_sandbox_still_runs(tmp_path: Path) -> None:
    image = tmp_path / "1.json"
    image.write_text('{"version": "1", "error_rate": 0.1}')
    assert read_behaviour(image, {}) == Behaviour("1", error_rate=0.1)
