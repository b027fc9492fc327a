"""From a request's body to an object that can be stored: known fields, right types, defaults."""

import copy
from typing import Any, Literal

from rollout.sandbox.apiserver.builtin import strategies
from rollout.sandbox.apiserver.errors import StatusError, bad_request
from rollout.sandbox.apiserver.kinds import Resource
from rollout.sandbox.apiserver.schema import quantity
from rollout.sandbox.apiserver.schema.omit import omit_empty
from rollout.sandbox.apiserver.schema.prune import apply_defaults, drop_nulls, prune
from rollout.sandbox.apiserver.schema.validate import validate

Object = dict[str, Any]
FieldValidation = Literal["Ignore", "Warn", "Strict"]
_OPTIONAL_METADATA = ("labels", "annotations", "finalizers", "ownerReferences", "managedFields")


def check_envelope(body: Any, resource: Resource, version: str) -> Object:
    """The body as an object of the kind that the URL names; apiVersion and kind may be left out.

    Raises:
        StatusError: 400 when it is of another kind, or no object at all.
    """
    if not isinstance(body, dict):
        raise bad_request("the request's body is not an object")
    api_version = resource.api_version(version)
    given = (body.get("apiVersion", api_version), body.get("kind", resource.kind))
    if given[0] != api_version:
        raise bad_request(
            f"the API version in the data ({given[0]}) does not match the expected API version ({api_version})"
        )
    if given[1] != resource.kind:
        raise bad_request(
            f"{resource.kind} in version {version!r} cannot be handled as a {resource.kind}: "
            f"the kind in the data is {given[1]!r}"
        )
    metadata = body.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        raise bad_request("metadata must be an object")
    fields = {key: value for key, value in body.items() if key not in {"apiVersion", "kind", "metadata"}}
    return {"apiVersion": api_version, "kind": resource.kind, "metadata": dict(metadata or {}), **fields}


def accept(obj: Object, resource: Resource, field_validation: FieldValidation) -> tuple[Object, list[str]]:
    """Prune, check and default an object in its storage form.

    Args:
        obj: any object of the kind; it is not changed.
        resource: the resource it is stored under.
        field_validation: what unknown fields mean.

    Returns:
        The object, and warnings for the client.

    Raises:
        StatusError: 400 for unknown fields under Strict and for wrong types in built-in kinds.
    """
    accepted, unknown = accept_partial(obj, resource, field_validation)
    apply_defaults(accepted, resource.storage.schema)
    if not resource.custom:
        strategies.DEFAULTS.get(resource.key, strategies.nothing)(accepted)
        omit_empty(accepted, resource.storage.schema)
    return accepted, [f'unknown field "{path}"' for path in unknown]


def accept_partial(obj: Object, resource: Resource, field_validation: FieldValidation) -> tuple[Object, list[str]]:
    """The same without defaults, and the bare paths of unknown fields if those are to be warned about."""
    accepted, schema = copy.deepcopy(obj), resource.storage.schema
    drop_nulls(accepted["metadata"] if resource.custom else accepted)
    unknown = prune(accepted, schema)
    if unknown and field_validation == "Strict":
        listed = ", ".join(f'unknown field "{path}"' for path in unknown)
        raise bad_request(f"{_title(resource)}strict decoding error: {listed}")
    _check_metadata(accepted)
    if not resource.custom:
        _settle_builtin(accepted, resource)
    _tidy_metadata(accepted["metadata"])
    return accepted, unknown if field_validation == "Warn" else []


def _title(resource: Resource) -> str:
    """How the decoder of built-in kinds begins its messages; custom resources have no such words."""
    if resource.custom:
        return ""
    kind = resource.kind
    return f'{kind} in version "{resource.storage.name}" cannot be handled as a {kind}: '


def _check_metadata(obj: Object) -> None:
    """Wrong types in metadata are refused for every kind, since everything below relies on them."""
    metadata = obj["metadata"]
    for field in ("labels", "annotations"):
        values = metadata.get(field) or {}
        if not isinstance(values, dict) or not all(isinstance(one, str) for one in values.values()):
            raise bad_request(f"unable to decode: metadata.{field}: must be a map of strings to strings")
    for field in ("finalizers", "ownerReferences", "managedFields"):
        if not isinstance(metadata.get(field) or [], list):
            raise bad_request(f"unable to decode: metadata.{field}: must be a list")
    for field in ("name", "namespace", "generateName", "resourceVersion", "uid"):
        if not isinstance(metadata.get(field) or "", str):
            raise bad_request(f"unable to decode: metadata.{field}: must be a string")


def _settle_builtin(obj: Object, resource: Resource) -> None:
    """Types and quantities, as the typed decoder of built-in kinds has them. In place."""
    schema = resource.storage.schema
    wrong = [one for one in validate(obj, schema) if one["reason"] == "FieldValueTypeInvalid"]
    if wrong:
        details = "; ".join(f"{one['field']}: {one['message']}" for one in wrong)
        raise bad_request(f"{_title(resource)}json: cannot unmarshal: {details}")
    try:
        quantity.normalise(obj, schema)
    except ValueError as error:
        raise StatusError(400, "BadRequest", f"{_title(resource)}{error}") from error


def _tidy_metadata(metadata: Object) -> None:
    for field in _OPTIONAL_METADATA:
        if not metadata.get(field):
            metadata.pop(field, None)
    metadata.pop("selfLink", None)
