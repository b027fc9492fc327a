"""The proxy does to answers and to watches what it says it does."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiohttp
import pytest
from aiohttp import web

from tests.faults.plan import KUBERNETES, STATUS, WATCHES, Fault, Place, Plan, Trouble
from tests.faults.proxy import FaultProxy

LINES = [b'{"type":"ADDED","object":{"number":%d}}\n' % number for number in range(4)]
ASKED = web.AppKey("asked", list[str])
HEADERS = web.AppKey("headers", list[set[str]])
BODY = b'{"items": [1, 2, 3]}'


@dataclass(frozen=True)
class Once(Plan):
    """One fault, at one request or line."""

    place: Place = KUBERNETES
    number: int = 0
    what: Trouble | None = None

    def trouble(self, place: Place, number: int) -> Trouble | None:
        return self.what if (place, number) == (self.place, self.number) else None


async def _serve(request: web.Request) -> web.StreamResponse:
    request.app[ASKED].append(request.path)
    request.app[HEADERS].append({name.lower() for name in request.headers})
    if "watch" not in request.query:
        return web.Response(body=BODY, content_type="application/json")
    stream = web.StreamResponse(headers={"Content-Type": "application/json"})
    await stream.prepare(request)
    for line in LINES:
        await stream.write(line)
    await stream.write_eof()
    return stream


Scene = Callable[[FaultProxy, aiohttp.ClientSession, list[str]], Awaitable[None]]


def play(scene: Scene, seen: list[set[str]] | None = None) -> None:
    async def whole() -> None:
        app = web.Application()
        app[ASKED], app[HEADERS] = [], seen if seen is not None else []
        app.router.add_route("*", "/{path:.*}", _serve)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        target = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            async with FaultProxy(target, KUBERNETES) as proxy, aiohttp.ClientSession() as session:
                await scene(proxy, session, app[ASKED])
        finally:
            await runner.cleanup()

    asyncio.run(whole())


async def watched(proxy: FaultProxy, session: aiohttp.ClientSession) -> tuple[list[bytes], bool]:
    """The lines of a watch, and whether it ended as if it were whole."""
    text, whole = b"", True
    async with session.get(f"{proxy.url}/apis/x?watch=true") as response:
        try:
            async for piece in response.content.iter_any():
                text += piece
        except aiohttp.ClientError:
            whole = False
    return text.splitlines(keepends=True), whole


def at_line(fault: Fault, number: int = 1, seconds: float = 0.0) -> Once:
    return Once(0, WATCHES, number, Trouble(fault, seconds))


@pytest.mark.parametrize(
    ("fault", "lines", "whole"),
    [
        (Fault.CUT, LINES[:1], False),
        (Fault.HALF, [LINES[0], LINES[1][: len(LINES[1]) // 2]], False),
        (Fault.HALF_AND_END, [LINES[0], LINES[1][: len(LINES[1]) // 2]], True),
        (Fault.DELAY, LINES, True),
        (Fault.DUPLICATE, [LINES[0], LINES[1], LINES[1], LINES[2], LINES[3]], True),
        (Fault.REORDER, [LINES[0], LINES[2], LINES[1], LINES[3]], True),
    ],
)
def test_a_watch_goes_wrong_as_planned(fault: Fault, lines: list[bytes], whole: bool) -> None:
    async def scene(proxy: FaultProxy, session: aiohttp.ClientSession, _: list[str]) -> None:
        assert await watched(proxy, session) == (LINES, True)
        proxy.follow(at_line(fault, seconds=0.01 if fault is Fault.DELAY else 0.0))
        assert await watched(proxy, session) == (lines, whole)
        assert proxy.faults == {fault: 1}
        assert await watched(proxy, session) == (LINES, True)

    play(scene)


def test_nothing_is_added_to_a_request() -> None:
    """A real API server refuses a GET that says what its body is."""
    seen = list[set[str]]()

    async def scene(proxy: FaultProxy, session: aiohttp.ClientSession, _: list[str]) -> None:
        bare = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
        async with session.get(f"{proxy.url}/a", headers={"X-Ours": "1"}, skip_auto_headers=bare) as response:
            assert await response.read() == BODY

    play(scene, seen)
    assert seen == [{"host", "x-ours"}]


@pytest.mark.parametrize("fault", [Fault.GONE, Fault.BUSY, Fault.BROKEN])
def test_a_watch_ends_with_an_error_line(fault: Fault) -> None:
    async def scene(proxy: FaultProxy, session: aiohttp.ClientSession, _: list[str]) -> None:
        proxy.follow(at_line(fault))
        lines, whole = await watched(proxy, session)
        assert (lines[:-1], whole) == (LINES[:1], True)
        event = json.loads(lines[-1])
        assert (event["type"], event["object"]["code"]) == ("ERROR", STATUS[fault])

    play(scene)


def test_a_line_that_nobody_follows_is_not_held_for_ever() -> None:
    async def scene(proxy: FaultProxy, session: aiohttp.ClientSession, _: list[str]) -> None:
        proxy.follow(at_line(Fault.REORDER, number=3))
        assert await watched(proxy, session) == (LINES, True)

    play(scene)


@pytest.mark.parametrize("fault", list(STATUS))
def test_a_refusal_never_reaches_the_real_part(fault: Fault) -> None:
    async def scene(proxy: FaultProxy, session: aiohttp.ClientSession, asked: list[str]) -> None:
        proxy.follow(Once(0, what=Trouble(fault)))
        async with session.get(f"{proxy.url}/a") as response:
            assert (response.status, (await response.json())["code"]) == (STATUS[fault], STATUS[fault])
        assert asked == []
        async with session.get(f"{proxy.url}/b") as response:
            assert await response.read() == BODY
        assert asked == ["/b"]

    play(scene)


@pytest.mark.parametrize(("fault", "reaches"), [(Fault.CUT, []), (Fault.CUT_AFTER, ["/a"]), (Fault.HALF, ["/a"])])
def test_a_cut_loses_the_request_or_only_its_answer(fault: Fault, reaches: list[str]) -> None:
    async def scene(proxy: FaultProxy, session: aiohttp.ClientSession, asked: list[str]) -> None:
        proxy.follow(Once(0, what=Trouble(fault)))
        with pytest.raises(aiohttp.ClientError):
            async with session.post(f"{proxy.url}/a") as response:
                await response.read()
        assert asked == reaches

    play(scene)


def test_an_outage_lasts_and_then_ends() -> None:
    async def scene(proxy: FaultProxy, session: aiohttp.ClientSession, asked: list[str]) -> None:
        proxy.follow(Once(0, what=Trouble(Fault.BROKEN, 0.5)))
        statuses: list[int] = []
        while 200 not in statuses:
            async with session.get(f"{proxy.url}/a") as response:
                statuses.append(response.status)
            await asyncio.sleep(0.05)
        assert statuses[0] == 500
        assert set(statuses[:-1]) == {500}
        assert asked == ["/a"]

    play(scene)
