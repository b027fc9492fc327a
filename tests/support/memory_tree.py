"""A commit's files from a dictionary, for renderers."""

from collections.abc import Iterable, Mapping

from rollout.domain.sync.files import TreeEntry
from rollout.render.limits import DEFAULT_LIMITS, Limits
from rollout.render.tree import SourceTree


class MemoryReader:
    """Blobs by their path."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = files

    def read(self, entries: Iterable[TreeEntry], total_bytes_max: int) -> dict[str, bytes]:
        assert sum(entry.size for entry in entries) <= total_bytes_max
        return {entry.path: self.files[entry.path] for entry in entries}


def memory_tree(
    files: Mapping[str, str | bytes], links: Mapping[str, str] | None = None, limits: Limits = DEFAULT_LIMITS
) -> SourceTree:
    """A tree with these files and symbolic links."""
    contents = {path: text if isinstance(text, bytes) else text.encode() for path, text in files.items()}
    targets = {path: target.encode() for path, target in (links or {}).items()}
    entries = [TreeEntry(path, "100644", f"blob-{path}", len(text)) for path, text in contents.items()]
    entries += [TreeEntry(path, "120000", f"blob-{path}", len(text)) for path, text in targets.items()]
    return SourceTree(MemoryReader({**contents, **targets}), entries, limits)
