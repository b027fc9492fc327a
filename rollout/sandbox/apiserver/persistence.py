"""State on disk: a snapshot, and a journal of what happened since. One JSON value a line."""

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import msgspec

from rollout.sandbox.apiserver.store import Change, Ref, Store, encode_json

COMPACT_AFTER_LINES = 20_000


class Journal:
    """Follows a store.

    Writes are flushed to the system, not forced to the disk: a sandbox may lose its last moments when
    the machine stops, never when the process does.
    """

    def __init__(self, folder: Path, store: Store) -> None:
        self._snapshot, self._path = folder / "snapshot.jsonl", folder / "journal.jsonl"
        self._store = store
        self._file: IO[bytes] | None = None
        self._lines = 0

    def open(self) -> None:
        """Load what is there, then record every change."""
        for path in (self._snapshot, self._path):
            for line in _lines(path):
                self._replay(line)
        self._store.forget_history()
        self._compact()
        self._store.listeners.append(self._heard)

    def close(self) -> None:
        if self._file:
            self._file.close()
            self._file = None

    def _replay(self, line: dict[str, Any]) -> None:
        revision = line["revision"]
        if "ref" in line:
            group, plural, namespace, name = line["ref"]
            ref = Ref((group, plural), namespace, name)
            self._store.restore(ref, line.get("object"))
        self._store.revision = max(self._store.revision, revision)

    def _heard(self, change: Change) -> None:
        if self._file is None:
            return
        self._file.write(_line(change.revision, change.ref, None if change.type == "DELETED" else change.raw))
        self._file.flush()
        self._lines += 1
        if self._lines >= COMPACT_AFTER_LINES:
            self._compact()

    def _compact(self) -> None:
        """Write everything into a new snapshot and begin an empty journal."""
        self.close()
        fresh = self._snapshot.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(encode_json({"revision": self._store.revision}) + b"\n")
            for change in self._store.everything():
                file.write(_line(change.revision, change.ref, change.raw))
        fresh.replace(self._snapshot)
        self._file = self._path.open("wb")
        self._lines = 0


def _line(revision: int, ref: Ref, raw: bytes | None) -> bytes:
    where = encode_json([*ref.resource, ref.namespace, ref.name])
    parts = [b'{"revision":%d,"ref":%s' % (revision, where)]
    if raw is not None:
        parts.append(b',"object":' + raw)
    return b"".join([*parts, b"}\n"])


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The whole lines of a file; a torn last one is what a killed process leaves."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield msgspec.json.decode(line)
