"""The sweep: compares a cache with the API server, since an interrupted watch never tells what it missed."""

from collections.abc import Callable
from typing import Any

from rollout.kube.cache import Cache
from rollout.kube.client import KubeClient
from rollout.kube.resources import Resource

Json = dict[str, Any]


async def sweep(
    client: KubeClient,
    resource: Resource,
    cache: Cache,
    namespaces: tuple[str, ...],
    labels: str,
    *,
    forget: Callable[[Json], None],
    take: Callable[[Json], None],
) -> int:
    """Drop objects that are gone, and take in what the cache has not heard of.

    Only metadata are listed; whole objects only where an event was lost, or is still under way.

    `namespaces` are those that are watched (none: all), `labels` the selector of what is watched; `forget` and `take`
    are told as a watch's events would tell them.

    Returns the number of objects that were gone.
    """
    ghosts = 0
    for namespace in (namespaces or (None,)) if resource.namespaced else (None,):
        live, version = await client.list_metadata(resource, namespace, labels=labels)
        ghosts += cache.sweep(live, version, forget, namespace)
        if cache.behind(live):
            for obj in await client.list(resource, namespace, labels=labels):
                take(obj)
    return ghosts
