"""Discovery: which groups, versions and resources are served, in the old and the aggregated form."""

from typing import Any

from rollout.sandbox.apiserver.errors import unknown_path
from rollout.sandbox.apiserver.kinds import Registry, Resource, Version

Object = dict[str, Any]
AGGREGATED = "APIGroupDiscoveryList"
AGGREGATED_TYPE = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
GROUP, VERSION, KIND = "group", "version", "kind"
_POSTED = {"eviction": ("policy", "v1", "Eviction"), "binding": ("", "v1", "Binding"),
           "token": ("authentication.k8s.io", "v1", "TokenRequest")}  # fmt: skip


def _subresource(resource: Resource, version: Version, name: str) -> tuple[Object, list[str]]:
    """Kind and verbs of a subresource."""
    if name == "scale":
        return {GROUP: "autoscaling", VERSION: "v1", KIND: "Scale"}, ["get", "patch", "update"]
    if name in _POSTED:
        group, served, kind = _POSTED[name]
        return {GROUP: group, VERSION: served, KIND: kind}, ["create"]
    verbs = {"log": ["get"], "finalize": ["update"]}.get(name, ["get", "patch", "update"])
    return {GROUP: resource.group, VERSION: version.name, KIND: resource.kind}, verbs


def answer(registry: Registry, parts: list[str]) -> Object:
    """What a discovery path says.

    Raises:
        StatusError: 404.
    """
    match parts:
        case ["api"]:
            return core_versions()
        case ["apis"]:
            return group_list(registry)
        case ["api", version]:
            return resource_list(registry, "", version)
        case ["apis", name]:
            return group(registry, name)
        case ["apis", name, version]:
            return resource_list(registry, name, version)
        case _:
            raise unknown_path()


def core_versions() -> Object:
    """The answer of /api."""
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}


def group_list(registry: Registry) -> Object:
    """The answer of /apis."""
    names = [name for name in registry.group_versions() if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(registry, name) for name in names]}


def group(registry: Registry, name: str) -> Object:
    """The answer of /apis/GROUP."""
    if name not in registry.group_versions():
        raise unknown_path()
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(registry, name)}


def _group(registry: Registry, name: str) -> Object:
    served = registry.group_versions()[name]
    versions = [{"groupVersion": f"{name}/{version}", "version": version} for version in served]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def resource_list(registry: Registry, group_name: str, version: str) -> Object:
    """The answer of /api/v1 and /apis/GROUP/VERSION."""
    served = registry.group_versions().get(group_name, {}).get(version)
    if served is None:
        raise unknown_path()
    resources = [entry for resource, one in served for entry in _entries(resource, one)]
    title = f"{group_name}/{version}" if group_name else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": title, "resources": resources}


def _entries(resource: Resource, version: Version) -> list[Object]:
    entry: Object = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
        "storageVersionHash": "",
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    return [entry, *(_part_entry(resource, version, part) for part in sorted(version.parts()))]


def _part_entry(resource: Resource, version: Version, part: str) -> Object:
    kind, verbs = _subresource(resource, version, part)
    foreign = {} if kind[GROUP] == resource.group else {GROUP: kind[GROUP], VERSION: kind[VERSION]}
    name = f"{resource.plural}/{part}"
    return {
        "name": name, "singularName": "", "namespaced": resource.namespaced, **foreign,
        "kind": kind[KIND], "verbs": verbs,
    }  # fmt: skip


def aggregated(registry: Registry, *, core: bool) -> Object:
    """Everything below /api or /apis in one answer."""
    groups = {name: served for name, served in registry.group_versions().items() if (not name) == core}
    items = [_aggregated_group(name, served) for name, served in groups.items()]
    return {"kind": AGGREGATED, "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}


def _aggregated_group(name: str, served: dict[str, list[tuple[Resource, Version]]]) -> Object:
    versions = [
        {
            "version": version,
            "freshness": "Current",
            "resources": [_aggregated_resource(resource, one) for resource, one in resources],
        }
        for version, resources in served.items()
    ]
    return {"metadata": {"name": name} if name else {}, "versions": versions}


def _aggregated_resource(resource: Resource, version: Version) -> Object:
    entry: Object = {
        "resource": resource.plural,
        "responseKind": {GROUP: resource.group, VERSION: version.name, KIND: resource.kind},
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    parts = []
    for part in sorted(version.parts()):
        kind, verbs = _subresource(resource, version, part)
        parts.append({"subresource": part, "responseKind": kind, "verbs": verbs})
    return {**entry, "subresources": parts} if parts else entry
