"""What can go wrong with git, and the one place where its words become our errors.

GitError
+-- Unauthorized        the host refused our credentials
+-- RevisionNotFound    a branch, tag or commit that does not exist
+-- TooLarge            a bound of ours was passed
RemoteUnavailable       (of `rollout.errors`) the host cannot be reached, or is too slow
"""

import re
from urllib.parse import urlsplit

from rollout.domain.words import printable
from rollout.errors import CoalmineError, GitError, RemoteUnavailable

_WORDS_MAX = 1000

_UNAUTHORIZED = re.compile(
    r"Authentication failed|could not read (Username|Password)|HTTP Basic: Access denied|"
    r"returned error: 40[13]|terminal prompts disabled|Permission denied",
    re.IGNORECASE,
)
_NOT_FOUND = re.compile(
    r"couldn't find remote ref|not our ref|returned error: 404|repository '.*' not found|"
    r"unknown revision|bad object|Not a valid object name|does not point to a valid object",
    re.IGNORECASE,
)
_UNREACHABLE = re.compile(
    r"unable to access|Could not resolve|Connection (refused|reset|timed out)|timed out|Operation too slow|"
    r"returned error: (5\d\d|429)|remote end hung up|RPC failed|early EOF|SSL|gnutls|unexpected disconnect",
    re.IGNORECASE,
)


class Unauthorized(GitError):
    """The host refused the credentials (401 or 403)."""


class RevisionNotFound(GitError):
    """A branch, tag, commit or file that does not exist."""


class TooLarge(GitError):
    """A repository, file or answer passed one of our bounds."""


def host_of(url: str) -> str:
    """Scheme, host and path of a URL, never its credentials; for messages."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"


def words_of(stderr: str) -> str:
    """What git or the host said, on one line, without progress and prefixes, at most 1000 characters."""
    lines = (line.strip() for line in re.split(r"[\r\n]+", stderr))
    said = (re.sub(r"^(fatal|error|remote): *", "", line) for line in lines)
    return printable("; ".join(line for line in said if line)[:_WORDS_MAX])


def git_failure(operation: str, url: str, stderr: str) -> CoalmineError:
    """The error for a git command that failed; the order of the tests goes from particular to general.

    Args:
        operation: what was tried, such as `fetch`.
        url: the repository; its credentials, if any, are left out of the message.
        stderr: what git said, already free of secrets.
    """
    what, why = f"{operation} of {host_of(url)} failed" if url else f"{operation} failed", words_of(stderr)
    if _UNAUTHORIZED.search(stderr):
        return Unauthorized(f"{what}: the host refused our credentials ({why}); check the Secret")
    if _NOT_FOUND.search(stderr):
        return RevisionNotFound(f"{what}: {why}; check the URL and the ref")
    if _UNREACHABLE.search(stderr):
        return RemoteUnavailable(f"{what}: {why}; trying again")
    return GitError(f"{what}: {why}")
