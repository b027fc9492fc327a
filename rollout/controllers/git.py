"""The controllers of the Git kinds, made and closed together."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from rollout.controllers.application import ApplicationController
from rollout.controllers.context import Context
from rollout.controllers.gitrepository import GitRepositoryController
from rollout.controllers.notifications import Notifications
from rollout.controllers.workshop import GitWorkshop
from rollout.kube.client import KubeClient, unfenced
from rollout.kube.resources import GIT_REPOSITORIES


@dataclass(frozen=True, slots=True)
class GitControllers:
    """The two controllers, and the receiver of notifications."""

    repositories: GitRepositoryController
    applications: ApplicationController
    webhook: Callable[[str, dict[str, str], bytes], Awaitable[int]]
    begin: Callable[[], Awaitable[None]]
    """Begins a term of leading."""


@asynccontextmanager
async def git_controllers(
    context: Context,
    data_dir: Path,
    fence: Callable[[], object] = unfenced,
    *,
    plain: KubeClient | None = None,
    leads: Callable[[], bool] = lambda: True,
) -> AsyncIterator[GitControllers]:
    """Make the controllers of GitRepository and Application.

    Args:
        context: client, caches, clock, queue.
        data_dir: folder of the mirrors.
        fence: raises LeadershipLost where this replica may not write; asked right before each push.
        plain: a client without a fence, by which a replica that does not lead tells the leader of notifications.
        leads: whether this replica leads.
    """
    workshop = GitWorkshop(data_dir / "git", context.now, lambda key: context.enqueue(GIT_REPOSITORIES, key))
    client = plain or context.client
    notifications = Notifications(workshop, context.caches[GIT_REPOSITORIES], client, leads, context.now)
    async with workshop:
        yield GitControllers(
            GitRepositoryController(context, workshop),
            ApplicationController(context, workshop, fence),
            notifications.take,
            workshop.begin,
        )
