"""PATCH in its four forms."""

from typing import Any

from rollout.sandbox.apiserver import decode, patches
from rollout.sandbox.apiserver.clock import timestamp
from rollout.sandbox.apiserver.convert import from_storage, to_storage
from rollout.sandbox.apiserver.errors import (
    StatusError,
    bad_request,
    invalid,
    modified,
    not_found,
    unsupported_media_type,
)
from rollout.sandbox.apiserver.fields import manager as ownership
from rollout.sandbox.apiserver.fields.manager import Applied
from rollout.sandbox.apiserver.kinds import Resource
from rollout.sandbox.apiserver.requests import Target, WriteOptions
from rollout.sandbox.apiserver.schema.validate import required
from rollout.sandbox.apiserver.store import Object
from rollout.sandbox.apiserver.strategic import strategic_merge
from rollout.sandbox.apiserver.writer import Outcome, Writer, isolated

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"


def accepted_types(target: Target) -> list[str]:
    strategic = [] if target.resource.custom else [STRATEGIC]
    return [JSON_PATCH, MERGE_PATCH, *strategic, APPLY]


def patch(writer: Writer, target: Target, content_type: str, body: Any, options: WriteOptions) -> Outcome:
    """Apply a patch of any type.

    Raises:
        StatusError: 415 for a type the kind does not take, and what updates raise.
    """
    if content_type not in accepted_types(target):
        raise unsupported_media_type(accepted_types(target))
    if content_type == APPLY:
        return _apply(writer, target, body, options)
    old = writer.current(target)
    shown = from_storage(target.resource, target.version, old)
    patched = _patched(shown, content_type, body, target)
    received = decode.check_envelope(patched, target.resource, target.version.name)
    if received["metadata"].get("name") != target.name:
        raise bad_request(f"the name of the object does not match the name on the URL ({target.name})")
    return writer.replace(target, old, to_storage(target.resource, received), options)


def _patched(shown: Object, content_type: str, body: Any, target: Target) -> Any:
    if content_type == JSON_PATCH:
        return patches.json_patch(shown, body)
    if not isinstance(body, dict):
        raise bad_request("the body of this patch must be an object")
    if content_type == STRATEGIC:
        return strategic_merge(shown, body, target.version.schema)
    return patches.merge_patch(shown, body)


def _apply(writer: Writer, target: Target, body: Any, options: WriteOptions) -> Outcome:
    if not options.manager_given:
        causes = [required("fieldManager", "is required for apply patch")]
        raise invalid("meta.k8s.io", "PatchOptions", "", causes)
    received = decode.check_envelope(body, target.resource, target.version.name)
    metadata = received["metadata"]
    if metadata.get("managedFields"):
        raise bad_request("metadata.managedFields must be nil")
    if metadata.setdefault("name", target.name) != target.name:
        raise bad_request(f"the name of the object does not match the name on the URL ({target.name})")
    given_namespace = metadata.get("namespace", "")
    writer.settle_namespace(metadata, target)
    resource = writer.kept_as(target)
    config, unknown = decode.accept_partial(to_storage(target.resource, received), resource, "Warn")
    _refuse_undeclared(unknown, target, given_namespace)
    old = writer.store.get(target.ref)
    _refuse_stale(target, metadata, old)
    base = old or {"apiVersion": config["apiVersion"], "kind": config["kind"], "metadata": {}}
    applied = ownership.apply(
        base, _writable(config, resource, target.subresource), resource.storage.schema,
        ownership.decode(base["metadata"].get("managedFields") or []),
        writer.owner(target, options, "Apply"), timestamp(), force=options.force or old is None,
    )  # fmt: skip
    stored = _store_applied(writer, target, old, applied, options)
    return Outcome(stored, created=old is None)


def _refuse_undeclared(unknown: list[str], target: Target, namespace: str) -> None:
    """Fields without a schema cannot be owned, so apply refuses them whatever fieldValidation says."""
    if not unknown:
        return
    api_version = target.resource.api_version(target.version.name)
    where = f"{namespace}/{target.name}; {api_version}, Kind={target.resource.kind}"
    fields = [f".{path}: field not declared in schema" for path in unknown]
    listed = fields[0] if len(fields) == 1 else "\n  ".join(["errors:", *fields])
    # The API server answers 500 here, and gives no reason.
    raise StatusError(500, "", f"failed to create typed patch object ({where}): {listed}")


def _refuse_stale(target: Target, metadata: Object, old: Object | None) -> None:
    """An applied configuration may name a uid or a resourceVersion as its premise."""
    if old is None and target.subresource:
        raise not_found(target.resource.group, target.resource.plural, target.name)
    for field in ("resourceVersion", "uid"):
        given = metadata.get(field)
        if given and given != (old or {"metadata": {}})["metadata"].get(field):
            raise modified(target.resource.group, target.resource.plural, target.name)


def _writable(config: Object, resource: Resource, subresource: str) -> Object:
    """The part of an applied configuration that this endpoint writes."""
    if subresource == "status":
        return {key: config[key] for key in ("apiVersion", "kind", "metadata", "status") if key in config}
    return {key: value for key, value in config.items() if key != "status" or not resource.storage.status}


def _store_applied(
    writer: Writer, target: Target, old: Object | None, applied: Applied, options: WriteOptions
) -> Object:
    # What was pruned or refused was so before; merged objects only need their defaults.
    obj, _ = decode.accept(applied.obj, writer.kept_as(target), "Ignore")
    if old is None:
        return writer.insert(target, obj, applied.ownership, options)
    prepared = isolated(obj, old, writer.kept_as(target), target.subresource)
    return writer.commit(target, old, prepared, applied.ownership, options)
