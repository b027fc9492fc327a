"""Reading a Rollout with everything it owns."""

import asyncio
from typing import Any

from rollout.api.keys import HASH_LABEL
from rollout.cli.target import Cluster
from rollout.cli.tree import Family
from rollout.cli.watching import Watched
from rollout.kube.resources import ANALYSIS_RUNS, PODS, REPLICA_SETS, ROLLOUTS

Json = dict[str, Any]


async def read_family(cluster: Cluster, name: str) -> Family:
    """The Rollout, its ReplicaSets, their pods, and its runs; raises Absent."""
    live, sets, pods, runs = await asyncio.gather(
        cluster.find(ROLLOUTS, name),
        cluster.client.list(REPLICA_SETS, cluster.namespace, labels=HASH_LABEL),
        cluster.client.list(PODS, cluster.namespace, labels=HASH_LABEL),
        cluster.client.list(ANALYSIS_RUNS, cluster.namespace),
    )
    mine = _owned(sets, {live["metadata"]["uid"]})
    return Family(
        live,
        mine,
        _owned(pods, {rs["metadata"]["uid"] for rs in mine}),
        _owned(runs, {live["metadata"]["uid"]}),
    )


async def read_replica_sets(cluster: Cluster, live: Json) -> tuple[Json, ...]:
    """The ReplicaSets that a Rollout owns."""
    found = await cluster.client.list(REPLICA_SETS, cluster.namespace, labels=HASH_LABEL)
    return _owned(found, {live["metadata"]["uid"]})


def watched_family(namespace: str, name: str) -> list[Watched]:
    """What to watch to see every change of the picture."""
    return [
        Watched(ROLLOUTS, namespace, name),
        Watched(REPLICA_SETS, namespace, labels=HASH_LABEL),
        Watched(PODS, namespace, labels=HASH_LABEL),
        Watched(ANALYSIS_RUNS, namespace),
    ]


def _owned(objects: list[Json], uids: set[str]) -> tuple[Json, ...]:
    """Those that belong to one of the owners."""
    return tuple(
        obj for obj in objects if any(o.get("uid") in uids for o in obj["metadata"].get("ownerReferences") or [])
    )
