"""A local checkout as a tree of files, so that it is rendered as the operator renders commits."""

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from rollout.domain.sync.files import SYMLINK_MODE, TreeEntry
from rollout.errors import RenderError
from rollout.git.mirror import FILES_MAX


class Checkout:
    """The files below a folder as they are now, committed or not; `.git` is left out.

    Symbolic links are links here too, so that none leads out of the folder.

    Args:
        root: of the checkout.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def files(self, revision: str, path: str = "") -> tuple[TreeEntry, ...]:
        """Every file, sorted by path; raises RenderError above 100,000. There is one revision only."""
        del revision
        prefix = path.strip("/")
        inside = (e for e in self._entries() if not prefix or e.path == prefix or e.path.startswith(f"{prefix}/"))
        return tuple(sorted(inside, key=lambda entry: entry.path))

    def read(self, entries: Iterable[TreeEntry], total_bytes_max: int) -> dict[str, bytes]:
        """Contents by path; raises RenderError for what is too long together, or changed its kind meanwhile."""
        contents: dict[str, bytes] = {}
        left = total_bytes_max
        for entry in entries:
            contents[entry.path] = self._content(entry, left)
            left -= len(contents[entry.path])
        return contents

    def _entries(self) -> Iterator[TreeEntry]:
        count = 0
        for folder, folders, names in os.walk(self._root):
            folders[:] = [name for name in folders if name != ".git"]
            links = [name for name in folders if (Path(folder) / name).is_symlink()]
            for name in (*names, *links):
                found = self._entry(Path(folder) / name)
                count += found is not None
                if count > FILES_MAX:
                    raise RenderError(f"has more than {FILES_MAX} files; name the root of a checkout", str(self._root))
                if found is not None:
                    yield found

    def _entry(self, file: Path) -> TreeEntry | None:
        """What git would keep of it; sockets and devices are nothing to it."""
        facts = file.lstat()
        path = file.relative_to(self._root).as_posix()
        if stat.S_ISLNK(facts.st_mode):
            return TreeEntry(path, SYMLINK_MODE, _name(path, facts), len(os.fsencode(file.readlink())))
        if not stat.S_ISREG(facts.st_mode):
            return None
        mode = "100755" if facts.st_mode & stat.S_IXUSR else "100644"
        return TreeEntry(path, mode, _name(path, facts), facts.st_size)

    def _content(self, entry: TreeEntry, bytes_max: int) -> bytes:
        file = self._root / entry.path
        try:
            if entry.mode == SYMLINK_MODE:
                return os.fsencode(file.readlink())
            # What became a pipe since it was listed must not make us wait for a writer.
            descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as opened:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise RenderError("is no regular file any more", entry.path)
                content = opened.read(bytes_max + 1)
        except OSError as error:
            raise RenderError(f"cannot be read: {error.strerror}", entry.path) from error
        if len(content) > bytes_max:
            raise RenderError(f"and the files before it have more than {bytes_max} bytes", entry.path)
        return content


def _name(path: str, facts: os.stat_result) -> str:
    """A name for the content as it is now, in place of git's object id."""
    return hashlib.sha256(f"{path}\0{facts.st_ino}\0{facts.st_mtime_ns}\0{facts.st_size}".encode()).hexdigest()[:40]
