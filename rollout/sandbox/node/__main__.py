"""`python -m rollout.sandbox.node`: the node of a sandbox as a process.

With --pods-only it runs pods and nothing else: the cluster has a scheduler and controllers of its own.
"""

import argparse
import asyncio
import logging
import signal
from pathlib import Path
from typing import Any

from rollout.errors import CoalmineError
from rollout.kube.cache import Key, key_of
from rollout.kube.client import KubeClient
from rollout.kube.connection import Connection
from rollout.kube.resources import PODS, REPLICA_SETS, SERVICES
from rollout.runtime.queue import WorkQueue
from rollout.sandbox.informer import Informer
from rollout.sandbox.node.endpoints import EndpointSlices
from rollout.sandbox.node.kubelet import Addresses, Kubelet
from rollout.sandbox.node.registration import register
from rollout.sandbox.node.replicasets import ReplicaSets

Json = dict[str, Any]
log = logging.getLogger("coalmine.sandbox.node")


class Node:
    """Informers, and the turns of ReplicaSets and Services they ask for."""

    def __init__(self, connection: Connection, arguments: argparse.Namespace) -> None:
        client = KubeClient(connection)
        self._client, self._pods_only = client, arguments.pods_only
        self._queue: WorkQueue[tuple[str, Key]] = WorkQueue()
        self._sets = Informer(connection, client, REPLICA_SETS, lambda obj: self._queue.add(("rs", key_of(obj))))
        self._pods = Informer(connection, client, PODS, self._pod_changed)
        self._services = Informer(connection, client, SERVICES, lambda obj: self._queue.add(("svc", key_of(obj))))
        self._kubelet = Kubelet(client, Addresses(arguments.prefix), arguments.images, arguments.logs)
        self._replica_sets = ReplicaSets(client, self._pods.cache, self._took)
        self._endpoints = EndpointSlices(client, self._services.cache, self._pods.cache)

    def _took(self, pod: Json) -> None:
        """A pod that we made ourselves: known before its event comes."""
        if self._pods.cache.put(pod):
            self._pod_changed(pod)

    def _pod_changed(self, pod: Json) -> None:
        key = key_of(pod)
        if self._pods.cache.get(key) is None:
            self._kubelet.gone(pod)
        else:
            self._kubelet.changed(pod)
        if self._pods_only:
            return
        for owner in pod["metadata"].get("ownerReferences") or []:
            self._queue.add(("rs", (key[0], owner["name"])))
        for service in self._services.cache.all(key[0]):
            self._queue.add(("svc", key_of(service)))

    async def run(self) -> None:
        """Run until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._kubelet.run())
            tasks.create_task(self._pods.run())
            if self._pods_only:
                await register(self._client)
                return
            tasks.create_task(self._sets.run())
            tasks.create_task(self._services.run())
            tasks.create_task(self._queue.run_deadlines())
            tasks.create_task(self._work())

    async def _work(self) -> None:
        while True:
            work = await self._queue.get()
            try:
                self._queue.wake(work, await self._turn(*work))
                self._queue.succeeded(work)
            except CoalmineError as error:
                log.debug("%s: %s", work, error)
                self._queue.retry(work)
            finally:
                self._queue.done(work)

    async def _turn(self, kind: str, key: Key) -> float | None:
        if not self._pods.cache.synced:
            await asyncio.sleep(0.05)
            self._queue.add((kind, key))
            return None
        if kind == "svc":
            await self._endpoints.reconcile(key)
            return None
        replica_set = self._sets.cache.get(key)
        return None if replica_set is None else await self._replica_sets.reconcile(replica_set)


async def _main(arguments: argparse.Namespace) -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    arguments.logs.mkdir(parents=True, exist_ok=True)
    connection = Connection(str(arguments.kubeconfig))
    running = asyncio.ensure_future(Node(connection, arguments).run())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    try:
        await asyncio.gather(running, return_exceptions=True)
        if not running.cancelled() and running.exception() is not None:
            log.error("the node failed", exc_info=running.exception())
    finally:
        await connection.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m rollout.sandbox.node", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True, help="folder of the images")
    parser.add_argument("--logs", type=Path, required=True, help="folder of the pods' output")
    parser.add_argument("--pods-only", action="store_true", help="for a cluster with a scheduler and controllers")
    parser.add_argument("--prefix", required=True, help="first three bytes of the pods' addresses, as 127.1.2")
    asyncio.run(_main(parser.parse_args()))
