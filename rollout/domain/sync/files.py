"""Files of a commit, as values."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

REGULAR_MODES = frozenset({"100644", "100755"})
SYMLINK_MODE, SUBMODULE_MODE = "120000", "160000"


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """A file of a commit; `size` is in bytes, 0 for submodules."""

    path: str
    mode: str
    blob: str
    size: int


class Blobs(Protocol):
    """Reads contents of files."""

    def read(self, entries: Iterable[TreeEntry], total_bytes_max: int) -> dict[str, bytes]:
        """Contents by path."""
        ...


class Revisions(Blobs, Protocol):
    """Reads the files of commits; a Git mirror is one."""

    def files(self, revision: str, path: str = "") -> tuple[TreeEntry, ...]:
        """Every file of a commit or tree, sorted by path."""
        ...
