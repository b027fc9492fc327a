"""The scale subresource of workloads and custom resources."""

import copy
from typing import Any

from rollout.sandbox.apiserver import jsonpath, patches
from rollout.sandbox.apiserver.errors import bad_request, invalid, modified, unknown_path, unsupported_media_type
from rollout.sandbox.apiserver.kinds import ScalePaths
from rollout.sandbox.apiserver.patcher import APPLY, JSON_PATCH, MERGE_PATCH, STRATEGIC
from rollout.sandbox.apiserver.requests import Target, WriteOptions
from rollout.sandbox.apiserver.schema.validate import invalid_value
from rollout.sandbox.apiserver.selectors import format_selector
from rollout.sandbox.apiserver.store import Object
from rollout.sandbox.apiserver.writer import Writer

_METADATA = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def _paths(target: Target) -> ScalePaths:
    if target.version.scale is None:
        raise unknown_path()
    return target.version.scale


def scale_of(target: Target, obj: Object) -> Object:
    """The `autoscaling/v1` Scale of an object."""
    paths = _paths(target)
    metadata = {key: obj["metadata"][key] for key in _METADATA if key in obj["metadata"]}
    status: Object = {"replicas": jsonpath.first(obj, paths.status_replicas) or 0}
    selector = _selector(target, obj, paths)
    if selector:
        status["selector"] = selector
    replicas = jsonpath.first(obj, paths.spec_replicas)
    spec = {} if replicas is None else {"replicas": replicas}
    return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status}


def _selector(target: Target, obj: Object, paths: ScalePaths) -> str:
    if not target.resource.custom:
        return format_selector((obj.get("spec") or {}).get("selector"))
    if not paths.label_selector:
        return ""
    return str(jsonpath.first(obj, paths.label_selector) or "")


def update_scale(writer: Writer, target: Target, body: Any, options: WriteOptions, content_type: str = "") -> Object:
    """Set the replicas by a Scale (PUT), or by a patch of one.

    Raises:
        StatusError: 400, 404, 409, 415 or 422.
    """
    old = writer.current(target)
    given = _patched(scale_of(target, old), body, content_type) if content_type else body
    if not isinstance(given, dict) or given.get("kind", "Scale") != "Scale":
        raise bad_request("the body of this request must be a Scale")
    metadata = given.get("metadata") or {}
    if metadata.get("resourceVersion") not in {None, "", old["metadata"]["resourceVersion"]}:
        raise modified(target.resource.group, target.resource.plural, target.name)
    replicas = (given.get("spec") or {}).get("replicas", 0)
    if not isinstance(replicas, int) or isinstance(replicas, bool) or replicas < 0:
        causes = [invalid_value("spec.replicas", replicas, "must be greater than or equal to 0")]
        raise invalid("autoscaling", "Scale", target.name, causes)
    new = copy.deepcopy(old)
    _set(new, _paths(target).spec_replicas, replicas)
    return scale_of(target, writer.replace(target, old, new, options).obj)


def _patched(scale: Object, body: Any, content_type: str) -> Any:
    if content_type == JSON_PATCH:
        return patches.json_patch(scale, body)
    if content_type in {MERGE_PATCH, STRATEGIC, APPLY}:
        # A Scale has no lists, so the three mean the same.
        return patches.merge_patch(scale, body)
    raise unsupported_media_type([JSON_PATCH, MERGE_PATCH, APPLY])


def _set(obj: Object, path: str, value: int) -> None:
    *parents, last = path.strip(".").split(".")
    for key in parents:
        obj = obj.setdefault(key, {})
    obj[last] = value
