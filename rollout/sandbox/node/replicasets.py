"""The ReplicaSet controller of the sandbox: as many pods as wanted, and their counts in the status."""

import secrets
import time
from collections.abc import Callable
from typing import Any

from analysis.durations import parse_time
from rollout.errors import NotFound
from rollout.kube.cache import Cache
from rollout.kube.client import KubeClient
from rollout.kube.resources import PODS, REPLICA_SETS
from rollout.sandbox.node.kubelet import NODE

Json = dict[str, Any]
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


class ReplicaSets:
    """One turn a ReplicaSet, from its object and its pods."""

    def __init__(self, client: KubeClient, pods: Cache, took: Callable[[Json], None]) -> None:
        self._client, self._pods, self._took = client, pods, took

    async def reconcile(self, replica_set: Json) -> float | None:
        """Create or delete pods, report counts; returns when availability may change by itself (epoch seconds)."""
        metadata = replica_set["metadata"]
        mine = self._pods.owned(metadata["uid"])
        active = [pod for pod in mine if "deletionTimestamp" not in pod["metadata"]]
        wanted = 0 if "deletionTimestamp" in metadata else replica_set["spec"].get("replicas", 1)
        for _ in range(wanted - len(active)):
            self._took(await self._client.create(PODS, self._pod(replica_set)))
        for pod in sorted(active, key=_least_useful)[: max(len(active) - wanted, 0)]:
            await self._client.delete(PODS, metadata["namespace"], pod["metadata"]["name"])
        return await self._report(replica_set, active)

    async def _report(self, replica_set: Json, active: list[Json]) -> float | None:
        settle = float(replica_set["spec"].get("minReadySeconds") or 0)
        ready = [since for pod in active if (since := ready_since(pod)) is not None]
        now = time.time()
        available = [since for since in ready if now - since >= settle]
        status = {
            "replicas": len(active),
            "fullyLabeledReplicas": len(active),
            "readyReplicas": len(ready),
            "availableReplicas": len(available),
            "observedGeneration": replica_set["metadata"]["generation"],
        }
        if status != {key: (replica_set.get("status") or {}).get(key, 0) for key in status}:
            name, namespace = replica_set["metadata"]["name"], replica_set["metadata"]["namespace"]
            try:
                await self._client.merge_patch(REPLICA_SETS, namespace, name, {"status": status}, subresource="status")
            except NotFound:
                return None
        later = [since + settle for since in ready if now - since < settle]
        return min(later, default=None)

    def _pod(self, replica_set: Json) -> Json:
        metadata = replica_set["metadata"]
        template = replica_set["spec"]["template"]
        suffix = "".join(secrets.choice(_LETTERS) for _ in range(5))
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                **{k: v for k, v in (template.get("metadata") or {}).items() if k in {"labels", "annotations"}},
                "name": f"{metadata['name']}-"[:58] + suffix,
                "namespace": metadata["namespace"],
                "ownerReferences": [
                    {
                        "apiVersion": REPLICA_SETS.api_version,
                        "kind": REPLICA_SETS.kind,
                        "name": metadata["name"],
                        "uid": metadata["uid"],
                        "controller": True,
                        "blockOwnerDeletion": True,
                    }
                ],
            },
            "spec": {**template["spec"], "nodeName": NODE},
        }


def ready_since(pod: Json) -> float | None:
    """Epoch seconds since when a pod is ready; None where it is not."""
    conditions = (pod.get("status") or {}).get("conditions") or []
    ready = next((c for c in conditions if c["type"] == "Ready" and c["status"] == "True"), None)
    return None if ready is None else parse_time(ready["lastTransitionTime"])


def _least_useful(pod: Json) -> tuple[bool, float]:
    """Unready pods go first, then the youngest."""
    return ready_since(pod) is not None, -parse_time(pod["metadata"]["creationTimestamp"])
