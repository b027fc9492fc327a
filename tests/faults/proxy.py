"""A reverse proxy that carries a fault plan out: before the API server, the Git host or Prometheus.

Answers are passed on whole, watches of the API server line by line. What the operator does can be counted, and
something done right when an action was answered, before or after the operator hears of it.
"""

import asyncio
import json
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web

from tests.faults.plan import STATUS, WATCHES, Fault, Place, Plan, Trouble
from tests.support.proxy import HOP_HEADERS

BODY_BYTES_MAX = 64 * 1024 * 1024
HELD_SECONDS_MAX = 0.5
"""How long a line waits for another one to overtake it."""
# What a client of ours would add; a real API server refuses a GET that says what its body is.
_AUTOMATIC = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_REASONS = {403: "Forbidden", 410: "Expired", 429: "TooManyRequests", 500: "InternalError"}

Seen = Callable[[web.Request, int], Awaitable[None]]
"""Told of a request that the real part has answered with a status."""


async def _nobody(_: web.Request, __: int) -> None:
    return None


class FaultProxy:
    """Stands before one real part.

    Args:
        target: base URL of it.
        place: which faults of a plan are its own.
        tls: how an https target is trusted.

    Attributes:
        answered: told before the client hears the answer.
        heard: told after it.
        faults: what has gone wrong so far, by kind.
    """

    def __init__(self, target: str, place: Place, tls: ssl.SSLContext | None = None) -> None:
        self._target, self._place, self._tls = target, place, tls
        self.gate: Callable[[web.Request], Trouble | None] = lambda _: None
        """What a test itself wants to go wrong, before any plan."""
        self.forget()
        self._streams: set[web.StreamResponse] = set()
        self.follow(Plan())

    def forget(self) -> None:
        """Tell nobody any more."""
        self.answered: Seen = _nobody
        self.heard: Seen = _nobody

    def follow(self, plan: Plan) -> None:
        """Do what a plan says, from its first request on."""
        self._plan = plan
        self._requests = self._lines = 0
        self._outage: tuple[float, Fault] = (0.0, Fault.CUT)
        self.faults: Counter[Fault] = Counter()

    async def __aenter__(self) -> Self:
        # Bodies go through as they are, compressed ones too.
        connector = aiohttp.TCPConnector(ssl=self._tls if self._tls is not None else True, limit=0)
        self._session = aiohttp.ClientSession(
            connector=connector, auto_decompress=False, timeout=aiohttp.ClientTimeout(total=None)
        )
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        app.router.add_route("*", "/{path:.*}", self._handle)
        # A watch whose client was killed must not live on; the operator's own are ended with the proxy.
        self._runner = web.AppRunner(
            app, access_log=None, auto_decompress=False, handler_cancellation=True, shutdown_timeout=1.0
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self._port = int(self._runner.addresses[0][1])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()
        await self._session.close()

    @property
    def url(self) -> str:
        """Base URL of the proxy."""
        return f"http://127.0.0.1:{self._port}"

    def cut_watches(self) -> None:
        """End the connections of all watches that run."""
        for stream in list(self._streams):
            _close(stream)

    def _trouble(self, request: web.Request) -> Trouble | None:
        """What happens to this request: the test's own wish, an outage that lasts, or the plan's next entry."""
        wished = self.gate(request)
        if wished is not None:
            return wished
        number, self._requests = self._requests, self._requests + 1
        until, kind = self._outage
        if time.monotonic() < until:
            return Trouble(kind)
        trouble = self._plan.trouble(self._place, number)
        if trouble is not None and trouble.seconds and trouble.fault is not Fault.DELAY:
            self._outage = (time.monotonic() + trouble.seconds, trouble.fault)
        return trouble

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        trouble = self._trouble(request)
        fault = trouble.fault if trouble is not None else None
        if trouble is not None:
            self.faults[trouble.fault] += 1
        if fault is Fault.CUT:
            return _broken(request)
        if fault in STATUS:
            return _refused(STATUS[fault])
        if fault is Fault.EXPIRED:
            return web.Response(body=_error_line(410), content_type="application/json")
        if trouble is not None and fault is Fault.DELAY:
            await asyncio.sleep(trouble.seconds)
        sent = await request.read()
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_HEADERS}
        try:
            async with self._session.request(
                request.method, f"{self._target}{request.path_qs}", data=sent or None, headers=headers,
                skip_auto_headers=_AUTOMATIC, allow_redirects=False,
            ) as response:  # fmt: skip
                if response.status == 200 and request.query.get("watch") in {"true", "1"}:
                    return await self._stream(request, response)
                return await self._answer(request, response, fault)
        except aiohttp.ClientConnectionError:
            return _broken(request)

    async def _answer(
        self, request: web.Request, response: aiohttp.ClientResponse, fault: Fault | None
    ) -> web.StreamResponse:
        body = await response.read()
        await self.answered(request, response.status)
        if fault is Fault.CUT_AFTER:
            return _broken(request)
        answer = web.StreamResponse(status=response.status, headers=_headers(response))
        answer.content_length = len(body)
        await answer.prepare(request)
        if fault is Fault.HALF and len(body) > 1:
            await answer.write(body[: len(body) // 2])
            _close(answer)
            return answer
        await answer.write_eof(body)
        await self.heard(request, response.status)
        return answer

    async def _stream(self, request: web.Request, response: aiohttp.ClientResponse) -> web.StreamResponse:
        stream = web.StreamResponse(headers=_headers(response))
        await stream.prepare(request)
        self._streams.add(stream)
        try:
            if await self._pass_lines(response, stream):
                await stream.write_eof()
        except ConnectionError:
            return stream  # The client has gone.
        finally:
            self._streams.discard(stream)
        return stream

    async def _pass_lines(self, response: aiohttp.ClientResponse, stream: web.StreamResponse) -> bool:
        """Pass a watch on; whether its end is a clean one."""
        lines = Lines(response)
        while line := await lines.next():
            number, self._lines = self._lines, self._lines + 1
            trouble = self._plan.trouble(WATCHES, number)
            if trouble is None:
                await stream.write(line)
                continue
            self.faults[trouble.fault] += 1
            match trouble.fault:
                case Fault.DELAY:
                    await asyncio.sleep(trouble.seconds)
                    await stream.write(line)
                case Fault.DUPLICATE:
                    await stream.write(line + line)
                case Fault.REORDER:
                    # In one piece, so that no cut makes a reordered event a lost one.
                    await stream.write(await lines.next(HELD_SECONDS_MAX) + line)
                case Fault.GONE | Fault.BUSY | Fault.BROKEN:
                    await stream.write(_error_line(STATUS[trouble.fault]))
                    return True
                case Fault.HALF_AND_END:
                    await stream.write(line[: len(line) // 2])
                    return True
                case fault:
                    await stream.write(line[: len(line) // 2] if fault is Fault.HALF else b"")
                    _close(stream)
                    return False
        return True


class Lines:
    """The lines of an answer that does not end."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._chunks: AsyncIterator[bytes] = response.content.iter_any()
        self._rest = b""
        self._coming: asyncio.Task[bytes] | None = None

    async def next(self, seconds: float | None = None) -> bytes:
        """The next line with its end; nothing at the end of the answer, or when none has come in time."""
        while b"\n" not in self._rest:
            if self._coming is None:
                self._coming = asyncio.ensure_future(self._chunk())
            try:
                done, _ = await asyncio.wait([self._coming], timeout=seconds)
            except asyncio.CancelledError:
                self._coming.cancel()
                raise
            if not done:
                return b""
            chunk, self._coming = self._coming.result(), None
            if not chunk:
                return b""
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        return line + b"\n"

    async def _chunk(self) -> bytes:
        try:
            return await anext(self._chunks, b"")
        except (aiohttp.ClientError, ConnectionError):
            return b""


def _headers(response: aiohttp.ClientResponse) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name.lower() not in HOP_HEADERS}


def _close(response: web.StreamResponse) -> None:
    """End a connection in the middle of an answer; what was written before still arrives."""
    request = response._req
    if request is not None and request.transport is not None:
        request.transport.close()


def _broken(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=503)


def _status(code: int) -> bytes:
    told = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code}
    return json.dumps({**told, "reason": _REASONS[code], "message": "it was planned that this fails"}).encode()


def _refused(code: int) -> web.Response:
    return web.Response(status=code, body=_status(code), content_type="application/json")


def _error_line(code: int) -> bytes:
    return b'{"type":"ERROR","object":' + _status(code) + b"}\n"
