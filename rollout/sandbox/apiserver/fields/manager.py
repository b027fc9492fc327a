"""Field ownership: what managedFields says after an update, and server-side apply."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from rollout.sandbox.apiserver.errors import Cause, StatusError
from rollout.sandbox.apiserver.fields.lastapplied import own_before
from rollout.sandbox.apiserver.fields.paths import (
    NOTHING,
    Fields,
    Path,
    display,
    from_fields_v1,
    to_fields_v1,
    with_named_parents,
)
from rollout.sandbox.apiserver.fields.typed import compare, field_set, merge, remove
from rollout.sandbox.apiserver.typedsl import Schema

MAX_UPDATE_MANAGERS = 10
ANCIENT = "ancient-changes"
_SYSTEM_FIELDS = (
    "name", "namespace", "creationTimestamp", "selfLink", "uid", "generation", "managedFields",
    "resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds",
)  # fmt: skip
UNOWNED = frozenset({("f:apiVersion",), ("f:kind",), ("f:metadata",)}) | {
    ("f:metadata", f"f:{name}") for name in _SYSTEM_FIELDS
}
Object = dict[str, Any]


@dataclass(frozen=True)
class Owner:
    """Who writes: the key of one entry in managedFields."""

    manager: str
    operation: str
    api_version: str
    subresource: str = ""

    def title(self) -> str:
        """As conflicts name it: `"kubectl" with subresource "status" using apps/v1`."""
        part = f' with subresource "{self.subresource}"' if self.subresource else ""
        using = f" using {self.api_version}" if self.operation == "Update" else ""
        return f'"{self.manager}"{part}{using}'


@dataclass(frozen=True)
class Entry:
    """What one owner owns, and when that last changed."""

    fields: Fields
    time: str


Ownership = dict[Owner, Entry]


def decode(entries: Sequence[Any]) -> Ownership:
    """The ownership that a managedFields list describes; entries of other types are left out."""
    found: Ownership = {}
    for entry in entries:
        if isinstance(entry, dict) and isinstance(entry.get("fieldsV1"), dict):
            owner = Owner(
                entry.get("manager", ""), entry.get("operation", "Update"),
                entry.get("apiVersion", ""), entry.get("subresource", ""),
            )  # fmt: skip
            found[owner] = Entry(from_fields_v1(entry["fieldsV1"]), entry.get("time", ""))
    return found


def encode(ownership: Ownership) -> list[Object]:
    """The managedFields list: applied configurations first, then updates by time."""
    ordered = sorted(
        ownership.items(),
        key=lambda item: (item[0].operation != "Apply", item[1].time, item[0].manager, item[0].subresource),
    )
    return [_encode_entry(owner, entry) for owner, entry in ordered]


def _encode_entry(owner: Owner, entry: Entry) -> Object:
    described: Object = {"manager": owner.manager, "operation": owner.operation, "apiVersion": owner.api_version}
    described |= {"time": entry.time, "fieldsType": "FieldsV1", "fieldsV1": to_fields_v1(entry.fields)}
    return {**described, "subresource": owner.subresource} if owner.subresource else described


def after_update(old: Object, new: Object, schema: Schema, ownership: Ownership, owner: Owner, now: str) -> Ownership:
    """Ownership after an ordinary write: its author owns what changed, nobody owns what went away."""
    changes = compare(old, new, schema)
    written = frozenset(changes.added | changes.modified) - UNOWNED
    removed = _and_below(changes.removed)
    result = _taken(ownership, owner, written, removed)
    mine = ownership.get(owner, Entry(NOTHING, now))
    fields = frozenset(path for path in mine.fields | written if not removed(path))
    if fields:
        result[owner] = Entry(fields, mine.time if fields == mine.fields else now)
    return _capped(result)


def _taken(ownership: Ownership, owner: Owner, written: Fields, removed: Any) -> Ownership:
    """What the others keep."""
    result: Ownership = {}
    for other, entry in ownership.items():
        kept = frozenset(path for path in entry.fields - written if not removed(path))
        if other != owner and kept:
            result[other] = entry if kept == entry.fields else replace(entry, fields=kept)
    return result


def _and_below(removed: set[Path]) -> Any:
    """A test whether a path is one of these or below one of them."""

    def test(path: Path) -> bool:
        return bool(removed) and any(path[:length] in removed for length in range(1, len(path) + 1))

    return test


def _capped(ownership: Ownership) -> Ownership:
    """Many updaters are folded into one entry, oldest first, so that the list stays bounded."""
    updates = [owner for owner in ownership if owner.operation == "Update" and not owner.subresource]
    surplus = len(updates) - MAX_UPDATE_MANAGERS
    if surplus <= 0:
        return ownership
    oldest = sorted(updates, key=lambda owner: ownership[owner].time)[: surplus + 1]
    merged = frozenset[Path]().union(*(ownership[owner].fields for owner in oldest))
    ancient = Owner(ANCIENT, "Update", oldest[-1].api_version)
    kept = {owner: entry for owner, entry in ownership.items() if owner not in oldest}
    return {**kept, ancient: Entry(merged, ownership[oldest[-1]].time)}


@dataclass(frozen=True)
class Applied:
    """The object after server-side apply, before defaults, and its ownership."""

    obj: Object
    ownership: Ownership


def apply(
    live: Object, config: Object, schema: Schema, ownership: Ownership, owner: Owner, now: str, *, force: bool
) -> Applied:
    """Lay an applied configuration over the live object.

    Fields that the owner applied before and left out now go away unless somebody else owns them.

    Raises:
        StatusError: 409 when fields of others would change and `force` is false.
    """
    before = ownership.get(owner, Entry(NOTHING, now))
    mine = frozenset(path for path in field_set(config, schema) if path not in UNOWNED)
    others = {other: entry for other, entry in ownership.items() if other != owner}
    merged = merge(live, config, schema)
    dropped = with_named_parents(before.fields) - with_named_parents(
        mine.union(*(entry.fields for entry in others.values()))
    )
    result = remove(merged, dropped - UNOWNED, schema)
    changes = compare(live, result, schema)
    written = frozenset(changes.added | changes.modified) - UNOWNED
    if not force:
        _refuse_conflicts(others, written - own_before(live, schema, owner.manager))
    kept = _taken(others, owner, written, _and_below(changes.removed))
    kept[owner] = Entry(mine, before.time if mine == before.fields else now)
    return Applied(result, kept)


def _refuse_conflicts(others: Ownership, written: Fields) -> None:
    clashes = {other: sorted(entry.fields & written) for other, entry in others.items()}
    clashes = {other: paths for other, paths in clashes.items() if paths}
    if not clashes:
        return
    causes = [_conflict_cause(other, path) for other, paths in clashes.items() for path in paths]
    message = _conflict_message(clashes, len(causes))
    raise StatusError(409, "Conflict", message, {"causes": causes})


def _conflict_cause(owner: Owner, path: Path) -> Cause:
    message = f"conflict with {owner.title()}"
    return {"reason": "FieldManagerConflict", "message": message, "field": display(path)}


def _conflict_message(clashes: dict[Owner, list[Path]], count: int) -> str:
    if count == 1:
        [(owner, paths)] = clashes.items()
        return f"Apply failed with 1 conflict: conflict with {owner.title()}: {display(paths[0])}"
    parts = []
    for owner, paths in clashes.items():
        if len(paths) == 1:
            parts.append(f"conflict with {owner.title()}: {display(paths[0])}")
        else:
            listed = "\n- ".join(["", *(display(path) for path in paths)])
            parts.append(f"conflicts with {owner.title()}:{listed}")
    return f"Apply failed with {count} conflicts: " + "\n".join(parts)
