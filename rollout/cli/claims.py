"""Which Application applies an object, and where in Git it is declared."""

from dataclasses import dataclass
from typing import Any

import msgspec

from rollout.api.application import Application
from rollout.api.gitrepository import GitRepository
from rollout.cli.target import Cluster
from rollout.domain.sync.objects import ObjectId
from rollout.errors import ApiError
from rollout.kube.inventory import SOURCE_PATH, owner_of
from rollout.kube.resources import APPLICATIONS, GIT_REPOSITORIES

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Claim:
    """An Application that applies an object from Git."""

    application: str
    path: str
    repository: str = ""
    branch: str = ""

    @property
    def place(self) -> str:
        """Where the object is declared, in words."""
        where = f" of {self.repository}" if self.repository else ""
        return f"{self.path or 'its path'}{where}" + (f" (branch {self.branch})" if self.branch else "")


def claimant(live: Json, applications: list[Application]) -> Application | None:
    """The Application that applies an object: by its mark, by an inventory, or (Observe) by its record of Rollouts."""
    identity, owner = str(ObjectId.of(live)), owner_of(live)
    for application in applications:
        metadata, status = application.metadata, application.status
        if f"{metadata.namespace}/{metadata.name}" == owner:
            return application
        if any(entry.id == identity for entry in status.inventory.entries):
            return application
        watched = {(record.namespace, record.name) for record in status.rollouts}
        mine = (live["metadata"].get("namespace", ""), live["metadata"]["name"])
        if application.spec.sync.mode == "Observe" and mine in watched:
            return application
    return None


async def find_claim(cluster: Cluster, live: Json) -> Claim | None:
    """Who applies an object; None where nobody does. What the user may not read is left out."""
    owner, path = owner_of(live), (live["metadata"].get("annotations") or {}).get(SOURCE_PATH, "")
    applications = await _applications(cluster, owner)
    if applications is None:
        return Claim(owner, path) if owner else None
    application = claimant(live, applications)
    if application is None:
        return None
    name = f"{application.metadata.namespace}/{application.metadata.name}"
    repository = await _repository(cluster, application)
    if repository is None:
        return Claim(name, path or application.spec.source.path)
    return Claim(name, path or application.spec.source.path, repository.spec.url, repository.spec.ref.branch or "")


async def _applications(cluster: Cluster, owner: str) -> list[Application] | None:
    """All Applications that may be read: of every namespace, else of the marked one's, else of ours; None for none."""
    for namespace in (None, owner.partition("/")[0] or cluster.namespace):
        try:
            found = await cluster.client.list(APPLICATIONS, namespace)
        except ApiError:
            continue
        return [msgspec.convert(live, Application) for live in found]
    return None


async def _repository(cluster: Cluster, application: Application) -> GitRepository | None:
    namespace, name = application.metadata.namespace, application.spec.source.repository_ref.name
    try:
        live = await cluster.client.get(GIT_REPOSITORIES, namespace, name)
    except ApiError:
        return None
    return None if live is None else msgspec.convert(live, GitRepository)
