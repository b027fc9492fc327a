"""Kubernetes Events: best effort, bounded, never in the way of a turn."""

import asyncio
import logging
import uuid
from typing import Any

from rollout.domain.clock import rfc3339
from rollout.domain.decision import Event
from rollout.errors import CoalmineError
from rollout.kube.client import KubeClient
from rollout.kube.resources import EVENTS, Resource
from rollout.runtime.clock import now
from rollout.runtime.telemetry import Metrics

Json = dict[str, Any]
log = logging.getLogger("coalmine.events")

WAITING_MAX = 1000
MESSAGE_CHARACTERS_MAX = 1000
REPEAT_SECONDS = 60.0


class EventRecorder:
    """Posts Events from a queue of its own: bounded, and a repetition within a minute is told once."""

    def __init__(self, client: KubeClient, metrics: Metrics) -> None:
        self._client, self._metrics = client, metrics
        self._waiting: asyncio.Queue[Json] = asyncio.Queue(WAITING_MAX)
        self._told: dict[tuple[str, str, str], float] = {}

    def tell(self, resource: Resource, obj: Json, event: Event) -> None:
        """Post an Event about an object."""
        key = (obj["metadata"].get("uid", ""), event.reason, event.message)
        if now() - self._told.get(key, 0.0) < REPEAT_SECONDS or self._waiting.full():
            return
        self._told[key] = now()
        while len(self._told) > WAITING_MAX:
            self._told.pop(next(iter(self._told)))
        about = f"{resource.kind}/{obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}"
        log.info("%s: %s", event.reason, event.message, extra={"object": about})
        self._metrics.events.labels(event.type, event.reason).inc()
        self._waiting.put_nowait(_manifest(resource, obj, event))

    async def run(self) -> None:
        """Post what waits, one after the other."""
        while True:
            manifest = await self._waiting.get()
            try:
                await self._client.create(EVENTS, manifest)
            except CoalmineError as error:
                log.debug("an Event was not taken: %s", error)


def _manifest(resource: Resource, obj: Json, event: Event) -> Json:
    metadata = obj["metadata"]
    namespace, time = metadata.get("namespace") or "default", rfc3339(now())
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{metadata['name'][:200].rstrip('-.')}.{uuid.uuid4().hex[:16]}", "namespace": namespace},
        "involvedObject": {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "name": metadata["name"],
            "namespace": metadata.get("namespace", ""),
            "uid": metadata.get("uid", ""),
        },
        "reason": event.reason,
        "message": event.message[:MESSAGE_CHARACTERS_MAX],
        "type": event.type,
        "source": {"component": "coalmine"},
        "reportingComponent": "coalmine",
        "firstTimestamp": time,
        "lastTimestamp": time,
        "count": 1,
    }
