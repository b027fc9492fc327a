"""Plain YAML files of a folder."""

from rollout.domain.sync.objects import Json
from rollout.errors import RenderError
from rollout.render.manifests import parse_manifests
from rollout.render.tree import SourceTree

_SUFFIXES = (".yaml", ".yml", ".json")
_OTHER_RENDERERS = ("kustomization.yaml", "kustomization.yml", "Kustomization", "Chart.yaml")


def render_directory(tree: SourceTree, path: str, *, recurse: bool) -> list[tuple[Json, str]]:
    """Objects with the file of each, files in sorted order; raises RenderError that names the file.

    Args:
        tree: the commit's files.
        path: the folder, from the repository's root.
        recurse: whether folders below count.
    """
    if not tree.is_folder(path):
        raise RenderError("is not a folder of this commit; check spec.source.path", path or "/")
    files = [file for file in tree.below(path, recurse=recurse) if file.endswith(_SUFFIXES)]
    if len(files) > tree.limits.files:
        raise RenderError(f"{len(files)} files; the limit is {tree.limits.files}", path)
    foreign = next((f for f in files if f.rpartition("/")[2] in _OTHER_RENDERERS), None)
    if foreign is not None:
        raise RenderError("belongs to another renderer; set spec.source.kustomize, or move the file", foreign)
    contents = tree.load(files)
    found: list[tuple[Json, str]] = []
    for file in files:
        found += [(obj, file) for obj in parse_manifests(contents[file], file, tree.limits)]
        if len(found) > tree.limits.objects:
            raise RenderError(f"more than {tree.limits.objects} objects; split it into several Applications", path)
    return found
