"""Refusals of the API server: one exception that knows how to become a `Status` object."""

from collections.abc import Sequence
from typing import Any, TypedDict

from analysis.errors import CoalmineError


class Cause(TypedDict):
    """One reason inside `Status.details.causes`."""

    reason: str
    message: str
    field: str


class StatusError(CoalmineError):
    """A request is refused; the client gets this as a Kubernetes `Status`.

    Args:
        code: HTTP status code.
        reason: machine-readable reason such as `NotFound`.
        message: what kubectl prints after `Error from server (reason):`.
        details: `Status.details`, or None.
    """

    def __init__(self, code: int, reason: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code, self.reason, self.message, self.details = code, reason, message, details

    def status(self) -> dict[str, Any]:
        """The `Status` object of kind v1."""
        body: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            body["reason"] = self.reason
        if self.details:
            body["details"] = self.details
        return {**body, "code": self.code}


def resource_name(group: str, plural: str) -> str:
    """`deployments.apps`, or `pods` for the core group."""
    return f"{plural}.{group}" if group else plural


def bad_request(message: str) -> StatusError:
    return StatusError(400, "BadRequest", message)


def unauthorized() -> StatusError:
    return StatusError(401, "Unauthorized", "Unauthorized")


def forbidden(message: str, details: dict[str, Any] | None = None) -> StatusError:
    return StatusError(403, "Forbidden", message, details)


def unknown_path() -> StatusError:
    """The path names no resource that is served."""
    return StatusError(404, "NotFound", "the server could not find the requested resource", {})


def not_found(group: str, plural: str, name: str) -> StatusError:
    details = {"name": name, "kind": plural, **({"group": group} if group else {})}
    return StatusError(404, "NotFound", f'{resource_name(group, plural)} "{name}" not found', details)


def method_not_allowed() -> StatusError:
    message = "the server does not allow this method on the requested resource"
    return StatusError(405, "MethodNotAllowed", message)


def not_acceptable(accepted: str) -> StatusError:
    message = f"only the following media types are accepted: {accepted}"
    return StatusError(406, "NotAcceptable", message)


def already_exists(group: str, plural: str, name: str) -> StatusError:
    details = {"name": name, "kind": plural, **({"group": group} if group else {})}
    message = f'{resource_name(group, plural)} "{name}" already exists'
    return StatusError(409, "AlreadyExists", message, details)


def conflict(group: str, plural: str, name: str, why: str) -> StatusError:
    """Optimistic locking or a precondition failed."""
    details = {"name": name, "kind": plural, **({"group": group} if group else {})}
    message = f'Operation cannot be fulfilled on {resource_name(group, plural)} "{name}": {why}'
    return StatusError(409, "Conflict", message, details)


def modified(group: str, plural: str, name: str) -> StatusError:
    """The resourceVersion in the request is no longer the newest."""
    why = "the object has been modified; please apply your changes to the latest version and try again"
    return conflict(group, plural, name, why)


def gone(message: str) -> StatusError:
    return StatusError(410, "Expired", message)


def too_large(limit_bytes: int) -> StatusError:
    message = f"Request entity too large: limit is {limit_bytes}"
    return StatusError(413, "RequestEntityTooLarge", message)


def unsupported_media_type(accepted: Sequence[str]) -> StatusError:
    listed = ", ".join(accepted)
    message = f"the body of the request was in an unknown format - accepted media types include: {listed}"
    return StatusError(415, "UnsupportedMediaType", message)


def invalid(group: str, kind: str, name: str, causes: Sequence[Cause]) -> StatusError:
    """Validation failed; the message lists every cause as kubectl prints it."""
    words = [f"{cause['field']}: {cause['message']}" for cause in causes]
    listed = words[0] if len(words) == 1 else f"[{', '.join(words)}]"
    title = f"{kind}.{group}" if group else kind
    details = {"name": name, "kind": kind, "causes": list(causes), **({"group": group} if group else {})}
    return StatusError(422, "Invalid", f'{title} "{name}" is invalid: {listed}', details)


def patch_rejected(message: str) -> StatusError:
    """A JSON patch that cannot be applied."""
    return StatusError(422, "Invalid", f"the server rejected our request due to an error in our request: {message}")
