"""The one place where a Rollout's decisions become writes: counted, and read back into the caches."""

from collections.abc import Callable
from typing import Any, assert_never

from rollout.api.keys import (
    DESIRED_REPLICAS,
    FINALIZER,
    HASH_LABEL,
    MANAGED_BY,
    RUN_TYPE,
)
from rollout.domain import actions as act
from rollout.errors import ApiUnavailable, Conflict, NotFound
from rollout.kube.cache import Cache
from rollout.kube.client import KubeClient
from rollout.kube.resources import (
    ANALYSIS_RUNS,
    HTTP_ROUTES,
    PODS,
    REPLICA_SETS,
    ROLLOUTS,
    SERVICES,
    Resource,
)
from rollout.traffic import httproute

Json = dict[str, Any]
Caches = dict[Resource, Cache]


class RolloutExecutor:
    """Carries out the actions of Rollouts.

    Args:
        client: fenced.
        caches: where the answers of writes go, so that the next turn sees them.
        performed: told the name of each action, for metrics.
    """

    def __init__(self, client: KubeClient, caches: Caches, performed: Callable[[str], None] = lambda _: None) -> None:
        self._client, self._caches, self._performed = client, caches, performed

    async def perform(self, rollout: Json, action: act.Action) -> None:  # noqa: C901, PLR0912  one arm an action
        """Carry out one action; raises Conflict where the world has moved on, so that the turn is decided anew."""
        self._performed(type(action).__name__)
        match action:
            case act.PatchRollout():
                await self._merge(ROLLOUTS, rollout, rollout["metadata"]["name"], action.patch)
            case act.SetFinalizer():
                await self._set_finalizer(rollout, present=action.present)
            case act.CreateReplicaSet():
                await self._create_replica_set(rollout, action)
            case act.ScaleReplicaSet():
                annotations = {DESIRED_REPLICAS: str(action.desired)}
                patch = {"metadata": {"annotations": annotations}, "spec": {"replicas": action.replicas}}
                await self._guarded(REPLICA_SETS, rollout, action.name, patch)
            case act.AnnotateReplicaSet():
                patch = {"metadata": {"annotations": action.annotations}}
                await self._merge(REPLICA_SETS, rollout, action.name, patch)
            case act.DeleteReplicaSet():
                await self._delete(REPLICA_SETS, rollout, action.name, action.uid)
            case act.SelectPods():
                await self._select(rollout, action)
            case act.SetWeight():
                await self._route(rollout, action, action.canary_weight_percent)
            case act.RestoreRoute():
                await self._route(rollout, action, None)
            case act.CreateRun():
                await self._create_run(rollout, action)
            case act.TerminateRun():
                await self._merge(ANALYSIS_RUNS, rollout, action.name, {"spec": {"terminate": True}})
            case act.RecordWeights():
                patch = {"metadata": {"annotations": {"coalmine.dev/weights": action.timeline}}}
                await self._merge(ANALYSIS_RUNS, rollout, action.name, patch)
            case act.DeleteRun():
                await self._delete(ANALYSIS_RUNS, rollout, action.name, action.uid)
            case act.LabelPod():
                patch = {"metadata": {"labels": action.labels, "annotations": action.annotations}}
                await self._merge(PODS, rollout, action.name, patch)
            case act.EvictPod():
                await self._evict(rollout, action)
            case _:
                assert_never(action)

    async def _merge(self, resource: Resource, rollout: Json, name: str, patch: Json) -> None:
        namespace = rollout["metadata"]["namespace"]
        try:
            answer = await self._client.merge_patch(resource, namespace, name, patch)
        except NotFound as gone:
            raise Conflict(f"{resource.kind} {name} is gone") from gone
        self._caches[resource].put(answer)

    async def _guarded(self, resource: Resource, rollout: Json, name: str, patch: Json) -> None:
        """A patch that holds only for the object as it was seen when the turn was decided."""
        seen = self._seen(resource, rollout, name)
        metadata = {**patch.get("metadata", {}), "resourceVersion": seen["metadata"]["resourceVersion"]}
        await self._merge(resource, rollout, name, {**patch, "metadata": metadata})

    def _seen(self, resource: Resource, rollout: Json, name: str) -> Json:
        seen = self._caches[resource].get((rollout["metadata"]["namespace"], name))
        if seen is None:
            raise Conflict(f"{resource.kind} {name} is gone")
        return seen

    async def _delete(self, resource: Resource, rollout: Json, name: str, uid: str) -> None:
        namespace = rollout["metadata"]["namespace"]
        await self._client.delete(resource, namespace, name, uid=uid)

    async def _set_finalizer(self, rollout: Json, *, present: bool) -> None:
        seen = self._seen(ROLLOUTS, rollout, rollout["metadata"]["name"])
        others = [f for f in seen["metadata"].get("finalizers") or [] if f != FINALIZER]
        finalizers = [*others, FINALIZER] if present else others
        patch = {"metadata": {"finalizers": finalizers}}
        await self._guarded(ROLLOUTS, rollout, rollout["metadata"]["name"], patch)

    async def _create_replica_set(self, rollout: Json, action: act.CreateReplicaSet) -> None:
        spec = rollout["spec"]
        selector = spec.get("selector") or {}
        labels = {**(selector.get("matchLabels") or {}), HASH_LABEL: action.pod_hash}
        obj: Json = {
            "apiVersion": REPLICA_SETS.api_version,
            "kind": REPLICA_SETS.kind,
            "metadata": {
                "name": action.name,
                "namespace": rollout["metadata"]["namespace"],
                "labels": {**((action.template.get("metadata") or {}).get("labels") or {})},
                "annotations": {**action.annotations, DESIRED_REPLICAS: str(spec.get("replicas", 1))},
                "ownerReferences": [owner_reference(rollout)],
            },
            "spec": {
                "replicas": action.replicas,
                "minReadySeconds": spec.get("minReadySeconds", 0),
                "selector": {**selector, "matchLabels": labels},
                "template": action.template,
            },
        }
        self._caches[REPLICA_SETS].put(await self._client.create(REPLICA_SETS, obj))

    async def _create_run(self, rollout: Json, action: act.CreateRun) -> None:
        obj: Json = {
            "apiVersion": ANALYSIS_RUNS.api_version,
            "kind": ANALYSIS_RUNS.kind,
            "metadata": {
                "name": action.name,
                "namespace": rollout["metadata"]["namespace"],
                "labels": {**action.labels, HASH_LABEL: action.pod_hash, RUN_TYPE: action.kind},
                "annotations": {**action.annotations, "coalmine.dev/revision": str(action.revision)},
                "ownerReferences": [owner_reference(rollout)],
            },
            "spec": action.spec,
        }
        self._caches[ANALYSIS_RUNS].put(await self._client.create(ANALYSIS_RUNS, obj))

    async def _select(self, rollout: Json, action: act.SelectPods) -> None:
        name = rollout["metadata"]["name"]
        patch: Json = {
            "metadata": {"annotations": {MANAGED_BY: name if action.pod_hash else None}},
            "spec": {"selector": {HASH_LABEL: action.pod_hash or None}},
        }
        await self._merge(SERVICES, rollout, action.service, patch)

    async def _route(self, rollout: Json, action: act.SetWeight | act.RestoreRoute, weight: int | None) -> None:
        seen = self._seen(HTTP_ROUTES, rollout, action.route)
        arms = (action.canary_service, action.stable_service)
        patch = httproute.restore_patch(seen, *arms) if weight is None else httproute.weight_patch(seen, *arms, weight)
        await self._merge(HTTP_ROUTES, rollout, action.route, patch)

    async def _evict(self, rollout: Json, action: act.EvictPod) -> None:
        namespace = rollout["metadata"]["namespace"]
        eviction = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": action.name, "namespace": namespace},
            "deleteOptions": {"preconditions": {"uid": action.uid}},
        }
        try:
            await self._client.create_subresource(PODS, namespace, action.name, "eviction", eviction)
        except (NotFound, ApiUnavailable):
            # A disruption budget says "later" by 429. The restart asks again; the rest of the turn must not wait.
            return


def owner_reference(rollout: Json) -> Json:
    """The reference by which a Rollout owns its ReplicaSets and AnalysisRuns."""
    return {
        "apiVersion": rollout.get("apiVersion") or ROLLOUTS.api_version,
        "kind": ROLLOUTS.kind,
        "name": rollout["metadata"]["name"],
        "uid": rollout["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
