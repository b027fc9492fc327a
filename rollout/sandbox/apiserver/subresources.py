"""The smaller subresources: eviction, binding, tokens and the finalizing of namespaces; reviews."""

import time
from typing import Any

from rollout.sandbox.apiserver.auth import Tokens, User
from rollout.sandbox.apiserver.clock import timestamp
from rollout.sandbox.apiserver.deleter import delete, delete_options
from rollout.sandbox.apiserver.errors import StatusError, bad_request, conflict
from rollout.sandbox.apiserver.requests import Target, WriteOptions
from rollout.sandbox.apiserver.selectors import selector_test
from rollout.sandbox.apiserver.store import Object
from rollout.sandbox.apiserver.writer import Writer

BUDGETS = ("policy", "poddisruptionbudgets")
TOKEN_SECONDS = 3600


def success() -> Object:
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def evict(writer: Writer, target: Target, body: Any, options: WriteOptions) -> Object:
    """Delete a pod unless a disruption budget forbids it.

    Raises:
        StatusError: 404, or 429 when a budget allows no disruption now.
    """
    pod = writer.current(target)
    labels = pod["metadata"].get("labels") or {}
    for change in writer.store.select(BUDGETS, target.namespace):
        budget = change.obj
        selects = selector_test((budget.get("spec") or {}).get("selector"))(labels)
        if selects and (budget.get("status") or {}).get("disruptionsAllowed", 0) < 1:
            message = "Cannot evict pod as it would violate the pod's disruption budget."
            raise StatusError(429, "TooManyRequests", message, {"retryAfterSeconds": 10})
    given = body.get("deleteOptions") if isinstance(body, dict) else None
    delete(writer, target, delete_options(given, {"dryRun": "All"} if options.dry_run else {}))
    return success()


def bind(writer: Writer, target: Target, body: Any, options: WriteOptions) -> Object:
    """Give a pod to a node, as a scheduler does.

    Raises:
        StatusError: 400, 404, or 409 when the pod has a node already.
    """
    node = ((body if isinstance(body, dict) else {}).get("target") or {}).get("name")
    if not node:
        raise bad_request("target.name: Required value")
    pod = writer.current(target)
    if pod["spec"].get("nodeName"):
        why = f'pod {target.name} is already assigned to node "{pod["spec"]["nodeName"]}"'
        raise conflict("", "pods/binding", target.name, why)
    scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": timestamp()}
    status = pod.get("status") or {}
    others = [one for one in status.get("conditions") or () if one["type"] != "PodScheduled"]
    if not options.dry_run:
        writer.store.put(target.ref, {
            **pod,
            "spec": {**pod["spec"], "nodeName": node},
            "status": {**status, "conditions": [*others, scheduled]},
        })  # fmt: skip
    return success()


def finalize(writer: Writer, target: Target, body: Any) -> Object:
    """Write a namespace's `spec.finalizers`; it goes when the last one does."""
    old = writer.current(target)
    spec = body.get("spec") if isinstance(body, dict) else None
    return writer.settle(target.ref, {**old, "spec": spec or {}})


def request_token(writer: Writer, target: Target, body: Any, tokens: Tokens) -> Object:
    """A token for a service account."""
    account = writer.current(target)
    namespace, name = account["metadata"]["namespace"], account["metadata"]["name"]
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
    user = User(f"system:serviceaccount:{namespace}:{name}", groups, account["metadata"]["uid"])
    spec = (body.get("spec") if isinstance(body, dict) else None) or {}
    seconds = spec.get("expirationSeconds") or TOKEN_SECONDS
    status = {"token": tokens.issue(user), "expirationTimestamp": timestamp(time.time() + seconds)}
    return {
        "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"name": name, "namespace": namespace}, "spec": spec, "status": status,
    }  # fmt: skip


def review(kind: str, body: Any, user: User, tokens: Tokens) -> Object:
    """The answer to a TokenReview or an access review: who is known may do everything."""
    given = body if isinstance(body, dict) else {}
    spec = given.get("spec") or {}
    match kind:
        case "TokenReview":
            found = tokens.find(spec.get("token") or "")
            status: Object = {"authenticated": found is not None}
            if found:
                status["user"] = found.info()
        case "SelfSubjectReview":
            status = {"userInfo": user.info()}
        case "SelfSubjectRulesReview":
            everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
            paths = {"verbs": ["*"], "nonResourceURLs": ["*"]}
            status = {"resourceRules": [everything], "nonResourceRules": [paths], "incomplete": False}
        case _:
            status = {"allowed": True, "reason": "the sandbox allows every known user"}
    return {**given, "kind": kind, "metadata": given.get("metadata") or {}, "spec": spec, "status": status}
