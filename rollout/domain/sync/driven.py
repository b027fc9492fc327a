"""What a Rollout or an autoscaler drives in objects that Git declares.

Applying such a field from Git would fight its driver: HTTPRoute rules are one atomic list, so the weights in Git would
reset those of a running canary. So the live values go into the desired object before it is compared and applied;
everything else in the same object is still repaired.
"""

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rollout.api.keys import HASH_LABEL, MANAGED_BY
from rollout.domain.sync.objects import ROLLOUT_GROUPS, Json, ObjectId, Rendered


@dataclass(frozen=True, slots=True)
class Driven:
    """Who drives what in one namespace.

    Attributes:
        pairs: (namespace, stable Service, canary Service) of Rollouts with traffic routing.
        services: (namespace, name) of Services whose selectors Rollouts manage.
        scaled: targets of autoscalers.
    """

    pairs: frozenset[tuple[str, str, str]] = frozenset()
    services: frozenset[tuple[str, str]] = frozenset()
    scaled: frozenset[ObjectId] = frozenset()


def drivers(objects: Iterable[Json]) -> Driven:
    """What the Rollouts and autoscalers among these objects drive.

    Args:
        objects: desired objects, and live ones that other applications declare.
    """
    pairs, services, scaled = set(), set(), set()
    for obj in objects:
        namespace = obj["metadata"].get("namespace", "")
        if obj["kind"] == "Rollout" and obj["apiVersion"].partition("/")[0] in ROLLOUT_GROUPS:
            canary = _map(_map(_map(obj, "spec"), "strategy"), "canary")
            names = [canary.get("stableService"), canary.get("canaryService")]
            services |= {(namespace, name) for name in names if isinstance(name, str) and name}
            if all(isinstance(name, str) and name for name in names):
                pairs.add((namespace, str(names[0]), str(names[1])))
        elif obj["kind"] == "HorizontalPodAutoscaler":
            target = _map(_map(obj, "spec"), "scaleTargetRef")
            group = str(target.get("apiVersion", "")).rpartition("/")[0]
            scaled.add(ObjectId(group, str(target.get("kind", "")), namespace, str(target.get("name", ""))))
    return Driven(frozenset(pairs), frozenset(services), frozenset(scaled))


def drivers_of(rendered: Rendered) -> Driven:
    """What the Rollouts and autoscalers of a render drive."""
    return drivers(o.obj for o in rendered.objects)


def with_live_values(desired: Json, live: Json | None, driven: Driven) -> Json:
    """A copy of the desired object with the driven fields as they live; the object itself where nothing is driven.

    Args:
        desired: as Git declares it, placed in its namespace.
        live: as it is in the cluster; None where it does not exist yet.
        driven: who drives what.
    """
    if live is None or not is_driven(desired, driven):
        return desired
    return _MERGES[desired["kind"]](copy.deepcopy(desired), live, driven)


def is_driven(desired: Json, driven: Driven) -> bool:
    """Whether some field of the object may be driven; such an object is applied against the version that was read."""
    identity = ObjectId.of(desired)
    match desired["kind"]:
        case "HTTPRoute":
            return any(pair[0] == identity.namespace for pair in driven.pairs)
        case "Service":
            return (identity.namespace, identity.name) in driven.services
        case "Rollout" | "Deployment" | "StatefulSet":
            return identity in driven.scaled
        case _:
            return False


def _replicas(desired: Json, live: Json, _: Driven) -> Json:
    """An autoscaler's number of pods."""
    replicas = _map(live, "spec").get("replicas")
    if replicas is not None:
        _child(desired, "spec")["replicas"] = replicas
    return desired


def _service(desired: Json, live: Json, _: Driven) -> Json:
    """The hash in the selector, and the mark of the Rollout that put it there."""
    chosen = _map(_map(live, "spec"), "selector").get(HASH_LABEL)
    if chosen is not None:
        _child(_child(desired, "spec"), "selector")[HASH_LABEL] = chosen
    manager = _map(_map(live, "metadata"), "annotations").get(MANAGED_BY)
    if manager is not None:
        _child(desired["metadata"], "annotations")[MANAGED_BY] = manager
    return desired


def _http_route(desired: Json, live: Json, driven: Driven) -> Json:
    """Weights of the backends of a Rollout, in rules that name both of its Services."""
    namespace = desired["metadata"].get("namespace", "")
    pairs = {frozenset(pair[1:]) for pair in driven.pairs if pair[0] == namespace}
    wanted, actual = _maps(_map(desired, "spec"), "rules"), _maps(_map(live, "spec"), "rules")
    for number, rule in enumerate(wanted):
        twin = _twin(rule, number, actual)
        for pair in pairs:
            if twin is not None and pair <= _backends(rule).keys() and pair <= _backends(twin).keys():
                _copy_weights(_backends(rule), _backends(twin), pair)
    return desired


def _twin(rule: Json, number: int, actual: list[Json]) -> Json | None:
    """The live rule that a declared one became: by name, else by its place."""
    named = [other for other in actual if rule.get("name") and other.get("name") == rule["name"]]
    if named:
        return named[0]
    return actual[number] if number < len(actual) else None


def _copy_weights(wanted: Mapping[str, Json], actual: Mapping[str, Json], pair: frozenset[str]) -> None:
    for name in pair:
        weight = actual[name].get("weight")
        if weight is None:
            wanted[name].pop("weight", None)
        else:
            wanted[name]["weight"] = weight


def _backends(rule: Json) -> dict[str, Json]:
    """Backends of a rule that are Services, by name."""
    refs = _maps(rule, "backendRefs")
    return {str(r.get("name")): r for r in refs if r.get("kind", "Service") == "Service"}


def _child(holder: Json, key: str) -> dict[str, Any]:
    """The map of a key, made where there is none; what is no map stays, for the API server to refuse."""
    if holder.get(key) is None:
        holder[key] = {}
    return _map(holder, key)


def _map(holder: Json, key: str) -> dict[str, Any]:
    value = holder.get(key)
    return value if isinstance(value, dict) else {}


def _maps(holder: Json, key: str) -> list[dict[str, Any]]:
    values = holder.get(key)
    return [v for v in values if isinstance(v, dict)] if isinstance(values, list) else []


_MERGES: dict[str, Callable[[Json, Json, Driven], Json]] = {
    "Deployment": _replicas,
    "HTTPRoute": _http_route,
    "Rollout": _replicas,
    "Service": _service,
    "StatefulSet": _replicas,
}
