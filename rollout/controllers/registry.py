"""All controllers, made and closed together."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from rollout.controllers.analysisrun import AnalysisRunController
from rollout.controllers.background import Background
from rollout.controllers.context import Context, Controller
from rollout.controllers.failuremodel import FailureModelController
from rollout.controllers.git import git_controllers
from rollout.controllers.rollout import RolloutController
from rollout.controllers.service import ServiceController
from rollout.kube.client import KubeClient


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What controllers need besides the cluster.

    Attributes:
        data_dir: Git mirrors; may be lost at any time.
        fence: raises LeadershipLost where this replica may not write.
        plain: a client without a fence, for what does not need the Lease.
        leads: whether this replica acts.
        metric_addresses: host patterns that namespaced templates may query; none: every address.
    """

    data_dir: Path
    fence: Callable[[], object]
    plain: KubeClient
    leads: Callable[[], bool]
    metric_addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Controllers:
    """The controllers, and the receiver of Git's notifications."""

    controllers: tuple[Controller, ...]
    webhook: Callable[[str, dict[str, str], bytes], Awaitable[int]]
    begin: Callable[[], Awaitable[None]]
    """Begins a term of leading: what a former one has left in memory is forgotten."""


@asynccontextmanager
async def controllers(context: Context, around: Surroundings) -> AsyncIterator[Controllers]:
    """Make all controllers, and end their jobs with them."""
    async with (
        git_controllers(context, around.data_dir, around.fence, plain=around.plain, leads=around.leads) as git,
        Background() as jobs,
        aiohttp.ClientSession() as session,
    ):
        allowed = _allowed(around.metric_addresses)
        runs = AnalysisRunController(context, session, jobs, allowed)
        models = FailureModelController(context, session, jobs, allowed)
        yield Controllers(
            (RolloutController(context), ServiceController(context), runs, models, git.repositories, git.applications),
            git.webhook,
            git.begin,
        )


def _allowed(patterns: tuple[str, ...]) -> Callable[[str], bool]:
    """Whether an address may be queried: its host matches a pattern, or there are no patterns."""

    def allowed(address: str) -> bool:
        host = urlsplit(address).hostname or ""
        return not patterns or any(fnmatchcase(host, pattern) for pattern in patterns)

    return allowed
