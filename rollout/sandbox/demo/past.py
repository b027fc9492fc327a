"""Days that a Rollout of the sandbox did not live through, drawn from a seed: enough to learn from and to certify."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import aiohttp
import numpy as np

from analysis.series.raw import RawSeries
from analysis.simulation.export import raw_series
from analysis.simulation.generate import history
from analysis.simulation.rollout import STARTED_AT
from analysis.simulation.world import World
from rollout.errors import CoalmineError
from rollout.sandbox.prometheus.past import line_of

DAYS = 16.0
SEED = 5
VERSION = "7c5ddbdf54"
"""Hash of the pods' template: a version that was there before the sandbox was."""
CHUNK = 5000
_DAY_SECONDS = 86_400.0
# The simulator's counters under the names of the demo service: those of requests that went well, and of errors.
_NAMES = {
    "requests": {"__name__": "http_requests_total", "code": "200"},
    "errors": {"__name__": "http_requests_total", "code": "500"},
}


def past_lines(namespace: str, rollout: str, pods: int, until: float, days: float = DAYS) -> Iterator[bytes]:
    """Yield the history of a service's requests and errors as lines of an import.

    Pods of this past differ by 5 % and wander by 40 %, as those of the simulation do, and there are incidents:
    its noise is larger than that of the sandbox's own pods.

    Args:
        namespace: of the Rollout.
        rollout: its name.
        pods: how many the version has.
        until: epoch seconds at which the history ends.
        days: its length.
    """
    world = replace(World(), stable_pods=pods, error_rate=0.02, restarts_per_pod_hour=0.0)
    drawn = history(SEED, world, days * _DAY_SECONDS)
    shift = until - (STARTED_AT + drawn.windows * drawn.window_seconds)
    found = raw_series(drawn)
    for name, labels in _NAMES.items():
        for one in found[name]:
            yield from _lines(one, {**labels, "namespace": namespace, "pod": _pod(rollout, one)}, shift)


def _pod(rollout: str, series: RawSeries) -> str:
    number = int(series.label("pod").rsplit("-", 1)[1])
    return f"{rollout}-{VERSION}-p{number:04d}"


def _lines(series: RawSeries, labels: dict[str, str], shift_seconds: float) -> Iterator[bytes]:
    for first in range(0, series.times.size, CHUNK):
        chunk = slice(first, first + CHUNK)
        yield line_of(labels, np.asarray((series.times[chunk] + shift_seconds) * 1000), series.values[chunk])


async def give_past(prometheus: str, namespace: str, rollout: str, pods: int, until: float) -> None:
    """Import a past into the sandbox's Prometheus; raises CoalmineError where it is refused."""
    lines = await asyncio.to_thread(lambda: [*past_lines(namespace, rollout, pods, until)])
    async with aiohttp.ClientSession() as session:
        for line in lines:
            async with session.post(f"{prometheus}/api/v1/import", data=line) as response:
                if response.status != 204:
                    raise CoalmineError(f"the past is refused: {(await response.text())[:300]}")
