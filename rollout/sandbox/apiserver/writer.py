"""Creating and changing objects: the one way into the store."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rollout.sandbox.apiserver import decode, naming
from rollout.sandbox.apiserver.builtin import services, strategies
from rollout.sandbox.apiserver.clock import timestamp
from rollout.sandbox.apiserver.convert import storage_key, to_storage
from rollout.sandbox.apiserver.errors import (
    Cause,
    StatusError,
    already_exists,
    bad_request,
    conflict,
    forbidden,
    invalid,
    modified,
    not_found,
)
from rollout.sandbox.apiserver.fields import manager as ownership
from rollout.sandbox.apiserver.fields.manager import Owner, Ownership
from rollout.sandbox.apiserver.kinds import Registry, Resource
from rollout.sandbox.apiserver.requests import Target, WriteOptions
from rollout.sandbox.apiserver.schema.prune import apply_defaults
from rollout.sandbox.apiserver.schema.validate import cause, validate
from rollout.sandbox.apiserver.store import Object, Ref, Store

NAMESPACES = ("", "namespaces")
GENERATED_NAME_ATTEMPTS = 8
_CREATED_BY_UPDATE = frozenset({("coordination.k8s.io", "leases"), ("", "endpoints")})
_KEPT_METADATA = (
    "name", "namespace", "uid", "creationTimestamp", "generation", "deletionTimestamp",
    "deletionGracePeriodSeconds", "generateName",
)  # fmt: skip


@dataclass
class Outcome:
    """What a write led to; `obj` is in its storage form."""

    obj: Object
    created: bool = False
    warnings: Sequence[str] = field(default_factory=list)


class Writer:
    """Applies requests to the store, with validation, defaults and field ownership."""

    def __init__(self, store: Store, registry: Registry) -> None:
        self.store, self.registry = store, registry

    # Reading what is there.

    def current(self, target: Target) -> Object:
        """The stored object.

        Raises:
            StatusError: 404.
        """
        found = self.store.get(target.ref)
        if found is None:
            raise not_found(target.resource.group, target.resource.plural, target.name)
        return found

    def kept_as(self, target: Target) -> Resource:
        """The resource whose schema and rules hold for what is stored."""
        return self.registry.resources[storage_key(target.resource)]

    # Creating.

    def create(self, target: Target, body: Any, options: WriteOptions) -> Outcome:
        """Create an object from a request's body.

        Raises:
            StatusError: 400, 403, 404, 409 or 422.
        """
        received = decode.check_envelope(body, target.resource, target.version.name)
        self.settle_namespace(received["metadata"], target)
        obj, warnings = decode.accept(
            to_storage(target.resource, received), self.kept_as(target), options.field_validation
        )
        metadata = obj["metadata"]
        if metadata.get("resourceVersion"):
            raise bad_request("resourceVersion should not be set on objects to be created")
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = self._free_name(target, metadata["generateName"])
        if target.name and metadata.get("name") != target.name:
            raise _other_name(metadata.get("name", ""), target.name)
        owned = self._first_ownership(target, obj, options)
        return Outcome(self.insert(target, obj, owned, options), created=True, warnings=warnings)

    def _first_ownership(self, target: Target, obj: Object, options: WriteOptions) -> Ownership:
        """Whoever creates an object owns all of it that is kept."""
        storage = self.kept_as(target).storage
        kept = {key: value for key, value in obj.items() if key != "status" or not storage.status}
        blank = {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": {}}
        given = ownership.decode(obj["metadata"].get("managedFields") or [])
        owner = self.owner(target, options, "Update")
        return ownership.after_update(blank, kept, storage.schema, given, owner, timestamp())

    def insert(self, target: Target, obj: Object, owned: Ownership, options: WriteOptions) -> Object:
        """Store a new object that was decoded and defaulted. It may be changed in place."""
        resource, metadata = self.kept_as(target), obj["metadata"]
        ref = Ref(storage_key(target.resource), metadata.get("namespace", ""), metadata.get("name", ""))
        self._begin(obj, resource)
        self._admit(resource, obj, None)
        self._check(resource, obj, None)
        self._refuse_missing_namespace(resource, metadata)
        if self.store.get(ref):
            raise already_exists(resource.group, resource.plural, ref.name)
        metadata["managedFields"] = ownership.encode(owned)
        if options.dry_run:
            return obj
        return self.store.put(ref, obj)

    def _begin(self, obj: Object, resource: Resource) -> None:
        metadata = obj["metadata"]
        for name in ("deletionTimestamp", "deletionGracePeriodSeconds", "resourceVersion", "generation"):
            metadata.pop(name, None)
        metadata["uid"] = str(uuid.uuid4())
        metadata["creationTimestamp"] = timestamp()
        if resource.has_generation:
            metadata["generation"] = 1
        if resource.storage.status:
            # Whatever a client says about the status of a new object is dropped; defaults remain.
            obj.pop("status", None)
            apply_defaults(obj, resource.storage.schema)

    def settle_namespace(self, metadata: Object, target: Target) -> None:
        """Take the namespace of the URL; they must agree."""
        given = metadata.get("namespace", "")
        if not target.resource.namespaced:
            metadata.pop("namespace", None)
        elif given and target.namespace and given != target.namespace:
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
        else:
            metadata["namespace"] = target.namespace or given

    def _refuse_missing_namespace(self, resource: Resource, metadata: Object) -> None:
        if not resource.namespaced:
            return
        name = metadata["namespace"]
        namespace = self.store.get(Ref(NAMESPACES, "", name))
        if namespace is None:
            raise not_found("", "namespaces", name)
        if namespace["metadata"].get("deletionTimestamp"):
            text = f"unable to create new content in namespace {name} because it is being terminated"
            causes = [cause("NamespaceTerminating", "metadata.namespace", f"namespace {name} is being terminated")]
            title = f'{resource.plural}{"." + resource.group if resource.group else ""} "{metadata["name"]}"'
            raise forbidden(f"{title} is forbidden: {text}", {"causes": causes})

    def _free_name(self, target: Target, prefix: str) -> str:
        for _ in range(GENERATED_NAME_ATTEMPTS):
            name = naming.generated_name(prefix)
            ref = Ref(storage_key(target.resource), target.namespace, name)
            if self.store.get(ref) is None:
                return name
        raise already_exists(target.resource.group, target.resource.plural, prefix)

    # Changing.

    def update(self, target: Target, body: Any, options: WriteOptions) -> Outcome:
        """Replace an object by a request's body.

        Raises:
            StatusError: 400, 404, 409 or 422.
        """
        received = decode.check_envelope(body, target.resource, target.version.name)
        old = self.store.get(target.ref)
        if old is None and target.resource.key in _CREATED_BY_UPDATE and not target.subresource:
            return self.create(target, body, options)
        old = self.current(target)
        metadata = received["metadata"]
        if metadata.setdefault("name", target.name) != target.name:
            raise _other_name(metadata["name"], target.name)
        self.settle_namespace(metadata, target)
        if target.resource.custom and not metadata.get("resourceVersion"):
            words = "Invalid value: 0x0: must be specified for an update"
            causes = [cause("FieldValueInvalid", "metadata.resourceVersion", words)]
            raise invalid(target.resource.group, target.resource.kind, target.name, causes)
        return self.replace(target, old, to_storage(target.resource, received), options)

    def replace(self, target: Target, old: Object, new: Object, options: WriteOptions) -> Outcome:
        """Replace a stored object by another in storage form, as PUT and most patches do."""
        resource = self.kept_as(target)
        self._refuse_stale(target, old, new["metadata"])
        accepted, warnings = decode.accept(_written(new, target), resource, options.field_validation)
        prepared = isolated(accepted, old, resource, target.subresource)
        given = accepted["metadata"].get("managedFields")
        owned = _given_ownership(given, old)
        if owned is not None:
            owner = self.owner(target, options, "Update")
            schema = resource.storage.schema
            owned = ownership.after_update(old, prepared, schema, owned, owner, timestamp())
        return Outcome(self.commit(target, old, prepared, owned or {}, options), warnings=warnings)

    def commit(self, target: Target, old: Object, new: Object, owned: Ownership, options: WriteOptions) -> Object:
        """Store a prepared object in place of the old one; nothing happens if nothing changed."""
        resource, metadata = self.kept_as(target), new["metadata"]
        if target.subresource == "status":
            self._check_status(resource, new, old)
        else:
            self._admit(resource, new, old)
            self._check(resource, new, old)
        metadata["managedFields"] = ownership.encode(owned)
        metadata["resourceVersion"] = old["metadata"]["resourceVersion"]
        if not metadata["managedFields"]:
            del metadata["managedFields"]
        if _same(new, old):
            return old
        if resource.has_generation and target.subresource != "status" and _spec_changed(new, old, resource):
            metadata["generation"] = old["metadata"].get("generation", 0) + 1
        if options.dry_run:
            return new
        return self.settle(target.ref, new)

    def settle(self, ref: Ref, obj: Object) -> Object:
        """Write, and let an object go whose last finalizer went."""
        stored = self.store.put(ref, obj)
        metadata = stored["metadata"]
        released = metadata.get("deletionTimestamp") and not metadata.get("finalizers")
        held = metadata.get("deletionGracePeriodSeconds") or (stored.get("spec") or {}).get("finalizers")
        if released and not (held and ref.resource in {NAMESPACES, ("", "pods")}):
            return self.store.remove(ref)
        return stored

    # Parts of both.

    def owner(self, target: Target, options: WriteOptions, operation: str) -> Owner:
        api_version = target.resource.api_version(target.version.name)
        return Owner(options.manager, operation, api_version, target.subresource)

    def _admit(self, resource: Resource, obj: Object, old: Object | None) -> None:
        if old is None:
            strategies.ADMIT_NEW.get(resource.key, strategies.nothing)(obj)
        if resource.key == ("", "services"):
            others = [change.obj for change in self.store.select(resource.key)]
            services.admit_service(obj, old, others)

    def _check(self, resource: Resource, obj: Object, old: Object | None) -> None:
        causes: list[Cause] = [*naming.metadata_causes(obj["metadata"], resource.key)]
        causes += validate(obj, resource.storage.schema, old=old)
        rules = strategies.RULES.get(resource.key)
        if rules:
            causes += rules(obj, old)
        if old:
            causes += _finalizer_causes(obj["metadata"], old["metadata"])
        if causes:
            raise invalid(resource.group, resource.kind, obj["metadata"].get("name", ""), _unique(causes))

    def _check_status(self, resource: Resource, obj: Object, old: Object) -> None:
        schema = resource.storage.schema["properties"].get("status") or {}
        causes = validate(obj["status"], schema, "status", old.get("status")) if "status" in obj else []
        if causes:
            raise invalid(resource.group, resource.kind, obj["metadata"]["name"], _unique(causes))

    def _refuse_stale(self, target: Target, old: Object, metadata: Object) -> None:
        resource, before = target.resource, old["metadata"]
        if (metadata.get("resourceVersion") or before["resourceVersion"]) != before["resourceVersion"]:
            raise modified(resource.group, resource.plural, target.name)
        if (metadata.get("uid") or before["uid"]) != before["uid"]:
            why = (
                f"StorageError: invalid object, Code: 4, Precondition failed: UID in precondition: "
                f"{metadata['uid']}, UID in object meta: {before['uid']}"
            )
            raise conflict(resource.group, resource.plural, target.name, why)


def _other_name(given: str, wanted: str) -> StatusError:
    return bad_request(f"the name of the object ({given}) does not match the name on the URL ({wanted})")


def _written(new: Object, target: Target) -> Object:
    """What of an object the status endpoint looks at; all of it elsewhere."""
    if target.subresource != "status":
        return new
    return {key: new[key] for key in ("apiVersion", "kind", "metadata", "status") if key in new}


def _unique(causes: list[Cause]) -> list[Cause]:
    seen: dict[tuple[str, str], Cause] = {}
    for one in causes:
        seen.setdefault((one["field"], one["message"]), one)
    return list(seen.values())


def isolated(new: Object, old: Object, resource: Resource, subresource: str) -> Object:
    """The new object with everything that this endpoint may not write taken from the old one."""
    before = old["metadata"]
    if subresource == "status":
        kept = {key: value for key, value in old.items() if key != "status"}
        status = {"status": new["status"]} if "status" in new else {}
        return {**kept, "metadata": dict(before), **status}
    fixed = {key: before[key] for key in _KEPT_METADATA if key in before}
    metadata = {key: value for key, value in new["metadata"].items() if key not in _KEPT_METADATA}
    result = {**new, "metadata": {**metadata, **fixed}}
    if resource.storage.status:
        result.pop("status", None)
        if "status" in old:
            result["status"] = old["status"]
    return result


def _given_ownership(given: list[Any] | None, old: Object) -> Ownership | None:
    """Ownership to start from; None when the client asked to forget all of it with `[{}]`."""
    if given == [{}]:
        return None
    return ownership.decode(given or old["metadata"].get("managedFields") or [])


def _finalizer_causes(metadata: Object, before: Object) -> list[Cause]:
    new = [one for one in metadata.get("finalizers") or () if one not in (before.get("finalizers") or ())]
    if not before.get("deletionTimestamp") or not new:
        return []
    words = "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers "
    return [cause("FieldValueForbidden", "metadata.finalizers", f"{words}{new}")]


def _same(new: Object, old: Object) -> bool:
    return _without_times(new) == _without_times(old)


def _without_times(obj: Object) -> Object:
    entries = obj["metadata"].get("managedFields") or ()
    bare = [{key: value for key, value in entry.items() if key != "time"} for entry in entries]
    return {**obj, "metadata": {**obj["metadata"], "managedFields": bare}}


def _spec_changed(new: Object, old: Object, resource: Resource) -> bool:
    ignored = {"metadata", "apiVersion", "kind"} | ({"status"} if resource.storage.status else set())
    return any(new.get(key) != old.get(key) for key in new.keys() | old.keys() if key not in ignored)
