"""The inverse of a change, limited to paths: a three-way merge on objects only.

    synthetic = commit(tree = tree(bad) with PATHS as in tree(good), parent = bad)
    new tree  = merge-tree(HEAD, synthetic)            # the merge base is `bad`

So exactly the paths' difference good..bad is inverted, and whatever else happened since stays.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from rollout.domain.sync.files import TreeEntry
from rollout.errors import GitError
from rollout.git.mirror import Mirror
from rollout.git.plumbing import one_line

# Synthetic commits never leave the mirror; fixed names keep them the same for everybody.
_SYNTHETIC = {
    f"GIT_{role}_{part}": value
    for role in ("AUTHOR", "COMMITTER")
    for part, value in (
        ("NAME", "synthetic"),
        ("EMAIL", "synthetic@localhost"),
        ("DATE", "1970-01-01T00:00:00Z"),
    )
}
_NO_FILE = "0 0000000000000000000000000000000000000000"


@dataclass(frozen=True, slots=True)
class Merged:
    """The change can be taken back: `tree` is HEAD's tree without it; `changed` are its paths."""

    tree: str
    changed: frozenset[str]


@dataclass(frozen=True, slots=True)
class AlreadyReverted:
    """HEAD does not contain the change any more."""


@dataclass(frozen=True, slots=True)
class Conflicting:
    """Somebody changed the same lines since; `paths` are the files."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NothingToRevert:
    """`good` and `bad` do not differ in the paths."""


@dataclass(frozen=True, slots=True)
class OutsidePaths:
    """The merge would touch files that it may not touch (a file was moved since)."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rewritten:
    """HEAD does not descend from `bad`: the branch was forced to another history."""


InverseMerge = Merged | AlreadyReverted | Conflicting | NothingToRevert | OutsidePaths | Rewritten


def invert(mirror: Mirror, head: str, good: str, bad: str, paths: Iterable[str]) -> InverseMerge:
    """Take the difference good..bad of exactly these files back on top of HEAD.

    Args:
        mirror: holds all three commits.
        head: the commit to build on.
        good: the commit whose files are restored.
        bad: the commit that introduced the change.
        paths: files (no folders) that may change.
    """
    allowed = frozenset(paths)
    if not mirror.is_ancestor(bad, head):
        return Rewritten()
    differing = mirror.changed_paths(good, bad) & allowed
    if not differing:
        return NothingToRevert()
    synthetic = _synthetic_commit(mirror, good, bad, differing)
    return _merge(mirror, head, synthetic, allowed)


def _merge(mirror: Mirror, head: str, synthetic: str, allowed: frozenset[str]) -> InverseMerge:
    """Merge in memory; git exits 1 on conflicts and names the files after the tree."""
    flags = ("--write-tree", "--name-only", "-z", "--no-messages")
    answer = mirror.git.attempt("merge-tree", *flags, head, synthetic)
    parts = tuple(part for part in answer.text.split("\0") if part)
    if answer.code == 1:
        return Conflicting(tuple(sorted(set(parts[1:]))))
    if answer.code != 0 or not parts:
        raise GitError(f"merge-tree failed: {answer.stderr.strip() or answer.text[:200]}")
    tree = one_line(parts[0], "a tree")
    changed = mirror.changed_paths(head, tree)
    if not changed:
        return AlreadyReverted()
    if changed - allowed:
        return OutsidePaths(tuple(sorted(changed - allowed)))
    return Merged(tree, changed)


def _synthetic_commit(mirror: Mirror, good: str, bad: str, paths: frozenset[str]) -> str:
    """A child of `bad` that has the paths as they were in `good`, built in a private index."""
    index = mirror.directory / f"index-{secrets.token_hex(8)}"
    private = {"GIT_INDEX_FILE": str(index)}
    try:
        mirror.git.run("read-tree", bad, variables=private)
        lines = "\0".join(_index_lines(mirror.files(good), paths)) + "\0"
        stdin = lines.encode("utf-8", "surrogateescape")
        mirror.git.run("update-index", "-z", "--index-info", stdin=stdin, variables=private)
        tree = one_line(mirror.git.run("write-tree", variables=private), "a tree")
    finally:
        index.unlink(missing_ok=True)
    return one_line(mirror.git.run("commit-tree", tree, "-p", bad, "-m", "synthetic", variables=_SYNTHETIC), "a commit")


def _index_lines(donor: Iterable[TreeEntry], paths: frozenset[str]) -> list[str]:
    """Input of `update-index --index-info`: a file as in the donor, or its removal."""
    had = {entry.path: entry for entry in donor if entry.path in paths}
    return [
        f"{had[path].mode} {had[path].blob}\t{path}" if path in had else f"{_NO_FILE}\t{path}" for path in sorted(paths)
    ]
