"""YAML as Kubernetes means it: bounded, JSON's types only, no key written twice, one object a document."""

import math
import re
from collections.abc import Iterator
from typing import Any

import yaml

from rollout.domain.sync.objects import Json
from rollout.errors import RenderError
from rollout.render.limits import Limits

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_LIST_DEPTH_MAX = 3


# What is in the path of a request, and in an inventory entry, is checked before anything is built of it.
_API_VERSION = re.compile(r"([a-z0-9][a-z0-9.-]{0,252}/)?[a-z][a-z0-9-]{0,62}")
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,62}")
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_NAME = re.compile(r"(?!\.{1,2}$)[^/%?#\s\x00-\x1f\x7f]{1,253}")

_MERGE, _MERGE_TAG = "<<", "tag:yaml.org,2002:merge"
_FLOAT_TAG = "tag:yaml.org,2002:float"
_INT_TAG = "tag:yaml.org,2002:int"
_NOT_JSON = ("binary", "timestamp", "set", "omap", "pairs")
# What a plain text stands for, as kubectl reads it: `12:30` and `=` are texts, and so is a date.
_NOT_PLAIN = frozenset({"timestamp", "value", "int", "float"})
_INT = re.compile(r"^[-+]?(0b[01_]+|0x[0-9a-fA-F_]+|0o?[0-7_]+|0|[1-9][0-9_]*)$")
_FLOAT = re.compile(
    r"^([-+]?(\.[0-9]+|[0-9][0-9_]*\.[0-9_]*|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$"
)


class _Loader(_Base):  # type: ignore[misc]  # The C loader is chosen at run time.
    """SafeLoader with JSON's types alone, text as keys, and an error for a key that is written twice."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Resolve `<<`: what a map writes itself wins over what it merges in, and only that must not be twice."""
        # A merge adds to the node, and a node that is merged into others comes here again.
        if not getattr(node, "is_flat", False):
            seen: set[str] = set()
            for key, _ in node.value:
                text = _MERGE if key.tag == _MERGE_TAG else self._key(key)
                if text in seen:
                    raise _refused(f"key {text!r} is written twice", node)
                seen.add(text)
            super().flatten_mapping(node)
            node.is_flat = True  # type: ignore[attr-defined]  # Ours; a node is a plain object.

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002  PyYAML's signature.
        self.flatten_mapping(node)
        return {self._key(key): self.construct_object(value, deep=deep) for key, value in node.value}

    def _key(self, node: yaml.Node) -> str:
        """A key as JSON has it; numbers and truth values become text, as kubectl makes them."""
        key = self.construct_object(node, deep=True)
        if isinstance(key, bool):
            return "true" if key else "false"
        if not isinstance(key, str | int):
            raise _refused("a key is not text; quote it", node)
        if key == _MERGE:
            # Readers disagree on what merges when it is tagged or quoted.
            raise _refused("a key is the text `<<`; write it plain to merge", node)
        return str(key)


def _refused(words: str, node: yaml.Node) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, words, node.start_mark)


def _construct_float(loader: Any, node: yaml.ScalarNode) -> float:
    value = float(loader.construct_yaml_float(node))
    if not math.isfinite(value):
        raise _refused("a number is not finite, which JSON cannot say; quote it if it is text", node)
    return value


def _construct_foreign(_: Any, node: yaml.Node) -> None:
    raise _refused(f"{node.tag.replace('tag:yaml.org,2002:', '!!')} is no type of JSON; write it as text", node)


_Loader.add_constructor(_FLOAT_TAG, _construct_float)
for _name in _NOT_JSON:
    _Loader.add_constructor(f"tag:yaml.org,2002:{_name}", _construct_foreign)
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] not in _NOT_PLAIN]
    for first, resolvers in _Base.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_INT_TAG, _INT, list("-+0123456789"))
_Loader.add_implicit_resolver(_FLOAT_TAG, _FLOAT, list("-+0123456789."))


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
        if isinstance(event, yaml.DocumentStartEvent):
            weights.clear()  # Anchors do not reach over documents.
        elif isinstance(event, yaml.CollectionStartEvent):
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
    """The object, if it has an API version, a kind and a name that an API server can have; else RenderError."""
    for key in ("apiVersion", "kind"):
        if not isinstance(obj.get(key), str) or not obj[key]:
            raise RenderError(f"{where} has no {key}", path)
    given = obj.get("metadata")
    metadata = given if isinstance(given, dict) else {}
    name = metadata.get("name")
    if not isinstance(name, str) or not name:
        raise RenderError(f"{where} ({obj['kind']}) has no metadata.name", path)
    namespace = metadata.get("namespace") or ""
    if not isinstance(namespace, str):
        raise RenderError(f"{where} ({obj['kind']} {name}) has a namespace that is not text", path)
    wrong = next(_misspelt(obj, name, namespace), None)
    if wrong is not None:
        raise RenderError(f"{where} has {wrong}, which no API server takes", path)
    for key in ("labels", "annotations"):
        values = metadata.get(key) or {}
        if not isinstance(values, dict) or not all(isinstance(v, str) for v in values.values()):
            raise RenderError(f"{where} ({obj['kind']} {name}) has {key} that are not text; quote them", path)
    return obj


def _misspelt(obj: Json, name: str, namespace: str) -> Iterator[str]:
    """Parts of the identity that cannot be, each with its field."""
    parts = (
        ("apiVersion", obj["apiVersion"], _API_VERSION),
        ("kind", obj["kind"], _KIND),
        ("metadata.name", name, _NAME),
        ("metadata.namespace", namespace or "default", _NAMESPACE),
    )
    return (f"{field} {text[:80]!r}" for field, text, form in parts if not form.fullmatch(text))


def _words(error: yaml.YAMLError) -> str:
    """The parser's problem with its line, on one line."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"{problem} (line {mark.line + 1})" if mark is not None else str(problem)
