"""A mirror's folder after bad luck: what killed processes left goes, and what it takes is known while it grows."""

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

from rollout.errors import GitError

SECRETS_PREFIX = "coalmine-secret-"
# Longer than any call may take; another replica may work in the same folder.
_LEFT_SECONDS = 900.0


def sweep(directory: Path) -> None:
    """Remove locks and half-written files of processes that are gone; the caller holds the repository's lock.

    A lock that a killed process left would refuse every later fetch, and each killed fetch leaves a part of a pack.
    """
    objects = directory / "objects"
    left = [
        *directory.glob("*.lock"),
        *(directory / "refs").rglob("*.lock"),
        *directory.glob("index-*"),
        *objects.glob("pack/tmp_*"),
        *objects.glob("[0-9a-f][0-9a-f]/tmp_obj_*"),
    ]
    for path in left:
        path.unlink(missing_ok=True)


def used_bytes(directory: Path) -> int:
    """Disk space of all objects, of unfinished packs too."""
    total = 0
    for folder, _, names in os.walk(directory / "objects"):
        for name in names:
            with suppress(OSError):  # git renames its files at any time.
                total += Path(folder, name).stat().st_size
    return total


def prepare(root: Path) -> None:
    """Make the folder of all mirrors; files with secrets that a crash left in it go.

    Raises GitError where somebody else could put a repository, and with it a configuration of git, under our feet.
    """
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    for folder, owners in ((root, {os.getuid()}), (root.parent, {os.getuid(), 0})):
        found = folder.stat()
        if found.st_uid not in owners:
            raise GitError(f"{folder} belongs to another user; choose another folder with --data-dir")
    if root.stat().st_mode & 0o022:
        raise GitError(f"{root} can be written by others; choose another folder with --data-dir, or chmod 700 it")
    for path in root.glob(f"{SECRETS_PREFIX}*"):
        if time.time() - path.stat().st_mtime > _LEFT_SECONDS:
            shutil.rmtree(path, ignore_errors=True)
