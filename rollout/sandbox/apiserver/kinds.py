"""What is served: resources with their versions, and the registry of all of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from rollout.sandbox.apiserver.typedsl import DATA, Schema, load_types

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
GroupResource = tuple[str, str]


@dataclass(frozen=True)
class ScalePaths:
    """Where a scale subresource finds its figures, as dotted paths."""

    spec_replicas: str = ".spec.replicas"
    status_replicas: str = ".status.replicas"
    label_selector: str = ""


@dataclass(frozen=True)
class Version:
    """One served version of a resource."""

    name: str
    schema: Schema
    storage: bool = True
    served: bool = True
    status: bool = False
    scale: ScalePaths | None = None
    columns: tuple[Mapping[str, Any], ...] = ()
    subresources: tuple[str, ...] = ()
    selectable: tuple[str, ...] = ()
    type_name: str = ""

    def parts(self) -> tuple[str, ...]:
        """Names of all subresources."""
        status = ("status",) if self.status else ()
        return (*self.subresources, *(("scale",) if self.scale else ()), *status)


@dataclass(frozen=True)
class Resource:
    """A kind of object under its plural name."""

    group: str
    plural: str
    kind: str
    versions: tuple[Version, ...]
    namespaced: bool = True
    singular: str = ""
    list_kind: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS
    custom: bool = False
    has_generation: bool = True

    @property
    def key(self) -> GroupResource:
        return (self.group, self.plural)

    @property
    def storage(self) -> Version:
        """The version in which objects are kept."""
        return next(version for version in self.versions if version.storage)

    def version(self, name: str) -> Version | None:
        return next((one for one in self.versions if one.name == name and one.served), None)

    def api_version(self, version: str) -> str:
        return f"{self.group}/{version}" if self.group else version


@dataclass
class Registry:
    """All resources that are served now; CustomResourceDefinitions come and go."""

    resources: dict[GroupResource, Resource] = field(default_factory=dict)

    def add(self, resource: Resource) -> None:
        self.resources[resource.key] = resource

    def remove(self, key: GroupResource) -> None:
        self.resources.pop(key, None)

    def find(self, group: str, plural: str) -> Resource | None:
        return self.resources.get((group, plural))

    def of_kind(self, api_version: str, kind: str) -> Resource | None:
        """The resource of an ownerReference or involvedObject."""
        group = api_version.rpartition("/")[0]
        found = (one for one in self.resources.values() if one.group == group and one.kind == kind)
        return next(found, None)

    def group_versions(self) -> dict[str, dict[str, list[tuple[Resource, Version]]]]:
        """Served resources: group -> version -> what it serves; the core group first, then in order of appearance."""
        groups: dict[str, dict[str, list[tuple[Resource, Version]]]] = {}
        for resource in self.resources.values():
            for version in _by_priority(resource.versions):
                if version.served:
                    served = groups.setdefault(resource.group, {}).setdefault(version.name, [])
                    served.append((resource, version))
        return groups

    def __iter__(self) -> Iterator[Resource]:
        return iter(list(self.resources.values()))


def _by_priority(versions: tuple[Version, ...]) -> list[Version]:
    """Stable versions before beta before alpha, the newer first."""
    order = {"v": 0, "b": 1, "a": 2}

    def rank(version: Version) -> tuple[int, str]:
        rest = version.name.lstrip("v").lstrip("0123456789")
        return (order[rest[:1] or "v"] if rest[:1] in {"", "a", "b"} else 3, version.name)

    return sorted(versions, key=rank)


def builtin_registry() -> Registry:
    """A registry of the built-in kinds."""
    registry = Registry()
    for group in yaml.safe_load((DATA / "kinds.yaml").read_text()):
        for row in group["kinds"]:
            registry.add(_builtin(group["group"], group["version"], row))
    return registry


def _builtin(group: str, version: str, row: dict[str, Any]) -> Resource:
    type_name = row.get("type", row["kind"])
    served = Version(
        version,
        load_types().whole(type_name),
        status=row.get("status", False),
        scale=ScalePaths() if row.get("scale") else None,
        subresources=tuple(row.get("sub", ())),
        type_name=type_name,
    )
    return Resource(
        group, row["plural"], row["kind"], (served,),
        namespaced=row.get("scope") != "Cluster",
        singular=row["kind"].lower(),
        list_kind=f"{row['kind']}List",
        short_names=tuple(row.get("short", ())),
        categories=tuple(row.get("categories", ())),
        verbs=tuple(row.get("verbs", ALL_VERBS)),
        has_generation=row.get("generation", False),
    )  # fmt: skip


def custom_resource(definition: dict[str, Any]) -> Resource:
    """The resource that a CustomResourceDefinition defines."""
    spec = definition["spec"]
    names = spec["names"]
    return Resource(
        spec["group"], names["plural"], names["kind"],
        tuple(_custom_version(version) for version in spec["versions"]),
        namespaced=spec["scope"] == "Namespaced",
        singular=names.get("singular") or names["kind"].lower(),
        list_kind=names.get("listKind") or f"{names['kind']}List",
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        custom=True,
    )  # fmt: skip


def _custom_version(version: dict[str, Any]) -> Version:
    parts = version.get("subresources") or {}
    scale = parts.get("scale")
    return Version(
        version["name"],
        _with_object_meta((version.get("schema") or {}).get("openAPIV3Schema") or {}),
        storage=version["storage"],
        served=version["served"],
        status="status" in parts,
        scale=scale and ScalePaths(
            scale["specReplicasPath"], scale["statusReplicasPath"], scale.get("labelSelectorPath", "")
        ),
        columns=tuple(version.get("additionalPrinterColumns") or ()),
        selectable=tuple(one["jsonPath"] for one in version.get("selectableFields") or ()),
    )  # fmt: skip


def _with_object_meta(schema: Schema) -> Schema:
    types = load_types()
    fixed = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": types.whole("ObjectMeta")}
    return {**schema, "properties": {**(schema.get("properties") or {}), **fixed}}
