"""The files of one commit, as renderers see them: sizes checked first, symbolic links kept inside."""

import posixpath
from collections.abc import Iterable, Mapping

from rollout.domain.sync.files import (
    REGULAR_MODES,
    SUBMODULE_MODE,
    SYMLINK_MODE,
    Blobs,
    Revisions,
    TreeEntry,
)
from rollout.errors import RenderError
from rollout.render.limits import Limits

_LINKS_MAX = 8


class SourceTree:
    """A commit's files; everything that is read is remembered as the render's closure."""

    def __init__(self, reader: Blobs, entries: Iterable[TreeEntry], limits: Limits) -> None:
        self._reader = reader
        self._entries = {entry.path: entry for entry in entries}
        self._folders = {folder for path in self._entries for folder in _parents(path)}
        self._contents: dict[str, bytes] = {}
        self.limits = limits
        self.closure: set[str] = set()

    @classmethod
    def of(cls, source: Revisions, revision: str, limits: Limits) -> "SourceTree":
        """The tree of a commit (or of a tree that no commit has yet)."""
        return cls(source, source.files(revision), limits)

    def blobs(self) -> Mapping[str, str]:
        """Blob ids of the closure's files by path."""
        return {path: self._entries[path].blob for path in sorted(self.closure)}

    def below(self, folder: str, *, recurse: bool) -> list[str]:
        """Paths of the files in a folder, sorted."""
        prefix = f"{folder}/" if folder else ""
        inside = (path for path in self._entries if path.startswith(prefix))
        return sorted(p for p in inside if recurse or "/" not in p[len(prefix) :])

    def is_file(self, path: str) -> bool:
        """Whether the path is a file, through symbolic links too."""
        return self._target(path, path) in self._entries

    def is_folder(self, path: str) -> bool:
        """Whether the path is a folder; the root is one."""
        return path in self._folders or path == ""

    def load(self, paths: Iterable[str]) -> dict[str, bytes]:
        """Contents by path; raises RenderError for what is missing, too long, or outside the repository."""
        wanted = {path: self._checked(path) for path in paths}
        missing = {entry.path: entry for entry in wanted.values() if entry.path not in self._contents}
        total = sum(e.size for e in missing.values()) + sum(len(c) for c in self._contents.values())
        if total > self.limits.total_bytes:
            raise RenderError(f"the files have {total} bytes together; the limit is {self.limits.total_bytes}")
        self._contents |= self._reader.read(missing.values(), self.limits.total_bytes)
        return {path: self._contents[entry.path] for path, entry in wanted.items()}

    def _checked(self, path: str) -> TreeEntry:
        target = self._target(path, path)
        entry = self._entries.get(target)
        if entry is None:
            raise RenderError("does not exist in this commit", path)
        if not _is_unicode(path) or not _is_unicode(target):
            raise RenderError("is a file name that is not UTF-8; rename it", ascii(path))
        if entry.mode == SUBMODULE_MODE or entry.mode not in REGULAR_MODES:
            raise RenderError("is a submodule, not a file", path)
        if entry.size > self.limits.file_bytes:
            raise RenderError(f"has {entry.size} bytes; the limit is {self.limits.file_bytes}", path)
        self.closure.update({path, target} & self._entries.keys())
        return entry

    def _target(self, path: str, asked: str) -> str:
        """Follow symbolic links of files inside the repository; raises RenderError when one leaves it."""
        for _ in range(_LINKS_MAX):
            entry = self._entries.get(path)
            if entry is None or entry.mode != SYMLINK_MODE:
                return path
            self.closure.add(path)
            link = self._reader.read([entry], 4096)[path].decode("utf-8", "replace")
            joined = posixpath.normpath(posixpath.join(posixpath.dirname(path), link))
            if link.startswith("/") or joined == ".." or joined.startswith("../"):
                raise RenderError(f"is a symbolic link out of the repository (to {link!r})", asked)
            path = joined
        raise RenderError(f"is more than {_LINKS_MAX} symbolic links away from a file", asked)


def _is_unicode(path: str) -> bool:
    """Whether git's bytes were text; others came as lone surrogates, which no answer and no digest can hold."""
    return not any("\ud800" <= ch <= "\udfff" for ch in path)


def _parents(path: str) -> Iterable[str]:
    at = path.rfind("/")
    while at > 0:
        yield path[:at]
        at = path.rfind("/", 0, at)
