"""Deleting objects: preconditions, grace periods, finalizers and what becomes of dependents."""

import time
from dataclasses import dataclass, replace
from typing import Any

from rollout.sandbox.apiserver.clock import timestamp
from rollout.sandbox.apiserver.errors import StatusError, bad_request, conflict
from rollout.sandbox.apiserver.requests import Target
from rollout.sandbox.apiserver.store import Object, Ref
from rollout.sandbox.apiserver.writer import NAMESPACES, Writer

ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"
PODS = ("", "pods")
_POLICIES = {"": "", "Background": "", "Foreground": FOREGROUND, "Orphan": ORPHAN}


@dataclass(frozen=True)
class DeleteOptions:
    """`DeleteOptions` of a request; `finalizer` is what its propagation policy adds."""

    grace_seconds: int | None = None
    finalizer: str = ""
    uid: str = ""
    resource_version: str = ""
    dry_run: bool = False


def delete_options(body: Any, query: dict[str, str]) -> DeleteOptions:
    """Read DeleteOptions from the body, and from the query where the body says nothing.

    Raises:
        StatusError: 400, 422 for values that are not defined.
    """
    given = body if isinstance(body, dict) else {}
    grace = given.get("gracePeriodSeconds", query.get("gracePeriodSeconds"))
    policy = given.get("propagationPolicy") or query.get("propagationPolicy") or ""
    orphan = given.get("orphanDependents", query.get("orphanDependents"))
    if orphan in {True, "true"}:
        policy = "Orphan"
    if policy not in _POLICIES:
        raise StatusError(422, "Invalid", f'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: '
                          f'Unsupported value: "{policy}"')  # fmt: skip
    if grace is not None and not str(grace).lstrip("-").isdigit():
        raise bad_request("gracePeriodSeconds must be a number")
    premises = given.get("preconditions") or {}
    dry_run = bool(given.get("dryRun") or query.get("dryRun"))
    return DeleteOptions(
        None if grace is None else max(0, int(grace)), _POLICIES[policy],
        premises.get("uid") or "", premises.get("resourceVersion") or "", dry_run,
    )  # fmt: skip


def delete(writer: Writer, target: Target, options: DeleteOptions) -> tuple[Object, bool]:
    """Delete an object, or mark it for deletion while finalizers or a grace period hold it.

    Returns:
        The object's last state, and whether it is gone.

    Raises:
        StatusError: 404, or 409 when a precondition fails.
    """
    old = writer.current(target)
    _check_premises(target, old, options)
    ref, metadata = target.ref, old["metadata"]
    finalizers = _finalizers(metadata.get("finalizers") or [], options.finalizer)
    grace = _grace_seconds(ref, old, options)
    if options.dry_run:
        return old, not (finalizers or grace)
    if not finalizers and not grace and ref.resource != NAMESPACES:
        return writer.store.remove(ref), True
    marked = _marked(old, finalizers, grace)
    return (old, False) if marked == old else (writer.store.put(ref, marked), False)


def _check_premises(target: Target, old: Object, options: DeleteOptions) -> None:
    metadata = old["metadata"]
    for title, wanted, actual in (
        ("UID", options.uid, metadata["uid"]),
        ("ResourceVersion", options.resource_version, metadata["resourceVersion"]),
    ):
        if wanted and wanted != actual:
            why = f"Precondition failed: {title} in precondition: {wanted}, {title} in object meta: {actual}"
            raise conflict(target.resource.group, target.resource.plural, target.name, why)


def _finalizers(present: list[str], added: str) -> list[str]:
    """The last request's policy is the one that counts."""
    kept = [one for one in present if one not in {ORPHAN, FOREGROUND} or one == added]
    return kept if not added or added in kept else [*kept, added]


def _grace_seconds(ref: Ref, old: Object, options: DeleteOptions) -> int:
    """Only pods that were given to a node are waited for: somebody has to stop them."""
    if ref.resource != PODS:
        return 0
    spec, phase = old.get("spec") or {}, (old.get("status") or {}).get("phase")
    if not spec.get("nodeName") or phase in {"Succeeded", "Failed"}:
        return 0
    own: int = spec.get("terminationGracePeriodSeconds", 30)
    asked = own if options.grace_seconds is None else options.grace_seconds
    before = old["metadata"].get("deletionGracePeriodSeconds")
    return asked if before is None else min(asked, before)


def _marked(old: Object, finalizers: list[str], grace: int) -> Object:
    metadata = {key: value for key, value in old["metadata"].items() if key != "finalizers"}
    if finalizers:
        metadata["finalizers"] = finalizers
    if "deletionTimestamp" not in metadata or metadata.get("deletionGracePeriodSeconds", 0) > grace:
        metadata["deletionTimestamp"] = timestamp(time.time() + grace)
        metadata["deletionGracePeriodSeconds"] = grace
        if "generation" in metadata:
            metadata["generation"] += 1
    marked = {**old, "metadata": metadata}
    if old["kind"] == "Namespace" and old["apiVersion"] == "v1":
        marked["status"] = {**(old.get("status") or {}), "phase": "Terminating"}
    return marked


def delete_quietly(writer: Writer, ref: Ref, options: DeleteOptions) -> None:
    """Delete by reference for the server's own ends; whatever is gone already is fine."""
    resource = writer.registry.resources.get(ref.resource)
    obj = writer.store.get(ref)
    if resource is None or obj is None:
        return
    target = Target(resource, resource.storage, ref.namespace, ref.name)
    delete(writer, target, replace(options, uid=obj["metadata"]["uid"]))
