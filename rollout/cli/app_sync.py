"""`coalmine app sync NAME`: ask for a look at Git and a pass over the cluster, and wait until both were answered."""

import argparse
import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from rollout.api.application import Application
from rollout.api.gitrepository import GitRepository
from rollout.api.keys import REFRESH
from rollout.api.meta import Condition
from rollout.cli.arguments import FAILED, TIMED_OUT
from rollout.cli.target import Cluster, in_cluster, show, tell, typed
from rollout.cli.watching import Changes, Watched
from rollout.kube.resources import APPLICATIONS, GIT_REPOSITORIES, Resource

StructT = TypeVar("StructT", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a wait ended: in sync or not, and why."""

    synced: bool
    words: str


def run(arguments: argparse.Namespace) -> int:
    """Sync, and wait."""
    return in_cluster(arguments, lambda cluster: _sync(cluster, arguments.name, arguments.timeout))


async def _sync(cluster: Cluster, name: str, timeout_seconds: float) -> int:
    token = secrets.token_hex(8)
    application = typed(await cluster.find(APPLICATIONS, name), Application)
    repository_name = application.spec.source.repository_ref.name
    try:
        async with asyncio.timeout(timeout_seconds or None):
            await _ask(cluster, GIT_REPOSITORIES, repository_name, token)
            tell(f"asking the Git host of GitRepository {repository_name}")
            seen = await _wait(cluster, GIT_REPOSITORIES, repository_name, GitRepository, lambda r: fetched(r, token))
            if not seen.synced:
                show([f"Application {name} cannot be synced: {seen.words}"])
                return FAILED
            tell(f"Git has {seen.words}; applying what differs")
            await _ask(cluster, APPLICATIONS, name, token)
            ended = await _wait(cluster, APPLICATIONS, name, Application, lambda a: applied(a, token))
    except TimeoutError:
        tell(f"timed out after {timeout_seconds:g} s; see: coalmine app get {name} -n {cluster.namespace}")
        return TIMED_OUT
    show([f"Application {name} {'is in sync' if ended.synced else 'is not in sync'}: {ended.words}"])
    return 0 if ended.synced else FAILED


async def _ask(cluster: Cluster, resource: Resource, name: str, token: str) -> None:
    """A new value of the annotation asks for a look now."""
    await cluster.patch(resource, name, {"metadata": {"annotations": {REFRESH: token}}})


async def _wait(
    cluster: Cluster, resource: Resource, name: str, struct: type[StructT], judge: Callable[[StructT], Ended | str]
) -> Ended:
    """Tell the progress until the judge has an answer."""
    told = ""

    async def look() -> Ended | None:
        nonlocal told
        seen = judge(typed(await cluster.find(resource, name), struct))
        if isinstance(seen, Ended):
            return seen
        if seen and seen != told:
            tell(seen)
        told = seen
        return None

    async with Changes(cluster, [Watched(resource, cluster.namespace, name)]) as changes:
        return await changes.until(look)


def fetched(repository: GitRepository, token: str) -> Ended | str:
    """Whether the host was asked after the token was set, and what it has; else what is waited for."""
    status = repository.status
    ready = condition(status.conditions, "Ready")
    if status.last_handled_refresh != token or ready is None:
        return ""
    if ready.status == "True":
        return Ended(synced=True, words=status.revision)
    return Ended(synced=False, words=f"GitRepository {repository.metadata.name}: {ready.reason}: {ready.message}")


def applied(application: Application, token: str) -> Ended | str:
    """Whether a pass that began after the token was set has ended, and how; else what is under way."""
    status = application.status
    synced = condition(status.conditions, "Synced")
    if synced is None:
        return ""
    words = f"{synced.reason}: {synced.message}"
    return Ended(synced.status == "True", words) if status.last_handled_refresh == token else words


def condition(conditions: tuple[Condition, ...], kind: str) -> Condition | None:
    """The condition of a type."""
    return next((c for c in conditions if c.type == kind), None)
