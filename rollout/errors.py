"""The operator's branches of the one tree of errors (root: `analysis.errors`).

CoalmineError
+-- InvalidSpec -- NotSupportedYet      the user must change something
+-- Transient                           try again later
|   +-- ApiUnavailable                  the API server cannot be reached, or answered 429 or 5xx
|   +-- Conflict                        somebody wrote in between; read again and decide anew
|   +-- RemoteUnavailable               a Git host, registry or provider cannot be reached
|   +-- LeadershipLost                  a write was refused by our own fence
+-- ApiError                            the API server refused (4xx other than 409 and 429)
|   +-- NotFound
+-- GitError                            git refused; see its branches in rollout.git
+-- RenderError                         a tree could not be rendered
"""

from analysis.errors import CoalmineError, InvalidSpec, NotSupportedYet, Transient

__all__ = [
    "ApiError",
    "ApiUnavailable",
    "CoalmineError",
    "Conflict",
    "GitError",
    "InvalidSpec",
    "LeadershipLost",
    "NotFound",
    "NotSupportedYet",
    "RemoteUnavailable",
    "RenderError",
    "Transient",
]


class ApiUnavailable(Transient):
    """The API server cannot be reached, or asked for patience."""


class Conflict(Transient):
    """Optimistic locking or server-side apply found another writer; `causes` names the fields."""

    def __init__(self, message: str, causes: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.causes = causes


class RemoteUnavailable(Transient):
    """A Git host, a registry or a metrics server cannot be reached."""


class LeadershipLost(Transient):
    """This replica no longer holds the Lease, so it may not write."""


class ApiError(CoalmineError):
    """The API server refused a request.

    Args:
        status: HTTP status code.
        reason: the machine-readable `reason` of the Status object.
        message: the server's words.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{reason or status}: {message}")
        self.status, self.reason, self.message = status, reason, message


class NotFound(ApiError):
    """The object does not exist."""


class GitError(CoalmineError):
    """git refused something that a retry does not mend."""


class RenderError(CoalmineError):
    """A tree could not be rendered completely; `path` is the file to look at, from the repository's root."""

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path
