"""`python -m tests.benchmarks.operator.world`: what surrounds an operator, without running anything.

Pods become ready a moment after they were made and go when they are told to, routes are accepted. With --replica-sets
it makes the pods too, where no kube-controller-manager does; without, it binds them to its node as a scheduler would.
It is a process of its own, so that nothing of its work is counted as the operator's.
"""

import argparse
import asyncio
import logging
import signal
import time
from pathlib import Path
from typing import Any

from rollout.domain.clock import rfc3339
from rollout.errors import CoalmineError, NotFound
from rollout.kube.cache import Key, key_of
from rollout.kube.client import KubeClient
from rollout.kube.connection import Connection
from rollout.kube.resources import HTTP_ROUTES, PODS, REPLICA_SETS, Resource
from rollout.runtime.queue import WorkQueue
from rollout.sandbox.informer import Informer
from rollout.sandbox.node.kubelet import NODE
from rollout.sandbox.node.replicasets import ReplicaSets

Json = dict[str, Any]
Work = tuple[Resource, Key]
log = logging.getLogger("benchmarks.world")

WORKERS = 16
START_SECONDS = 0.5


class World:
    """Informers, and a queue of the objects that changed."""

    def __init__(self, connection: Connection, *, replica_sets: bool) -> None:
        self._client, self._makes_pods = KubeClient(connection), replica_sets
        self._queue: WorkQueue[Work] = WorkQueue()
        self._starting: dict[Key, float] = {}
        """Pods that are not ready yet, and when they will be."""
        kinds = (PODS, HTTP_ROUTES, *((REPLICA_SETS,) if replica_sets else ()))
        self._informers = {
            kind: Informer(connection, self._client, kind, lambda obj, kind=kind: self._changed(kind, obj))  # type: ignore[misc]
            for kind in kinds
        }
        self._sets = ReplicaSets(self._client, self._informers[PODS].cache, self._took)

    def _took(self, pod: Json) -> None:
        """A pod that we made ourselves: known before its event comes."""
        if self._informers[PODS].cache.put(pod):
            self._changed(PODS, pod)

    def _changed(self, kind: Resource, obj: Json) -> None:
        self._queue.add((kind, key_of(obj)))
        if kind is PODS and self._makes_pods:
            for owner in obj["metadata"].get("ownerReferences") or []:
                self._queue.add((REPLICA_SETS, (obj["metadata"]["namespace"], owner["name"])))

    async def run(self) -> None:
        """Run until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for informer in self._informers.values():
                tasks.create_task(informer.run())
            tasks.create_task(self._queue.run_deadlines())
            for _ in range(WORKERS):
                tasks.create_task(self._work())

    async def _work(self) -> None:
        while True:
            work = await self._queue.get()
            try:
                self._queue.wake(work, await self._turn(*work))
                self._queue.succeeded(work)
            except NotFound:
                self._queue.succeeded(work)
            except CoalmineError as error:
                log.info("%s %s: %s", work[0].kind, work[1], error)
                self._queue.retry(work)
            finally:
                self._queue.done(work)

    async def _turn(self, kind: Resource, key: Key) -> float | None:
        obj = self._informers[kind].cache.get(key)
        if obj is None or not self._informers[PODS].cache.synced:
            return None if obj is None else time.time() + 0.1
        if kind is REPLICA_SETS:
            return await self._sets.reconcile(obj)
        return await (self._pod(key, obj) if kind is PODS else self._route(key, obj))

    async def _pod(self, key: Key, pod: Json) -> float | None:
        metadata, status = pod["metadata"], pod.get("status") or {}
        if "deletionTimestamp" in metadata:
            await self._client.delete_now(PODS, *key)
        elif not pod["spec"].get("nodeName"):
            target = {"apiVersion": "v1", "kind": "Node", "name": NODE}
            binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": key[1]}, "target": target}
            await self._client.create_subresource(PODS, *key, "binding", binding)
        elif status.get("phase") != "Running":
            return await self._start(key, pod)
        return None

    async def _start(self, key: Key, pod: Json) -> float | None:
        due = self._starting.setdefault(key, time.time() + START_SECONDS)
        if time.time() < due:
            return due
        del self._starting[key]
        await self._client.merge_patch(PODS, *key, {"status": _running(pod)}, subresource="status")
        return None

    async def _route(self, key: Key, route: Json) -> None:
        generation = route["metadata"]["generation"]
        since = rfc3339(time.time())
        told = [
            {"type": kind, "status": "True", "reason": kind, "message": "taken", "observedGeneration": generation,
             "lastTransitionTime": since}
            for kind in ("Accepted", "ResolvedRefs")
        ]  # fmt: skip
        parents = (route.get("status") or {}).get("parents") or [{}]
        if {c.get("observedGeneration") for c in parents[0].get("conditions") or []} == {generation}:
            return
        parent = {"parentRef": route["spec"]["parentRefs"][0], "controllerName": "example.com/bench"}
        patch = {"status": {"parents": [{**parent, "conditions": told}]}}
        await self._client.merge_patch(HTTP_ROUTES, *key, patch, subresource="status")


def _running(pod: Json) -> Json:
    since = rfc3339(time.time())
    conditions = [
        {"type": kind, "status": "True", "lastTransitionTime": since}
        for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready")
    ]
    container = pod["spec"]["containers"][0]
    told = {"name": container["name"], "image": container["image"], "imageID": f"bench@{container['image']}"}
    told |= {"ready": True, "started": True, "restartCount": 0, "state": {"running": {"startedAt": since}}}
    number = int(pod["metadata"]["resourceVersion"])
    address = f"10.{64 + number // 65536 % 64}.{number // 256 % 256}.{number % 256}"
    return {
        "phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "hostIP": "127.0.0.1", "startTime": since,
        "conditions": conditions, "containerStatuses": [told],
    }  # fmt: skip


async def _main(arguments: argparse.Namespace) -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    connection = Connection(str(arguments.kubeconfig))
    running = asyncio.ensure_future(World(connection, replica_sets=arguments.replica_sets).run())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    try:
        await asyncio.gather(running, return_exceptions=True)
        if not running.cancelled() and running.exception() is not None:
            log.error("the world failed", exc_info=running.exception())
    finally:
        await connection.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--replica-sets", action="store_true", help="make pods of ReplicaSets")
    asyncio.run(_main(parser.parse_args()))
