"""From a URL's path to what it names."""

from dataclasses import dataclass

from rollout.sandbox.apiserver.errors import unknown_path
from rollout.sandbox.apiserver.kinds import Registry
from rollout.sandbox.apiserver.requests import Target

_NAMESPACE_PARTS = frozenset({"status", "finalize"})


@dataclass(frozen=True)
class ResourcePath:
    """The parts of `/api/...` and `/apis/...` below a group and version."""

    group: str
    version: str
    rest: tuple[str, ...]


def split(path: str) -> ResourcePath | None:
    """The parts of a resource's path; None for discovery and everything that is no resource."""
    parts = [part for part in path.split("/") if part]
    if len(parts) > 2 and parts[0] == "api":
        return ResourcePath("", parts[1], tuple(parts[2:]))
    if len(parts) > 3 and parts[0] == "apis":
        return ResourcePath(parts[1], parts[2], tuple(parts[3:]))
    return None


def locate(registry: Registry, path: ResourcePath) -> Target:
    """The target of a resource's path.

    Raises:
        StatusError: 404 when nothing like it is served.
    """
    namespace, rest = "", path.rest
    if rest[0] == "namespaces" and len(rest) > 2 and not (len(rest) == 3 and rest[2] in _NAMESPACE_PARTS):
        namespace, rest = rest[1], rest[2:]
    resource = registry.find(path.group, rest[0])
    version = resource.version(path.version) if resource else None
    if resource is None or version is None or len(rest) > 3 or bool(namespace) > resource.namespaced:
        raise unknown_path()
    name = rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    if subresource and subresource not in version.parts():
        raise unknown_path()
    if name and resource.namespaced and not namespace:
        raise unknown_path()
    return Target(resource, version, namespace, name, subresource)
