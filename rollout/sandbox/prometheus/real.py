"""A real Prometheus in the place of ours: we tell it which pods there are, it does everything else."""

import asyncio
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rollout.errors import CoalmineError
from rollout.kube.cache import Cache
from rollout.runtime.files import write_json
from rollout.sandbox import processes
from rollout.sandbox.prometheus.scrape import address, labels_of
from rollout.sandbox.prometheus.store import RETENTION_SECONDS

Json = dict[str, Any]
TELL_SECONDS_MIN = 0.2
GRACE_SECONDS = 5.0


class RealPrometheus:
    """Runs Prometheus, and keeps its file of targets.

    Prometheus takes news of targets every five seconds, so a new pod is scraped later than by ours.

    Args:
        binary: the program.
        folder: of its data, configuration and log.
        port: of 127.0.0.1.
        interval_seconds: between two scrapes.
    """

    def __init__(self, binary: Path, folder: Path, port: int, interval_seconds: float) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._targets = folder, folder / "targets.json"
        interval = f"{interval_seconds * 1000:.0f}ms"
        jobs = [{"job_name": "pods", "file_sd_configs": [{"files": [str(self._targets)], "refresh_interval": "1s"}]}]
        # JSON is YAML, too.
        self._configuration = {
            "global": {"scrape_interval": interval, "scrape_timeout": interval},
            "scrape_configs": jobs,
        }
        self._command = [
            str(binary),
            f"--config.file={folder / 'prometheus.yaml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--storage.tsdb.retention.time={RETENTION_SECONDS}s",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        self._news = asyncio.Event()

    def changed(self, _: Json) -> None:
        """A pod came, changed or went."""
        self._news.set()

    async def run(self, pods: Cache) -> None:
        """Run until cancelled; raises CoalmineError when Prometheus ends by itself."""
        (self._folder / "prometheus.yaml").write_text(json.dumps(self._configuration))
        log = self._folder / "prometheus.log"
        process = await processes.start(self._command, log=log)
        telling = asyncio.ensure_future(self._tell(pods))
        try:
            code = await process.wait()
            raise CoalmineError(f"prometheus ended with {code}; see {log}")
        finally:
            telling.cancel()
            await processes.stop(process, GRACE_SECONDS)

    async def _tell(self, pods: Cache) -> None:
        while True:
            self._news.clear()
            write_json(self._targets, target_groups(pods.all()))
            await asyncio.sleep(TELL_SECONDS_MIN)
            await self._news.wait()


def target_groups(pods: Iterable[Json]) -> list[Json]:
    """Targets as file_sd wants them: a group a running pod, with the labels that all its series get."""
    running = ((pod, target) for pod in pods if (target := address(pod)) is not None)
    return [
        {
            "targets": [target],
            "labels": {k: v for k, v in labels_of(pod, target).items() if k not in ("instance", "job")},
        }
        for pod, target in running
    ]
