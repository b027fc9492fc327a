"""Strategic merge patches: merge patches that know the keys of lists, for built-in types."""

from typing import Any

from rollout.sandbox.apiserver.errors import bad_request
from rollout.sandbox.apiserver.fields.typed import child_schema
from rollout.sandbox.apiserver.typedsl import Schema

DIRECTIVE = "$patch"
RETAIN_KEYS = "$retainKeys"
SET_ORDER = "$setElementOrder/"
DELETE_VALUES = "$deleteFromPrimitiveList/"


def strategic_merge(target: Any, patch: Any, schema: Schema) -> Any:
    """The target with the patch applied. Neither is changed.

    Raises:
        StatusError: 400 for directives that make no sense.
    """
    if isinstance(patch, dict):
        return _merge_maps(target if isinstance(target, dict) else {}, patch, schema)
    if isinstance(patch, list):
        return _merge_lists(target if isinstance(target, list) else [], patch, schema)
    return patch


def _merge_maps(target: dict[str, Any], patch: dict[str, Any], schema: Schema) -> dict[str, Any]:
    match patch.get(DIRECTIVE):
        case "replace":
            return {key: _without_directives(value) for key, value in patch.items() if not key.startswith("$")}
        case "delete":
            return {}
    merged = _retained(target, patch)
    for key, value in patch.items():
        if key.startswith(DELETE_VALUES):
            name = key.removeprefix(DELETE_VALUES)
            merged[name] = [one for one in merged.get(name) or () if one not in value]
    for key, value in patch.items():
        if key.startswith("$"):
            continue
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = strategic_merge(merged.get(key), value, child_schema(schema, key)[0])
    return _ordered(merged, patch, schema)


def _without_directives(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _without_directives(child)
            for key, child in value.items()
            if not key.startswith("$") and child is not None
        }
    if isinstance(value, list):
        return [_without_directives(item) for item in value]
    return value


def _retained(target: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    keep = patch.get(RETAIN_KEYS)
    if keep is None:
        return dict(target)
    return {key: value for key, value in target.items() if key in keep}


def _ordered(merged: dict[str, Any], patch: dict[str, Any], schema: Schema) -> dict[str, Any]:
    for key, order in patch.items():
        name = key.removeprefix(SET_ORDER)
        if name == key or not isinstance(merged.get(name), list):
            continue
        merge_key = child_schema(schema, name)[0].get("x-kubernetes-patch-merge-key")
        merged[name] = _by_order(merged[name], order, merge_key)
    return merged


def _by_order(items: list[Any], order: list[Any], merge_key: str | None) -> list[Any]:
    """Items in the wanted order; items that it does not name stay behind their neighbours."""

    def key(item: Any) -> Any:
        return item.get(merge_key) if merge_key and isinstance(item, dict) else item

    places = {str(key(item)): place for place, item in enumerate(order)}
    place, ranked = -1, []
    for index, item in enumerate(items):
        place = places.get(str(key(item)), place)
        ranked.append((place, index, item))
    return [item for _, _, item in sorted(ranked, key=lambda entry: entry[:2])]


def _merge_lists(target: list[Any], patch: list[Any], schema: Schema) -> list[Any]:
    if schema.get("x-kubernetes-patch-strategy") != "merge":
        return [_without_directives(item) for item in patch]
    merge_key = schema.get("x-kubernetes-patch-merge-key")
    if merge_key is None:
        return target + [item for item in patch if item not in target]
    if any(isinstance(item, dict) and item.get(DIRECTIVE) == "replace" for item in patch):
        return [_without_directives(item) for item in patch if item.get(DIRECTIVE) != "replace"]
    merged = list(target)
    for item in patch:
        _merge_item(merged, item, merge_key, schema.get("items") or {})
    return merged


def _merge_item(merged: list[Any], item: Any, merge_key: str, schema: Schema) -> None:
    if not isinstance(item, dict) or merge_key not in item:
        raise bad_request(f"map: {item} does not contain declared merge key: {merge_key}")
    here = [index for index, one in enumerate(merged) if one.get(merge_key) == item[merge_key]]
    if item.get(DIRECTIVE) == "delete":
        for index in reversed(here):
            del merged[index]
    elif here:
        merged[here[0]] = strategic_merge(merged[here[0]], item, schema)
    else:
        merged.append(_without_directives(item))
