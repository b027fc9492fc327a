"""Which files a kustomization reads, found before kustomize runs; whatever leaves the repository is refused."""

import posixpath
import re
from collections.abc import Iterator
from typing import Any

from rollout.domain.sync.objects import Json
from rollout.errors import RenderError
from rollout.render.manifests import parse_manifests, parse_yaml
from rollout.render.tree import SourceTree

KUSTOMIZATION_NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_KUSTOMIZATIONS_MAX = 200

# Fields that run programs, read the network, or reach around the closure.
_REFUSED = ("helmCharts", "helmChartInflationGenerator", "helmGlobals", "validators")
# Fields of local paths, by what they hold.
_FILES_OR_FOLDERS = ("resources", "bases", "components", "crds", "configurations")
_PLUGINS = ("generators", "transformers")
_GENERATORS = ("configMapGenerator", "secretGenerator")
_WITH_PATHS = ("patches", "patchesJson6902", "replacements")
_OF_ENTRIES = ("path", "paths", "files", "envs", "env")
_KNOWN = (*_REFUSED, *_FILES_OR_FOLDERS, *_PLUGINS, *_GENERATORS, *_WITH_PATHS, *_OF_ENTRIES)
# kustomize reads JSON as Go does, which takes `Resources`, and even `re\u017fources`, for `resources`.
_SPELLINGS = {name.casefold(): name for name in (*_KNOWN, "patchesStrategicMerge", "openapi")}

_PLAIN_PATH = re.compile(r"[A-Za-z0-9._/+-]+")

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
        document = _parse(tree, file, found[file])
        for kind, target in _references(document, folder, file):
            if kind == "any" and tree.is_folder(target):
                folders.append(target)
            else:
                found |= tree.load([target])
        for plugin, where in _plugins(tree, document, folder, file):
            found |= tree.load([where])
            found |= tree.load(_local(path, folder, where) for path in _plugin_files(plugin, where))
        if len(found) > tree.limits.files:
            raise RenderError(f"more than {tree.limits.files} files", path)
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
    _check_spelling(document, file)
    refused = next((key for key in _REFUSED if document.get(key)), None)
    if refused is not None:
        raise RenderError(f"{refused} is refused: a render runs no programs and reads no network", file)
    return document


def _check_spelling(document: Json, file: str) -> None:
    """Refuse a field that kustomize would read and we would not."""
    for key in document:
        known = _SPELLINGS.get(key.casefold(), key)
        if key != known:
            raise RenderError(f"{key!r} is not a field of a kustomization; write {known}", file)


def _references(document: Json, folder: str, file: str) -> Iterator[tuple[str, str]]:
    """Paths that a kustomization names: (`any`, a file or folder) or (`file`, a file)."""
    for key in _FILES_OR_FOLDERS:
        for text in _texts(document, key, file):
            yield "any", _local(text, folder, file)
    for text in _texts(document, "patchesStrategicMerge", file):
        if "\n" not in text:
            yield "file", _local(text, folder, file)
    for path in _nested_files(document, file):
        yield "file", _local(path, folder, file)


def _nested_files(document: Json, file: str) -> Iterator[str]:
    """Paths in patches, replacements, the OpenAPI schema and generators of ConfigMaps and Secrets."""
    for key in _WITH_PATHS:
        for entry in _maps(document, key, file):
            yield from _paths(entry, file)
    schema = document.get("openapi")
    if isinstance(schema, dict):
        _check_spelling(schema, file)
        yield from _paths(schema, file)
    for key in _GENERATORS:
        for entry in _maps(document, key, file):
            yield from _sources(entry, file)


def _paths(entry: Json, file: str) -> Iterator[str]:
    path = entry.get("path")
    if path is not None and not isinstance(path, str):
        raise RenderError("path is not a text", file)
    if path:
        yield path


def _sources(entry: Json, file: str) -> Iterator[str]:
    """Files whose contents a generator puts into an object."""
    env = entry.get("env")
    if env is not None and not isinstance(env, str):
        raise RenderError("env is not a text", file)
    for text in (*_texts(entry, "files", file), *_texts(entry, "envs", file), *([env] if env else [])):
        yield text.partition("=")[2] or text


def _plugins(tree: SourceTree, document: Json, folder: str, file: str) -> Iterator[tuple[Json, str]]:
    """Configurations of generators and transformers, each with the file that has it.

    Folders are refused: what kustomize builds of one is not known before it runs, and may name the network.
    """
    for key in _PLUGINS:
        for text in _texts(document, key, file):
            inline = _inline(text, file, tree)
            where = file if inline is not None else _local(text, folder, file)
            if inline is None and tree.is_folder(where):
                raise RenderError(f"{key} in a folder ({text}) are refused; name the files", file)
            objects = inline if inline is not None else parse_manifests(tree.load([where])[where], where, tree.limits)
            for plugin in objects:
                _refuse_programs(plugin, where)
                yield plugin, where


def _inline(text: str, file: str, tree: SourceTree) -> list[Json] | None:
    """The objects that a text is; None for a path.

    kustomize takes whatever it can read as YAML for objects, so only what can be nothing else is a path here.
    """
    return None if _PLAIN_PATH.fullmatch(text) else parse_manifests(text.encode(), file, tree.limits)


def _plugin_files(plugin: Json, file: str) -> Iterator[str]:
    """Files that a built-in plug-in reads."""
    _check_spelling(plugin, file)
    yield from _paths(plugin, file)
    yield from _sources(plugin, file)
    yield from (text for text in _texts(plugin, "paths", file) if "\n" not in text)
    for entry in _maps(plugin, "replacements", file):
        yield from _paths(entry, file)


def _texts(document: Json, key: str, file: str) -> list[str]:
    values = document.get(key) or []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise RenderError(f"{key} is not a list of texts", file)
    return values


def _maps(document: Json, key: str, file: str) -> list[dict[str, Any]]:
    values = document.get(key) or []
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise RenderError(f"{key} is not a list of objects", file)
    for value in values:
        _check_spelling(value, file)
    return values


def _local(text: str, folder: str, file: str) -> str:
    """The path from the repository's root; raises RenderError for a remote, or a path that leaves the repository."""
    if _REMOTE.search(text) or text.startswith("/"):
        raise RenderError(f"{text!r} is not a path in this repository; remote bases are refused", file)
    path = posixpath.normpath(posixpath.join(folder, text))
    if path == ".." or path.startswith("../"):
        raise RenderError(f"{text!r} leaves the repository", file)
    return "" if path == "." else path


def _refuse_programs(plugin: Json, file: str) -> None:
    """Refuse a plug-in that names a program or a container."""
    if any("config.kubernetes.io/function" in key for key in plugin["metadata"].get("annotations") or {}):
        raise RenderError("a plug-in that runs a program is refused", file)
