"""Between the version a client speaks and the form in which objects are kept."""

from collections.abc import Mapping
from typing import Any

from rollout.sandbox.apiserver.kinds import GroupResource, Resource, Version
from rollout.sandbox.apiserver.store import Ref

Object = dict[str, Any]
EVENTS: GroupResource = ("", "events")
NEW_EVENTS: GroupResource = ("events.k8s.io", "events")
# Both groups show the same events; these are the names of one field in either.
_EVENT_FIELDS: Mapping[str, str] = {
    "note": "message",
    "regarding": "involvedObject",
    "reportingController": "reportingComponent",
    "deprecatedCount": "count",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedSource": "source",
}
_BACK = {core: new for new, core in _EVENT_FIELDS.items()}


def storage_key(resource: Resource) -> GroupResource:
    return EVENTS if resource.key == NEW_EVENTS else resource.key


def ref_of(resource: Resource, namespace: str, name: str) -> Ref:
    return Ref(storage_key(resource), namespace if resource.namespaced else "", name)


def is_same_form(resource: Resource, version: Version) -> bool:
    """True if objects of this version are written as they are kept."""
    return version.storage and resource.key != NEW_EVENTS


def to_storage(resource: Resource, obj: Object) -> Object:
    if resource.key == NEW_EVENTS:
        return {**_renamed(obj, _EVENT_FIELDS), "apiVersion": "v1"}
    return {**obj, "apiVersion": resource.api_version(resource.storage.name)}


def from_storage(resource: Resource, version: Version, obj: Object) -> Object:
    if is_same_form(resource, version):
        return obj
    converted = _renamed(obj, _BACK) if resource.key == NEW_EVENTS else obj
    return {**converted, "apiVersion": resource.api_version(version.name)}


def _renamed(obj: Object, names: Mapping[str, str]) -> Object:
    return {names.get(key, key): value for key, value in obj.items()}
