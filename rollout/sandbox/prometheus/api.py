"""Prometheus' query API: range vectors answer raw samples with their scrape times, everything else is prombed's."""

import re
import time
from typing import Any

from aiohttp import web
from prombed import PrombedError, PromQLEngine, parse_promql

from rollout.sandbox.prometheus.past import PastRefused
from rollout.sandbox.prometheus.store import SAMPLES_A_SERIES_MAX, Store

Json = dict[str, Any]
FORM_BYTES_MAX = 1024 * 1024
_FOREVER_MS = 2**53


def make_app(store: Store) -> web.Application:
    """The API over a store."""
    api = _Api(store)
    app = web.Application(client_max_size=FORM_BYTES_MAX)
    for path, handler in (
        ("/api/v1/query", api.query),
        ("/api/v1/query_range", api.query_range),
        ("/api/v1/labels", api.labels),
        ("/api/v1/series", api.series),
        ("/api/v1/status/buildinfo", api.build),
        ("/-/ready", api.ready),
    ):
        app.router.add_route("GET", path, handler)
        app.router.add_route("POST", path, handler)
    app.router.add_post("/api/v1/import", api.imports)
    return app


class _Api:
    def __init__(self, store: Store) -> None:
        self._storage, self._past = store.storage, store.past
        self._engine = PromQLEngine(store.storage)

    async def ready(self, _: web.Request) -> web.Response:
        return web.Response(text="Ready.\n")

    async def build(self, _: web.Request) -> web.Response:
        return _success({"version": "2.42.0-coalmine-sandbox"})

    async def query(self, request: web.Request) -> web.Response:
        form = await _form(request)
        at_ms = _milliseconds(form.get("time")) or int(time.time() * 1000)
        try:
            expression = parse_promql(form.get("query", ""))
            range_ms = getattr(expression, "range_ms", None)
            if range_ms is not None and hasattr(expression, "matchers"):
                return _success(self._raw(expression, at_ms - range_ms, at_ms))
            return web.json_response(_answer(self._engine.query(form["query"], at_ms)))
        except (PrombedError, ValueError, KeyError, re.error) as error:
            return _failure(str(error))

    def _raw(self, expression: Any, after_ms: int, until_ms: int) -> Json:
        past = self._past.select(expression.matchers, after_ms, until_ms)
        series = [
            {"metric": labels, "values": [[at / 1000, _text(value)] for at, value in samples.tolist()]}
            for labels, samples in past
        ]
        for found in self._storage.select(list(expression.matchers)):
            values = [
                [sample.timestamp / 1000, _text(sample.value)]
                for sample in found.samples
                if after_ms < sample.timestamp <= until_ms and not sample.stale
            ]
            if values:
                series.append({"metric": dict(found.labels), "values": values[-SAMPLES_A_SERIES_MAX:]})
        return {"resultType": "matrix", "result": series}

    async def imports(self, request: web.Request) -> web.Response:
        """VictoriaMetrics' import: history that nobody has to wait for."""
        try:
            self._past.add(await request.read())
        except PastRefused as error:
            return _failure(str(error))
        return web.Response(status=204)

    async def query_range(self, request: web.Request) -> web.Response:
        form = await _form(request)
        try:
            times = [_milliseconds(form.get(name)) or 0 for name in ("start", "end", "step")]
            return web.json_response(_answer(self._engine.query_range(form.get("query", ""), *times)))
        except (PrombedError, ValueError) as error:
            return _failure(str(error))

    async def series(self, request: web.Request) -> web.Response:
        form = await _form(request)
        try:
            expression: Any = parse_promql(form.get("match[]", '{__name__=~".+"}'))
            live = [dict(found.labels) for found in self._storage.select(list(expression.matchers))]
            past = [labels for labels, _ in self._past.select(expression.matchers, 0, _FOREVER_MS)]
            return _success([*live, *past])
        except (PrombedError, AttributeError) as error:
            return _failure(str(error))

    async def labels(self, _: web.Request) -> web.Response:
        names = {name for found in self._storage.select([]) for name in found.labels}
        return _success(sorted(names))


async def _form(request: web.Request) -> dict[str, str]:
    posted = await request.post() if request.method == "POST" else {}
    return {**dict(request.query), **{key: str(value) for key, value in posted.items()}}


def _milliseconds(text: str | None) -> int | None:
    return None if text is None else int(float(text.removesuffix("s")) * 1000)


def _text(value: float) -> str:
    words = {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}
    return words.get(str(value), repr(value))


def _answer(result: Json) -> Json:
    return result if "status" in result else {"status": "success", "data": result}


def _success(data: Any) -> web.Response:
    return web.json_response({"status": "success", "data": data})


def _failure(message: str) -> web.Response:
    return web.json_response({"status": "error", "errorType": "bad_data", "error": message[:500]}, status=400)
