"""Writing: one deterministic commit on top of a known head, pushed by compare-and-swap. Never by force."""

import re
from dataclasses import dataclass

from rollout.git.errors import git_failure, words_of
from rollout.git.mirror import Mirror, Remote
from rollout.git.plumbing import Answer, one_line
from rollout.git.signing import SigningKey, signing_config

_REMOTE_LINE = re.compile(r"^remote: ?(.*?)\s*$", re.MULTILINE)
# What push says of a branch that moved: by our lease, by the server's check, or by its lock.
_RACED = re.compile(r"stale info|fetch first|non-fast-forward|cannot lock ref|failed to update ref|incorrect old value")


@dataclass(frozen=True, slots=True)
class Signature:
    """Who writes, and when: the same for every repetition, so that the commit is the same."""

    name: str
    email: str
    date: str

    @property
    def variables(self) -> dict[str, str]:
        """The environment git takes both author and committer from."""
        parts = {"NAME": self.name, "EMAIL": self.email, "DATE": self.date}
        return {f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER") for part, value in parts.items()}


@dataclass(frozen=True, slots=True)
class Published:
    """The branch points to the commit."""

    commit: str


@dataclass(frozen=True, slots=True)
class Raced:
    """Somebody pushed in between; build again on the new head."""

    words: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """The host refuses this push for good (a protected branch, a hook); `words` are its own."""

    words: str


PublishResult = Published | Raced | Rejected


def write_commit(
    mirror: Mirror, tree: str, parent: str, message: str, signature: Signature, key: SigningKey | None = None
) -> str:
    """Create a commit object in the mirror; the same arguments give the same id.

    Args:
        mirror: holds the tree and the parent.
        tree: the whole new tree.
        parent: the head it was built on.
        message: subject, body and trailers.
        signature: author, committer and date.
        key: signs the commit; None leaves it unsigned.
    """
    arguments = ("-p", parent, "-F", "-", tree)
    if key is None:
        return one_line(
            mirror.git.run("commit-tree", *arguments, stdin=message.encode(), variables=signature.variables),
            "a commit",
        )
    with signing_config(key, mirror.secrets_folder) as config:
        git = mirror.configured(config)
        signed = git.run("commit-tree", "-S", *arguments, stdin=message.encode(), variables=signature.variables)
    return one_line(signed, "a commit")


def publish(mirror: Mirror, remote: Remote, branch: str, commit: str, expected: str) -> PublishResult:
    """Move the branch from `expected` to `commit`, or leave it alone.

    The lease makes the host compare; `expected` is the commit's parent, so a push is always a fast-forward.
    Raises Unauthorized, RemoteUnavailable or GitError when the host was not asked or gave no clear answer.
    """
    ref = f"refs/heads/{branch}"
    lease = f"--force-with-lease={ref}:{expected}"
    with mirror.remote_git(remote) as git:
        answer = git.attempt("push", "--porcelain", "--no-verify", lease, "--", remote.url, f"{commit}:{ref}")
    return _result(answer, remote.url, commit)


def _result(answer: Answer, url: str, commit: str) -> PublishResult:
    """Read the porcelain line of our ref: a flag, the refs, a summary."""
    lines = [line.split("\t") for line in answer.text.splitlines() if line[1:2] == "\t"]
    flag, summary = (lines[0][0], lines[0][-1]) if lines else ("", "")
    if answer.code == 0 and flag in {" ", "=", "*", "+"}:
        return Published(commit)
    if flag != "!":
        raise git_failure("push", url, answer.stderr or answer.text)
    if _RACED.search(summary) or _RACED.search(answer.stderr):
        return Raced(summary)
    said = "; ".join(line for line in _REMOTE_LINE.findall(answer.stderr) if line)
    return Rejected(words_of(said) or summary)
