"""A reverse proxy before a real part: what goes wrong between two programs is set by the test, the rest is real.

async with Proxy("http://127.0.0.1:9090") as proxy:
    proxy.answer(500, b"oops")      # every request is answered by the proxy
    proxy.rewrite(as_nan)           # real answers, changed on their way
    await proxy.down()              # nobody listens any more
    await proxy.up()
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
_BODY_BYTES_MAX = 64 * 1024 * 1024
_CHUNK_BYTES = 1024 * 1024
# What belongs to one connection only, or is counted anew for the next one.
HOP_HEADERS = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "host"})


def _always(_: web.Request) -> bool:
    return True


@dataclass
class Proxy:
    """Forwards to one address, as long as the test does not say otherwise.

    Attributes:
        target: base URL of the real part, on this machine.
        seen: method, path and query of each request that arrived.
        passed: of those, what the real part was asked.
    """

    target: str
    seen: list[str] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        self.forward()
        self._hook: tuple[str, Callable[[], Awaitable[None]]] | None = None
        self._port = 0
        # Bodies go through as they are, compressed ones too.
        self._session = aiohttp.ClientSession(auto_decompress=False)
        app = web.Application(client_max_size=_BODY_BYTES_MAX)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, auto_decompress=False)
        await self._runner.setup()
        await self.up()
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

    def forward(self) -> None:
        """Let everything pass."""
        self._answer: Answer = self._forwarded
        self._matches: Callable[[web.Request], bool] = _always

    def answer(self, status: int, body: bytes, only: Callable[[web.Request], bool] = _always) -> None:
        """Answer without asking the real part."""

        async def answered(_: web.Request) -> web.StreamResponse:
            return web.Response(status=status, body=body, content_type="application/json")

        self._answer, self._matches = answered, only

    def rewrite(self, change: Callable[[bytes], bytes]) -> None:
        """Change the bodies of real answers."""

        async def rewritten(request: web.Request) -> web.StreamResponse:
            status, headers, body = await self._ask(request)
            return web.Response(status=status, headers=headers, body=change(body))

        self._answer, self._matches = rewritten, _always

    def flood(self, head: bytes, total_bytes: int) -> None:
        """Answer with a head and blanks, as many bytes as said, or as the client takes."""

        async def flooded(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Type": "application/json"})
            await response.prepare(request)
            try:
                await response.write(head)
                for _ in range(0, total_bytes, _CHUNK_BYTES):
                    await response.write(b" " * _CHUNK_BYTES)
                await response.write_eof()
            except ConnectionError:
                return response  # The client has had enough.
            return response

        self._answer, self._matches = flooded, _always

    def before(self, path_end: str, hook: Callable[[], Awaitable[None]]) -> None:
        """Do something once, right before the next POST to a path is passed on."""
        self._hook = (path_end, hook)

    async def down(self) -> None:
        """Stop listening, and break what is connected."""

        async def broken(request: web.Request) -> web.StreamResponse:
            if request.transport is not None:
                request.transport.abort()
            raise web.HTTPServiceUnavailable

        self._answer, self._matches = broken, _always
        await self._site.stop()

    async def up(self) -> None:
        """Listen again at the same address, and let everything pass."""
        self.forward()
        self._site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await self._site.start()
        self._port = int(self._runner.addresses[0][1])

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(f"{request.method} {request.path_qs}")
        return await (self._answer(request) if self._matches(request) else self._forwarded(request))

    async def _forwarded(self, request: web.Request) -> web.StreamResponse:
        status, headers, body = await self._ask(request)
        return web.Response(status=status, headers=headers, body=body)

    async def _ask(self, request: web.Request) -> tuple[int, dict[str, str], bytes]:
        """What the real part answers."""
        sent = await request.read()
        hook = self._hook
        if hook is not None and request.method == "POST" and request.path.endswith(hook[0]):
            self._hook = None
            await hook[1]()
        self.passed.append(f"{request.method} {request.path_qs}")
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_HEADERS}
        async with self._session.request(
            request.method, f"{self.target}{request.path_qs}", data=sent, headers=headers, allow_redirects=False
        ) as response:
            body = await response.read()
            told = {name: value for name, value in response.headers.items() if name.lower() not in HOP_HEADERS}
            return response.status, told, body
