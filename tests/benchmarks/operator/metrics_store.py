"""A metrics store that says what a benchmark wants, and remembers when it first said that a Rollout is bad."""

import re
import time
from types import TracebackType
from typing import Self

from aiohttp import web

_NAME = re.compile(r'rollout="([^"]+)"')


class MetricsStore:
    """Prometheus' instant queries on 127.0.0.1; as an asynchronous context it serves."""

    def __init__(self) -> None:
        self.bad: set[str] = set()
        self.told_at: dict[str, float] = {}
        """By Rollout: when the first bad value was on its way (epoch seconds)."""
        self.asked: set[str] = set()
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/api/v1/query", self._answer)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        found = _NAME.search(str((await request.post())["query"]))
        name = found[1] if found else ""
        self.asked.add(name)
        if name in self.bad:
            self.told_at.setdefault(name, time.time())
        sample = {"metric": {}, "value": [time.time(), "1" if name in self.bad else "0"]}
        return web.json_response({"status": "success", "data": {"resultType": "vector", "result": [sample]}})
