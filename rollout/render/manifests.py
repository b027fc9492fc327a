"""YAML as Kubernetes means it: bounded, without timestamps, without duplicate keys, one object a document."""

from collections.abc import Iterator
from typing import Any

import yaml

from rollout.domain.sync.objects import Json
from rollout.errors import RenderError
from rollout.render.limits import Limits

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_LIST_DEPTH_MAX = 3


class _Loader(_Base):  # type: ignore[misc]  # The C loader is chosen at run time.
    """SafeLoader without dates (JSON has none), and with an error for a key that is written twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002  PyYAML's signature.
        self.flatten_mapping(node)
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if any(not isinstance(key, str | int | float | bool) for key in keys):
            raise yaml.constructor.ConstructorError(None, None, "a key is not a scalar", node.start_mark)
        result = dict(zip(keys, (self.construct_object(value, deep=deep) for _, value in node.value), strict=True))
        if len(result) != len(keys):
            twice = next(key for key in keys if keys.count(key) > 1)
            raise yaml.constructor.ConstructorError(None, None, f"key {twice!r} is written twice", node.start_mark)
        return result


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in _Base.yaml_implicit_resolvers.items()
}


def parse_manifests(content: bytes, path: str, limits: Limits) -> list[Json]:
    """Objects of a file, Lists flattened; raises RenderError that names the file and the line.

    Args:
        content: the file.
        path: for messages, from the repository's root.
        limits: bounds.
    """
    documents = _load(content, path, limits)
    objects = [obj for number, document in enumerate(documents, 1) for obj in _objects(document, path, number, 0)]
    if len(objects) > limits.objects:
        raise RenderError(f"{len(objects)} objects; the limit is {limits.objects}", path)
    return objects


def parse_yaml(content: bytes, path: str, limits: Limits) -> Any:
    """The one document of a file that is no manifest; raises RenderError."""
    documents = _load(content, path, limits)
    if len(documents) != 1:
        raise RenderError(f"has {len(documents)} YAML documents where one is expected", path)
    return documents[0]


def _load(content: bytes, path: str, limits: Limits) -> list[Any]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RenderError(f"not UTF-8 at byte {error.start}; save it as UTF-8", path) from None
    try:
        _check_bounds(text, path, limits)
        return list(yaml.load_all(text, Loader=_Loader))
    except yaml.YAMLError as error:
        raise RenderError(f"not YAML: {_words(error)}", path) from None
    except (RecursionError, ValueError) as error:
        raise RenderError(f"not YAML that can be read: {error}", path) from None


def _check_bounds(text: str, path: str, limits: Limits) -> None:
    """Walk the parser's events, which needs no recursion: depth, and what aliases would expand to."""
    weights: dict[str, int] = {}
    open_nodes: list[tuple[str | None, int]] = []
    total = 0
    for event in yaml.parse(text, Loader=_Base):
        if isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((event.anchor, total))
            total += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_nodes.pop()
            weights[anchor or ""] = total - before
        elif isinstance(event, yaml.NodeEvent):
            total += _leaf_weight(event, weights, path)
        if total > limits.yaml_events:
            raise RenderError(f"expands to more than {limits.yaml_events} YAML nodes (an alias bomb?)", path)
        if len(open_nodes) > limits.yaml_depth:
            raise RenderError(f"nested deeper than {limits.yaml_depth} levels", path)


def _leaf_weight(event: yaml.NodeEvent, weights: dict[str, int], path: str) -> int:
    """Nodes that a scalar or an alias stands for; long texts count as several."""
    if isinstance(event, yaml.AliasEvent):
        # An alias inside its own anchor is not finished yet: its expansion would never end.
        if event.anchor not in weights:
            raise RenderError(f"alias *{event.anchor} is inside its own anchor, or has none", path)
        return weights[event.anchor]
    weight = 1 + len(getattr(event, "value", "")) // 128
    if event.anchor:
        weights[event.anchor] = weight
    return weight


def _objects(document: Any, path: str, number: int, depth: int) -> Iterator[Json]:
    """The objects of one document; empty documents have none, Lists have their items."""
    if document is None:
        return
    where = f"document {number}"
    if not isinstance(document, dict):
        raise RenderError(f"{where} is {type(document).__name__}, not an object", path)
    items = document.get("items")
    if str(document.get("kind", "")).endswith("List") and isinstance(items, list):
        if depth >= _LIST_DEPTH_MAX:
            raise RenderError(f"{where} has Lists in Lists", path)
        for item in items:
            yield from _objects(item, path, number, depth + 1)
        return
    yield check_object(document, path, where)


def check_object(obj: Json, path: str, where: str) -> Json:
    """The object, if it has an API version, a kind and a name of the right types; else RenderError."""
    for key in ("apiVersion", "kind"):
        if not isinstance(obj.get(key), str) or not obj[key]:
            raise RenderError(f"{where} has no {key}", path)
    given = obj.get("metadata")
    metadata = given if isinstance(given, dict) else {}
    name = metadata.get("name")
    if not isinstance(name, str) or not name:
        raise RenderError(f"{where} ({obj['kind']}) has no metadata.name", path)
    if not isinstance(metadata.get("namespace", ""), str):
        raise RenderError(f"{where} ({obj['kind']} {name}) has a namespace that is not text", path)
    for key in ("labels", "annotations"):
        values = metadata.get(key) or {}
        if not isinstance(values, dict) or not all(isinstance(v, str) for v in values.values()):
            raise RenderError(f"{where} ({obj['kind']} {name}) has {key} that are not text; quote them", path)
    return obj


def _words(error: yaml.YAMLError) -> str:
    """The parser's problem with its line, on one line."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"{problem} (line {mark.line + 1})" if mark is not None else str(problem)
