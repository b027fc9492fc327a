"""The controller: from objects to Envoy's files, in the order in which no request falls between two configurations."""

import asyncio
import logging
import time
from pathlib import Path

from rollout.kube.client import KubeClient
from rollout.kube.connection import Connection
from rollout.kube.resources import HTTP_ROUTES, SERVICES
from rollout.runtime.files import write_json
from rollout.sandbox.gateway import xds
from rollout.sandbox.gateway.endpoints import addresses
from rollout.sandbox.gateway.envoy import Envoy
from rollout.sandbox.gateway.model import Backend, Json, Route
from rollout.sandbox.gateway.routes import applies, read
from rollout.sandbox.gateway.status import GATEWAYS, StatusWriter
from rollout.sandbox.informer import Informer
from rollout.sandbox.node.endpoints import ENDPOINT_SLICES

log = logging.getLogger("coalmine.sandbox.gateway")

COALESCE_SECONDS = 0.01
ROUTES_MAX = 500


class Files:
    """The folder that Envoy watches; a file is written only when its content changes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._bodies: dict[str, Json] = {}

    def write(self, name: str, document: Json) -> str:
        """Write resources; returns the version Envoy will report, the former one where nothing changed."""
        before = self._bodies.get(name)
        if before is not None and before["resources"] == document["resources"]:
            return str(before["version_info"])
        self._bodies[name] = document
        write_json(self.folder / name, document)
        return str(document["version_info"])

    def keep(self, names: set[str]) -> None:
        """Delete all files but these."""
        for path in self.folder.glob("eds-*.json"):
            if path.name not in names:
                path.unlink(missing_ok=True)
                self._bodies.pop(path.name, None)


class Controller:
    """Informers, one task that renders, one that writes statuses."""

    def __init__(self, connection: Connection, envoy: Envoy, folder: Path) -> None:
        client = KubeClient(connection)
        self._dirty = asyncio.Event()
        kinds = (HTTP_ROUTES, SERVICES, ENDPOINT_SLICES, GATEWAYS)
        self._informers = [Informer(connection, client, kind, self._changed) for kind in kinds]
        self._routes, self._services, self._slices, self._gateways = (i.cache for i in self._informers)
        self._statuses, self._envoy, self._files = StatusWriter(client), envoy, Files(folder)
        self._served: set[Backend] = set()

    def _changed(self, _obj: Json) -> None:
        self._dirty.set()

    async def run(self) -> None:
        """Run until cancelled. Envoy starts once there is something for it to read."""
        async with asyncio.TaskGroup() as tasks:
            for informer in self._informers:
                tasks.create_task(informer.run())
            await self._synced()
            routes = self._read()
            self._write(routes, _backends(routes))
            tasks.create_task(self._envoy.run())
            tasks.create_task(self._statuses.run())
            tasks.create_task(self._work())

    async def _synced(self) -> None:
        """Wait for the first lists; Gateways may be missing."""
        while True:
            if self._routes.synced and self._services.synced and self._slices.synced:
                return
            await asyncio.sleep(0.01)

    async def _work(self) -> None:
        self._dirty.set()
        while True:
            await self._dirty.wait()
            await asyncio.sleep(COALESCE_SECONDS)
            self._dirty.clear()
            await self._turn()

    async def _turn(self) -> None:
        """Clusters come before the routes that name them, and go after."""
        routes = self._read()
        wanted = _backends(routes)
        cds = self._clusters(wanted | self._served)
        if not await self._envoy.taken(cds=cds):
            log.error("Envoy does not take clusters %s; see envoy.log", cds)
            self._dirty.set()
            return
        rds = self._files.write("rds.json", xds.route_configuration(routes, _version()))
        if not await self._envoy.taken(rds=rds):
            log.error("Envoy does not take routes %s; see envoy.log", rds)
            self._dirty.set()
            return
        self._served = wanted
        self._clusters(wanted)
        self._files.keep({xds.endpoints_file(backend) for backend in wanted})
        self._report(routes)

    def _read(self) -> list[Route]:
        objects = sorted(self._routes.all(), key=lambda obj: str(obj["metadata"].get("creationTimestamp")))
        if len(objects) > ROUTES_MAX:
            log.warning("%d routes: the sandbox's gateway serves the oldest %d", len(objects), ROUTES_MAX)
        routes = [read(obj, self._services) for obj in objects[:ROUTES_MAX]]
        return [route for route in routes if any(applies(parent) for parent in route.parents)]

    def _write(self, routes: list[Route], backends: set[Backend]) -> None:
        """Everything at once, while no Envoy runs."""
        self._clusters(backends)
        self._files.write("rds.json", xds.route_configuration(routes, _version()))
        self._served = backends

    def _clusters(self, backends: set[Backend]) -> str:
        for backend in backends:
            found = addresses(backend, self._services, self._slices)
            self._files.write(xds.endpoints_file(backend), xds.endpoints(backend, found, _version()))
        return self._files.write("cds.json", xds.clusters(backends, self._files.folder, _version()))

    def _report(self, routes: list[Route]) -> None:
        for route in routes:
            live = self._routes.get(route.key)
            if live is not None:
                self._statuses.route(live, route)
        for gateway in self._gateways.all():
            self._statuses.gateway(gateway)


def _backends(routes: list[Route]) -> set[Backend]:
    return {backend for route in routes for backend in route.backends}


def _version() -> str:
    return str(time.time_ns())
