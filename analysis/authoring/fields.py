"""Fields of a manifest that no struct of ours knows: a typing error, or of a newer Argo Rollouts."""

import difflib
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import inspect

from analysis.errors import InvalidSpec

MAX_DEPTH = 64


def unknown_fields(manifest: Any, struct: type[msgspec.Struct], path: str = "") -> Iterator[InvalidSpec]:
    """Yield every unknown field of an object, with the field that may be meant.

    Args:
        manifest: the object as JSON.
        struct: what it is read as.
        path: of the object, for messages; empty for the whole manifest.
    """
    yield from _walk(manifest, inspect.type_info(struct), path, 0)


def _walk(part: Any, kind: inspect.Type, path: str, depth: int) -> Iterator[InvalidSpec]:
    if depth > MAX_DEPTH:
        return
    match kind:
        case inspect.Metadata(type=inner):
            yield from _walk(part, inner, path, depth)
        case inspect.UnionType(types=types):
            for one in types:
                yield from _walk(part, one, path, depth)
        case inspect.StructType() if isinstance(part, dict):
            yield from _struct(part, kind, path, depth)
        case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item) if isinstance(part, list):
            for index, one in enumerate(part):
                yield from _walk(one, item, f"{path}[{index}]", depth + 1)
        case inspect.DictType(value_type=value) if isinstance(part, dict):
            for key, one in part.items():
                yield from _walk(one, value, f"{path}.{key}", depth + 1)
        case _:
            return


def _struct(part: dict[str, Any], kind: inspect.StructType, path: str, depth: int) -> Iterator[InvalidSpec]:
    known = {field.encode_name: field.type for field in kind.fields}
    for key, one in part.items():
        here = f"{path}.{key}" if path else key
        if key in known:
            yield from _walk(one, known[key], here, depth + 1)
        elif path or key not in {"apiVersion", "kind"}:
            yield InvalidSpec(here, "is not known and would be dropped", _remedy(key, list(known)))


def _remedy(key: str, known: list[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    if close:
        return f"is {close[0]} meant?"
    return f"known here are {', '.join(sorted(known))}; a newer Argo Rollouts may have it, Coalmine does not"
