"""A target that exposes whatever a test wants, to a real Prometheus."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

TEXT = "text/plain; version=0.0.4"


@asynccontextmanager
async def exposed(text: Callable[[], str | bytes], content_type: str = TEXT) -> AsyncIterator[str]:
    """Serve `/metrics` on a free port; a text (or protobuf) for each scrape. Yields the address."""

    async def answer(_: web.Request) -> web.Response:
        told = text()
        body = told.encode() if isinstance(told, str) else told
        return web.Response(body=body, headers={"Content-Type": content_type})

    app = web.Application()
    app.router.add_get("/metrics", answer)
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
