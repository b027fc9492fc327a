"""A metrics store over HTTP that holds two days of a simulated service, so that nobody has to wait for history."""

import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import numpy as np
from aiohttp import web

from analysis.series.raw import RawSeries, labels_of
from analysis.simulation.catalogue import ENVIRONMENTS
from analysis.simulation.export import raw_series
from analysis.simulation.generate import history
from analysis.simulation.rollout import STARTED_AT

STABLE_HASH, CANARY_HASH = "79c9b9f6bf", "6d5f8c7b9d"
_RANGE = re.compile(r"\[(\d+)ms\]$")
_AHEAD_SECONDS = 1800.0


@dataclass
class HistoryStore:
    """Series by metric name; `down` makes every answer an error.

    Attributes:
        series: of the stable version's pods, and of some of the canary's.
    """

    series: Mapping[str, tuple[RawSeries, ...]]
    down: bool = False
    asked: int = 0

    async def answer(self, request: web.Request) -> web.Response:
        """Answer an instant query of a range vector, by the metric's name and the time only."""
        self.asked += 1
        if self.down:
            return web.json_response({"status": "error", "error": "the disk is full"}, status=500)
        form = await request.post()
        query, until = str(form["query"]), float(str(form["time"]))
        found = _RANGE.search(query)
        seconds = int(found[1]) / 1000 if found else 0.0
        result = []
        for one in self.series.get(query.partition("{")[0], ()):
            low, high = np.searchsorted(one.times, [until - seconds, until], side="right")
            if high > low:
                values = zip(one.times[low:high].tolist(), one.values[low:high].tolist(), strict=True)
                result.append({"metric": dict(one.labels), "values": [[at, repr(value)] for at, value in values]})
        return web.json_response({"status": "success", "data": {"resultType": "matrix", "result": result}})


# How history falls into pieces, and so what is learned from it, depends on the moment: it is the same in all test runs.
_OFFSET_SECONDS = 1_800_001_200.0 - time.time()


def now() -> float:
    """Return the epoch seconds of the world that the history ends in; they pass as those outside of it do."""
    return time.time() + _OFFSET_SECONDS


def service_history(rollout: str, days: float, *, canary_pods: int = 3) -> HistoryStore:
    """Return the history of a base service whose canary, just as healthy, has always been there."""
    world = replace(ENVIRONMENTS["base"], restarts_per_pod_hour=0.0)
    whole = history(41, world, seconds=days * 86_400)
    shift = now() + _AHEAD_SECONDS - (STARTED_AT + whole.windows * whole.window_seconds)
    series: dict[str, tuple[RawSeries, ...]] = {}
    for name, some in raw_series(whole).items():
        stable = tuple(_pod(one, rollout, STABLE_HASH, shift) for one in some)
        others = [one for one in some if int(one.label("pod").rsplit("-", 1)[1]) < canary_pods]
        series[name] = (*stable, *(_pod(one, rollout, CANARY_HASH, shift) for one in others))
    return HistoryStore(series)


def _pod(one: RawSeries, rollout: str, version: str, shift_seconds: float) -> RawSeries:
    number = int(one.label("pod").rsplit("-", 1)[1])
    labels = labels_of({**dict(one.labels), "pod": f"{rollout}-{version}-pod{number:02d}"})
    return RawSeries(labels, one.times + shift_seconds, one.values)


@asynccontextmanager
async def serving(store: HistoryStore) -> AsyncIterator[str]:
    """Serve a store on the loopback interface; gives its address."""
    app = web.Application()
    app.router.add_post("/api/v1/query", store.answer)
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
