"""The operator's HTTP servers: health that tells the truth, metrics, and Git webhooks."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import generate_latest

from rollout.runtime.telemetry import Metrics

WEBHOOK_BYTES_MAX = 1024 * 1024
Webhook = Callable[[str, dict[str, str], bytes], Awaitable[int]]
"""Path, headers (lower case) and body in; an HTTP status out."""


@dataclass(frozen=True, slots=True)
class Health:
    """What the probes ask. Each answers None when all is well, or says in words what is not."""

    alive: Callable[[], str | None]
    ready: Callable[[], str | None]


def health_app(health: Health) -> web.Application:
    """`/healthz`: the process does its work. `/readyz`: its caches are complete."""
    app = web.Application()
    app.router.add_get("/healthz", _probe(health.alive))
    app.router.add_get("/readyz", _probe(health.ready))
    return app


def _probe(ask: Callable[[], str | None]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        trouble = ask()
        return web.Response(text="ok" if trouble is None else trouble, status=200 if trouble is None else 503)

    return answer


def metrics_app(metrics: Metrics, refresh: Callable[[], None]) -> web.Application:
    """`/metrics` in Prometheus' text format; gauges are refreshed at each scrape."""

    async def answer(_: web.Request) -> web.Response:
        refresh()
        return web.Response(
            body=generate_latest(metrics.registry), headers={"Content-Type": "text/plain; version=0.0.4"}
        )

    app = web.Application()
    app.router.add_get("/metrics", answer)
    return app


def webhook_app(webhook: Webhook) -> web.Application:
    """`/hooks/git/...`: a signed hint to fetch; the body is bounded and never believed."""

    async def answer(request: web.Request) -> web.Response:
        body = await request.read()
        headers = {key.lower(): value for key, value in request.headers.items()}
        return web.Response(status=await webhook(request.path, headers, body))

    app = web.Application(client_max_size=WEBHOOK_BYTES_MAX)
    app.router.add_post("/hooks/git/{name}", answer)
    return app


class Servers:
    """Several sites in one process; closed together."""

    def __init__(self) -> None:
        self._runners: list[web.AppRunner] = []

    async def start(self, app: web.Application, host: str, port: int) -> int:
        """Serve an application; returns the port."""
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        self._runners.append(runner)
        await web.TCPSite(runner, host, port).start()
        return int(runner.addresses[0][1])

    async def close(self) -> None:
        """Stop serving."""
        for runner in self._runners:
            await runner.cleanup()
