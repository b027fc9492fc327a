"""Which files a kustomization reads, found before kustomize runs; whatever leaves the repository is refused."""

import posixpath
import re
from collections.abc import Iterator
from typing import Any

import yaml

from rollout.domain.sync.objects import Json
from rollout.errors import RenderError
from rollout.render.manifests import parse_yaml
from rollout.render.tree import SourceTree

KUSTOMIZATION_NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_KUSTOMIZATIONS_MAX = 200

# Fields that run programs, read the network, or reach around the closure.
_REFUSED = ("helmCharts", "helmChartInflationGenerator", "helmGlobals", "validators")
# Fields of local paths, by what they hold.
_FILES_OR_FOLDERS = ("resources", "bases", "components", "crds")
_FILES_OR_INLINE = ("patchesStrategicMerge", "generators", "transformers", "configurations")
_GENERATORS = ("configMapGenerator", "secretGenerator")

# What kustomize takes for a remote: a scheme, getter's forms, an scp-like address, a query, a host with a path.
_REMOTE = re.compile(
    r"^[A-Za-z][A-Za-z0-9+.-]*:|::|^[^/]*@|\?|//|^(www\.)?(github\.com|gitlab\.com|bitbucket\.org)[/:]|\.git(/|$)"
)


def kustomize_closure(tree: SourceTree, path: str) -> dict[str, bytes]:
    """Every file that kustomize needs to build a folder, with contents; raises RenderError.

    Args:
        tree: the commit's files.
        path: the folder of the kustomization.
    """
    found: dict[str, bytes] = {}
    folders, seen = [path], set[str]()
    while folders:
        folder = folders.pop()
        if folder in seen:
            continue
        seen.add(folder)
        if len(seen) > _KUSTOMIZATIONS_MAX:
            raise RenderError(f"more than {_KUSTOMIZATIONS_MAX} kustomizations", path)
        file = _kustomization_of(tree, folder)
        found |= tree.load([file])
        for kind, target in _references(_parse(tree, file, found[file]), folder, file):
            if kind == "any" and tree.is_folder(target):
                folders.append(target)
            else:
                found |= tree.load([target])
    return found


def is_kustomization(tree: SourceTree, folder: str) -> bool:
    """Whether a folder has a kustomization."""
    return any(tree.is_file(posixpath.join(folder, name)) for name in KUSTOMIZATION_NAMES)


def _kustomization_of(tree: SourceTree, folder: str) -> str:
    names = [n for n in KUSTOMIZATION_NAMES if tree.is_file(posixpath.join(folder, n))]
    if len(names) != 1:
        problem = "has no kustomization.yaml" if not names else f"has {' and '.join(names)}; keep one"
        raise RenderError(problem, folder or "/")
    return posixpath.join(folder, names[0])


def _parse(tree: SourceTree, file: str, content: bytes) -> Json:
    document = parse_yaml(content, file, tree.limits)
    if not isinstance(document, dict):
        raise RenderError("is not a kustomization", file)
    refused = next((key for key in _REFUSED if document.get(key)), None)
    if refused is not None:
        raise RenderError(f"{refused} is refused: a render runs no programs and reads no network", file)
    return document


def _references(document: Json, folder: str, file: str) -> Iterator[tuple[str, str]]:
    """Paths that a kustomization names: (`any`, a file or folder) or (`file`, a file)."""
    for key in _FILES_OR_FOLDERS:
        for text in _texts(document, key, file):
            yield "any", _local(text, folder, file)
    for key in _FILES_OR_INLINE:
        for text in _texts(document, key, file):
            if "\n" not in text:
                yield "any", _local(text, folder, file)
            elif key in {"generators", "transformers"}:
                _refuse_programs(text, file)
    for path in _nested_files(document, file):
        yield "file", _local(path, folder, file)


def _nested_files(document: Json, file: str) -> Iterator[str]:
    """Paths in patches, replacements, the OpenAPI schema and generators of ConfigMaps and Secrets."""
    for key in ("patches", "patchesJson6902", "replacements"):
        for entry in _maps(document, key, file):
            if isinstance(entry.get("path"), str):
                yield entry["path"]
    schema = document.get("openapi")
    if isinstance(schema, dict) and isinstance(schema.get("path"), str):
        yield schema["path"]
    for key in _GENERATORS:
        for entry in _maps(document, key, file):
            for text in (*_texts(entry, "files", file), *_texts(entry, "envs", file), entry.get("env")):
                if isinstance(text, str):
                    yield text.partition("=")[2] or text


def _texts(document: Json, key: str, file: str) -> list[str]:
    values = document.get(key) or []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise RenderError(f"{key} is not a list of texts", file)
    return values


def _maps(document: Json, key: str, file: str) -> list[dict[str, Any]]:
    values = document.get(key) or []
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise RenderError(f"{key} is not a list of objects", file)
    return values


def _local(text: str, folder: str, file: str) -> str:
    """The path from the repository's root; raises RenderError for a remote, or a path that leaves the repository."""
    if _REMOTE.search(text) or text.startswith("/"):
        raise RenderError(f"{text!r} is not a path in this repository; remote bases are refused", file)
    path = posixpath.normpath(posixpath.join(folder, text))
    if path == ".." or path.startswith("../"):
        raise RenderError(f"{text!r} leaves the repository", file)
    return "" if path == "." else path


def _refuse_programs(text: str, file: str) -> None:
    """Refuse inline plug-ins that name a program or a container."""
    for document in yaml.safe_load_all(text):
        annotations = ((document or {}).get("metadata") or {}).get("annotations") or {}
        if any("config.kubernetes.io/function" in key for key in annotations):
            raise RenderError("a plug-in that runs a program is refused", file)
