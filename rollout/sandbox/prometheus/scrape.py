"""Scraping every running pod of a rollout, each at its own pace, with its labels attached."""

import asyncio
import time
from typing import Any

import aiohttp

from analysis.bodies import BodyTooLarge, read_body
from rollout.api.keys import HASH_LABEL
from rollout.kube.cache import Cache
from rollout.sandbox.prometheus.store import Store

Json = dict[str, Any]
BODY_BYTES_MAX = 5 * 1024 * 1024


class Scraper:
    """Asks all targets once an interval.

    Args:
        pods: the cache of pods.
        store: where the samples go.
        interval_seconds: between two scrapes; a slow target misses one.
    """

    def __init__(self, pods: Cache, store: Store, interval_seconds: float) -> None:
        self._pods, self._store, self._interval = pods, store, interval_seconds

    async def run(self) -> None:
        """Scrape until cancelled."""
        timeout = aiohttp.ClientTimeout(total=self._interval * 0.9)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                began = time.monotonic()
                targets = [pod for pod in self._pods.all() if address(pod) is not None]
                await asyncio.gather(*(self._scrape(session, pod) for pod in targets))
                await asyncio.sleep(max(self._interval - (time.monotonic() - began), 0.01))

    async def _scrape(self, session: aiohttp.ClientSession, pod: Json) -> None:
        target = address(pod)
        at_ms = int(time.time() * 1000)
        labels = labels_of(pod, str(target))
        try:
            async with session.get(f"http://{target}/metrics", allow_redirects=False) as response:
                body = await read_body(response, BODY_BYTES_MAX)
                good = response.status == 200
        except (aiohttp.ClientError, BodyTooLarge, TimeoutError, OSError):
            body, good = b"", False
        taken = good and self._store.take(at_ms, labels, body.decode(errors="replace"))
        self._store.take(at_ms, labels, f"up {1 if taken else 0}\n")


def address(pod: Json) -> str | None:
    """Host and port to scrape; None where the pod does not run, or is none of a rollout's."""
    metadata, status = pod["metadata"], pod.get("status") or {}
    annotations = metadata.get("annotations") or {}
    wanted = HASH_LABEL in (metadata.get("labels") or {}) or annotations.get("prometheus.io/scrape") == "true"
    if not wanted or status.get("phase") != "Running" or not status.get("podIP"):
        return None
    ports = pod["spec"]["containers"][0].get("ports") or [{"containerPort": 8080}]
    return f"{status['podIP']}:{annotations.get('prometheus.io/port', ports[0]['containerPort'])}"


def labels_of(pod: Json, target: str) -> dict[str, str]:
    """What the scraper adds to every series of a pod."""
    metadata = pod["metadata"]
    return {
        "namespace": metadata["namespace"],
        "pod": metadata["name"],
        "instance": target,
        "job": "pods",
        "rollouts_pod_template_hash": (metadata.get("labels") or {}).get(HASH_LABEL, ""),
    }
