"""Deleting what Git no longer declares: only objects that still carry our mark, by uid."""

from collections.abc import Callable, Iterable

from rollout.domain.sync.objects import ObjectId
from rollout.domain.sync.world import PruneReport
from rollout.errors import CoalmineError, LeadershipLost
from rollout.kube.client import KubeClient
from rollout.kube.inventory import Owner, owner_of


async def prune_objects(
    api: KubeClient,
    objects: Iterable[tuple[ObjectId, str]],
    owner: Owner,
    commit: str,
    *,
    wanted: Callable[[], bool] = lambda: True,
    now: float = 0.0,
) -> PruneReport:
    """Delete objects; one that is gone, or belongs to somebody else by now, counts as gone.

    Args:
        api: the API server.
        objects: ids with the API version (without group) they were applied with.
        owner: the Application.
        commit: the applied commit, for the report.
        wanted: asked before each deletion, since none can be undone; the rest waits for another turn.
        now: epoch seconds, for the report.
    """
    gone, failures = set(), {}
    for object_id, version in objects:
        if not wanted():
            break
        try:
            await _delete(api, object_id, version, owner)
            gone.add(object_id)
        except LeadershipLost:
            raise
        except CoalmineError as error:
            failures[object_id] = str(error)[:500]
    return PruneReport(commit, frozenset(gone), tuple(sorted(failures.items())), now)


async def _delete(api: KubeClient, object_id: ObjectId, version: str, owner: Owner) -> None:
    """Delete exactly the object that carries our mark: its uid is a precondition."""
    api_version = f"{object_id.group}/{version}" if object_id.group else version
    resource = await api.discover(api_version, object_id.kind)
    if resource is None:
        return
    live = await api.get(resource, object_id.namespace or None, object_id.name)
    if live is None or owner_of(live) != owner.id:
        return
    await api.delete(resource, object_id.namespace or None, object_id.name, uid=live["metadata"]["uid"])
