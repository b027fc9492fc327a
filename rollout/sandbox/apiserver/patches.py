"""JSON merge patches (RFC 7386) and JSON patches (RFC 6902). Nothing that goes in is changed."""

import copy
from typing import Any

from rollout.sandbox.apiserver.errors import StatusError, bad_request, patch_rejected

MAX_OPERATIONS = 10_000


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386: nulls delete, objects merge, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def json_patch(target: Any, operations: Any) -> Any:
    """RFC 6902.

    Raises:
        StatusError: 400 for a malformed patch, 422 where a test fails or a path does not exist.
    """
    if not isinstance(operations, list) or len(operations) > MAX_OPERATIONS:
        raise bad_request(f"a JSON patch is a list of at most {MAX_OPERATIONS} operations")
    document = copy.deepcopy(target)
    for operation in operations:
        if not isinstance(operation, dict) or not isinstance(operation.get("path"), str):
            raise bad_request("each operation of a JSON patch needs an op and a path")
        document = _operate(document, operation)
    return document


def _operate(document: Any, operation: dict[str, Any]) -> Any:
    path, value = _pointer(operation["path"]), operation.get("value")
    match operation.get("op"):
        case "add":
            return _add(document, path, value)
        case "replace":
            _get(document, path)
            return _add(document, path, value, replacing=True)
        case "remove":
            return _remove(document, path)
        case "test":
            return _test(document, path, value)
        case "move":
            source = _pointer(operation.get("from", ""))
            moved = _get(document, source)
            return _add(_remove(document, source), path, moved)
        case "copy":
            return _add(document, path, _get(document, _pointer(operation.get("from", ""))))
        case unknown:
            raise bad_request(f"unknown operation {unknown!r} in a JSON patch")


def _pointer(text: str) -> list[str]:
    if text and not text.startswith("/"):
        raise bad_request(f"a JSON pointer starts with a slash: {text!r}")
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _missing(path: list[str]) -> StatusError:
    return patch_rejected(f"nonexistent path: /{'/'.join(path)}")


def _get(document: Any, path: list[str]) -> Any:
    node = document
    for key in path:
        if isinstance(node, dict) and key in node:
            node = node[key]
        elif isinstance(node, list):
            node = node[_index(key, len(node) - 1, path)]
        else:
            raise _missing(path)
    return node


def _index(key: str, last: int, path: list[str]) -> int:
    if not key.isdigit() or int(key) > last:
        raise _missing(path)
    return int(key)


def _add(document: Any, path: list[str], value: Any, *, replacing: bool = False) -> Any:
    value = copy.deepcopy(value)
    if not path:
        return value
    parent, key = _get(document, path[:-1]), path[-1]
    if isinstance(parent, dict):
        parent[key] = value
    elif isinstance(parent, list) and replacing:
        parent[_index(key, len(parent) - 1, path)] = value
    elif isinstance(parent, list):
        parent.insert(len(parent) if key == "-" else _index(key, len(parent), path), value)
    else:
        raise _missing(path)
    return document


def _remove(document: Any, path: list[str]) -> Any:
    _get(document, path)
    if not path:
        raise bad_request("the whole document cannot be removed")
    parent, key = _get(document, path[:-1]), path[-1]
    if isinstance(parent, dict):
        del parent[key]
    else:
        del parent[int(key)]
    return document


def _test(document: Any, path: list[str], value: Any) -> Any:
    try:
        actual = _get(document, path)
    except StatusError:
        actual = None  # An absent field equals null in a test, as in the API server.
    if actual != value:
        raise patch_rejected(f"testing path /{'/'.join(path)} failed")
    return document
