"""Which objects' turns an event asks for. Pure look-ups in the caches."""

from collections import defaultdict
from typing import Any

from rollout.api.keys import MANAGED_BY
from rollout.controllers.pods_read import decides_by_pods
from rollout.controllers.terms import manager_term, model_term
from rollout.kube.cache import Cache, Key, key_of
from rollout.kube.inventory import owner_of
from rollout.kube.resources import (
    ANALYSIS_RUNS,
    ANALYSIS_TEMPLATES,
    APPLICATIONS,
    CLUSTER_ANALYSIS_TEMPLATES,
    FAILURE_MODELS,
    GIT_REPOSITORIES,
    HTTP_ROUTES,
    PODS,
    REPLICA_SETS,
    ROLLOUTS,
    SERVICES,
    Resource,
)

Json = dict[str, Any]
Work = tuple[Resource, Key]
Reference = tuple[Resource, Key]


class References:
    """Who names what: from a Service, route or template to the Rollouts that use it.

    Kept per Rollout, so that the cost of an event does not grow with the number of Rollouts.
    """

    def __init__(self) -> None:
        self._users: dict[Reference, set[Key]] = defaultdict(set)
        self._named: dict[Key, frozenset[Reference]] = {}

    def put(self, rollout: Json) -> None:
        """Remember what a Rollout names now."""
        key = key_of(rollout)
        named = frozenset(_named(rollout))
        self.drop(key)
        self._named[key] = named
        for reference in named:
            self._users[reference].add(key)

    def drop(self, key: Key) -> None:
        """Forget a Rollout."""
        for reference in self._named.pop(key, frozenset()):
            users = self._users[reference]
            users.discard(key)
            if not users:
                del self._users[reference]

    def users(self, resource: Resource, key: Key) -> frozenset[Key]:
        """The Rollouts that name an object."""
        return frozenset(self._users.get((resource, key), ()))

    def rivals(self, rollout: Json) -> frozenset[Key]:
        """The Rollouts that name something this one names too."""
        shared = (self._users.get(ref, set()) for ref in self._named.get(key_of(rollout), ()) if ref[0] is SERVICES)
        return frozenset(key for users in shared for key in users)


def _named(rollout: Json) -> list[Reference]:
    namespace = rollout["metadata"]["namespace"]
    canary = ((rollout.get("spec") or {}).get("strategy") or {}).get("canary") or {}
    named: list[Reference] = [
        (SERVICES, (namespace, canary[field])) for field in ("stableService", "canaryService") if canary.get(field)
    ]
    gateway = (canary.get("trafficRouting") or {}).get("gatewayAPI") or {}
    routes = [route.get("name") for route in gateway.get("httpRoutes") or []] + [gateway.get("httpRoute")]
    named += [(HTTP_ROUTES, (namespace, name)) for name in routes if name]
    for template in (canary.get("analysis") or {}).get("templates") or []:
        if template.get("clusterScope"):
            named.append((CLUSTER_ANALYSIS_TEMPLATES, ("", template.get("templateName", ""))))
        else:
            named.append((ANALYSIS_TEMPLATES, (namespace, template.get("templateName", ""))))
    return named


def work_for(caches: dict[Resource, Cache], references: References, resource: Resource, obj: Json) -> list[Work]:
    """The turns that a change of an object asks for."""
    key = key_of(obj)
    if resource is ROLLOUTS:
        rivals = references.rivals(obj)
        return [
            (ROLLOUTS, key),
            *((ROLLOUTS, rival) for rival in rivals if rival != key),
            *_services_of(caches, key),
            *_models_of(caches, key),
            *_applications(caches, key[0]),
        ]
    if resource in {ANALYSIS_RUNS, REPLICA_SETS}:
        own = [(ANALYSIS_RUNS, key)] if resource is ANALYSIS_RUNS else []
        return own + _owner(obj, key[0])
    if resource is PODS:
        return _pod(caches, obj, key[0])
    if resource is SERVICES:
        users = [(ROLLOUTS, user) for user in references.users(resource, key)]
        return users + _managed(obj, key) + _declared_by(obj)
    if resource in {HTTP_ROUTES, ANALYSIS_TEMPLATES, CLUSTER_ANALYSIS_TEMPLATES}:
        return [(ROLLOUTS, user) for user in references.users(resource, key)] + _declared_by(obj)
    if resource is GIT_REPOSITORIES:
        return [(GIT_REPOSITORIES, key), *_applications(caches, key[0])]
    return [(resource, key)]


def nobody_waits(resource: Resource, work: Work) -> bool:
    """Whether a turn may be taken later: the fetch itself asks those Applications that a commit touches."""
    return resource is GIT_REPOSITORIES and work[0] is APPLICATIONS


def _declared_by(obj: Json) -> list[Work]:
    """The Application that applied the object: somebody may have changed what Git declares."""
    namespace, slash, name = owner_of(obj).partition("/")
    return [(APPLICATIONS, (namespace, name))] if slash else []


def _owner(obj: Json, namespace: str) -> list[Work]:
    owners = obj["metadata"].get("ownerReferences") or []
    return [(ROLLOUTS, (namespace, o["name"])) for o in owners if o.get("controller") and o["kind"] == "Rollout"]


def _pod(caches: dict[Resource, Cache], obj: Json, namespace: str) -> list[Work]:
    owners = obj["metadata"].get("ownerReferences") or []
    sets = (caches[REPLICA_SETS].get((namespace, o["name"])) for o in owners if o["kind"] == "ReplicaSet")
    keys = [key for rs in sets if rs is not None for _, key in _owner(rs, namespace)]
    rollouts = [live for live in map(caches[ROLLOUTS].get, keys) if live is not None]
    runs = [run for live in rollouts for run in caches[ANALYSIS_RUNS].owned(live["metadata"]["uid"])]
    unfinished = [run for run in runs if not (run.get("status") or {}).get("completedAt")]
    deciding = [(ROLLOUTS, key_of(live)) for live in rollouts if decides_by_pods(live)]
    return deciding + [(ANALYSIS_RUNS, key_of(run)) for run in unfinished]


def _managed(service: Json, key: Key) -> list[Work]:
    return [(SERVICES, key)] if MANAGED_BY in (service["metadata"].get("annotations") or {}) else []


def _services_of(caches: dict[Resource, Cache], rollout: Key) -> list[Work]:
    """Services that this Rollout manages, or managed: it may be gone, or name others now."""
    managed = caches[SERVICES].find(manager_term(*rollout))
    return [(SERVICES, key_of(service)) for service in managed]


def _models_of(caches: dict[Resource, Cache], rollout: Key) -> list[Work]:
    """FailureModels of this Rollout: it may name another one now."""
    return [(FAILURE_MODELS, key_of(model)) for model in caches[FAILURE_MODELS].find(model_term(*rollout))]


def _applications(caches: dict[Resource, Cache], namespace: str) -> list[Work]:
    return [(APPLICATIONS, key_of(app)) for app in caches[APPLICATIONS].all(namespace)]
