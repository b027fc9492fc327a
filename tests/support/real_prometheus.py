"""Debian's Prometheus as a process of its own: it scrapes what a test tells it, and dies with the test.

async with RealPrometheus(folder) as prometheus:
    prometheus.watch([Target("127.0.0.1:8080", {"pod": "web-1"})])
    await prometheus.until_up(1)
"""

import asyncio
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import pytest

from rollout.sandbox.parts import Part, free_port

BOUND_SECONDS = 60.0
CONFIGURATION = """\
global: {{scrape_interval: {scrape_seconds}s, scrape_timeout: 1s}}
scrape_configs:
- job_name: pods
  file_sd_configs: [{{files: ["{targets}"], refresh_interval: 1s}}]
"""
FEATURES = "native-histograms"


@dataclass(frozen=True)
class Target:
    """What is scraped at `/metrics`, and the labels that all its series get."""

    address: str
    labels: Mapping[str, str] = field(default_factory=dict)


def binary() -> str:
    """Prometheus on the PATH; without it the test is skipped, and CI fails."""
    found = shutil.which("prometheus")
    if found is None:
        pytest.skip("prometheus is not on the PATH; Debian's package of that name has it")
    return found


class RealPrometheus:
    """Prometheus on a free port of this machine, with its data in a folder of the test."""

    def __init__(self, folder: Path, scrape_seconds: int = 1) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.url = f"http://127.0.0.1:{free_port()}"
        self._targets, configuration = folder / "targets.json", folder / "prometheus.yaml"
        configuration.write_text(CONFIGURATION.format(targets=self._targets, scrape_seconds=scrape_seconds))
        self.watch([])
        command = [binary(), f"--config.file={configuration}", f"--storage.tsdb.path={folder / 'data'}"]
        command += [f"--web.listen-address={self.url.removeprefix('http://')}", f"--enable-feature={FEATURES}"]
        # Else it takes news of targets every five seconds; the flag is Prometheus' own for its tests.
        command += ["--scrape.discovery-reload-interval=100ms", "--log.level=warn"]
        self._part = Part("prometheus", command, self._ready, folder / "prometheus.log")

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=BOUND_SECONDS))
        try:
            await self._part.start()
        except BaseException:
            await self._session.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._part.stop()
        await self._session.close()

    async def _ready(self) -> bool:
        try:
            async with self._session.get(f"{self.url}/-/ready") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def crash(self) -> None:
        """Kill it and start it anew on the same data."""
        await self._part.kill()
        await self._part.start()

    def watch(self, targets: Sequence[Target]) -> None:
        """Scrape these from now on, and nothing else."""
        groups = [{"targets": [target.address], "labels": dict(target.labels)} for target in targets]
        written = self._targets.with_suffix(".new")
        written.write_text(json.dumps(groups))
        written.replace(self._targets)

    async def query(self, query: str) -> list[Any]:
        """The result of an instant query."""
        async with self._session.get(f"{self.url}/api/v1/query", params={"query": query}) as answer:
            told = await answer.json()
        assert told["status"] == "success", told
        return list(told["data"]["result"])

    async def until_up(self, count: int, selector: str = "") -> None:
        """Wait until so many targets were scraped."""
        await self.until(f"count(up{selector} == 1) >= {count}")

    async def until(self, query: str) -> list[Any]:
        """Wait until a query has a result."""
        async with asyncio.timeout(BOUND_SECONDS):
            while not (result := await self.query(query)):
                await asyncio.sleep(0.2)
        return result
