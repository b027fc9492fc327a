"""What a spectator of the demo sees each second: objects from the API server, counts from the clients."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rollout.kube.client import KubeClient
from rollout.kube.resources import ANALYSIS_RUNS, APPLICATIONS, REPLICA_SETS, ROLLOUTS
from rollout.sandbox.demo.manifests import NAMESPACE

Json = dict[str, Any]
TAIL_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Counts:
    """Requests as clients count them."""

    ok: int = 0
    errors: int = 0

    @property
    def total(self) -> int:
        """All requests."""
        return self.ok + self.errors

    def plus(self, ok: int, errors: int) -> "Counts":
        """With more of them."""
        return Counts(self.ok + ok, self.errors + errors)


@dataclass(frozen=True, slots=True)
class Sample:
    """One second.

    Attributes:
        at: epoch seconds.
        weight_percent: the canary's share in the route.
        arms: requests of this second by version.
        evidence, limit: odds against no harm, and where they end the rollout; 0: no analysis.
        ratio, lower, upper: canary/stable of the errors with its interval; 0: unknown.
        log: the newest commits.
    """

    at: float
    phase: str
    message: str
    step: str
    weight_percent: int
    canary_pods: int
    stable_pods: int
    arms: dict[str, Counts]
    failed: int
    evidence: float = 0.0
    limit: float = 0.0
    ratio: float = 0.0
    lower: float = 0.0
    upper: float = 0.0
    verdict: str = ""
    synced: str = ""
    reverted: str = ""
    log: tuple[str, ...] = ()


class Observer:
    """Looks at everything once a second.

    Args:
        client: of the API server.
        load: what the clients count, a line a second.
        log: reads the newest commits.
    """

    def __init__(self, client: KubeClient, load: Path, log: Callable[[], list[str]]) -> None:
        self._client, self._load, self._log = client, load, log
        self.samples: list[Sample] = []

    async def look(self, now: float) -> Sample:
        """Take a sample."""
        rollout = await self._client.get(ROLLOUTS, NAMESPACE, "shop") or {}
        application = await self._client.get(APPLICATIONS, NAMESPACE, "shop") or {}
        sets = {rs["metadata"]["name"]: rs for rs in await self._client.list(REPLICA_SETS, NAMESPACE)}
        status = rollout.get("status") or {}
        run = await self._run(status)
        arms, failed = read_second(self._load, now - 1.5)
        log = tuple(await asyncio.to_thread(self._log))
        sample = replace(_sample(now, rollout, sets, run, application, arms, failed), log=log)
        self.samples.append(sample)
        return sample

    async def _run(self, status: Json) -> Json:
        current = ((status.get("canary") or {}).get("currentBackgroundAnalysisRunStatus") or {}).get("name")
        if not current:
            return {}
        return ((await self._client.get(ANALYSIS_RUNS, NAMESPACE, current)) or {}).get("status") or {}


def _sample(
    now: float, rollout: Json, sets: dict[str, Json], run: Json, application: Json, arms: dict[str, Counts], failed: int
) -> Sample:
    status = rollout.get("status") or {}
    steps = (((rollout.get("spec") or {}).get("strategy") or {}).get("canary") or {}).get("steps") or []
    comparison = run.get("comparison") or {}
    metric = next((m.get("comparison") or {} for m in run.get("metricResults") or []), {})
    interval = metric.get("interval") or {}
    weights = (status.get("canary") or {}).get("weights") or {}
    conditions = {c["type"]: c for c in (application.get("status") or {}).get("conditions") or []}
    updating = status.get("currentPodHash") != status.get("stableRS")
    return Sample(
        at=now,
        phase=status.get("phase", ""),
        message=status.get("message", ""),
        step=f"{status.get('currentStepIndex', 0)}/{len(steps)}",
        weight_percent=(weights.get("canary") or {}).get("weight", 0),
        canary_pods=_available(sets, status.get("currentPodHash")) if updating else 0,
        stable_pods=_available(sets, status.get("stableRS")),
        arms=arms,
        failed=failed,
        evidence=_number(comparison.get("evidence")),
        limit=_number(comparison.get("evidenceLimit")),
        ratio=_number(metric.get("ratio")),
        lower=_number(interval.get("lower")),
        upper=_number(interval.get("upper")),
        verdict=comparison.get("verdict") or "",
        synced=_words(conditions.get("Synced")),
        reverted=_words(conditions.get("Reverted")),
    )


def _words(condition: Json | None) -> str:
    return f"{condition['status']}/{condition.get('reason', '')}" if condition else ""


def _available(sets: dict[str, Json], pod_hash: str | None) -> int:
    found = next((rs for name, rs in sets.items() if pod_hash and name.endswith(f"-{pod_hash}")), None)
    return int(((found or {}).get("status") or {}).get("availableReplicas", 0))


def _number(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:
        return 0.0


def read_second(path: Path, at: float) -> tuple[dict[str, Counts], int]:
    """Counts by version of the second around a time, and requests that no version answered."""
    nearest = min(_tail(path), key=lambda line: abs(float(line["t"]) - at), default=None)
    return _sum([nearest] if nearest is not None and abs(nearest["t"] - at) <= 1.0 else [])


def read_since(path: Path, since: float, until: float) -> tuple[dict[str, Counts], int]:
    """Counts by version in a span of time, and requests that no version answered."""
    lines = [json.loads(text) for text in path.read_text().splitlines() if text.endswith("}")]
    return _sum([line for line in lines if since <= line["t"] < until])


def _sum(lines: list[Json]) -> tuple[dict[str, Counts], int]:
    arms: dict[str, Counts] = {}
    for line in lines:
        for version, arm in line["arms"].items():
            arms[version] = arms.get(version, Counts()).plus(arm["ok"], arm["errors"])
    return arms, sum(line["failed"] for line in lines)


def _tail(path: Path) -> list[Json]:
    if not path.exists():
        return []
    with path.open("rb") as file:
        start = max(file.seek(0, 2) - TAIL_BYTES, 0)
        file.seek(start)
        texts = file.read().decode(errors="replace").splitlines()
    # The cut goes through a line, whose rest may begin as an object of its own.
    texts = texts[1:] if start else texts
    return [json.loads(text) for text in texts if text.startswith("{") and text.endswith("}")]
