"""GET of objects, lists and tables."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from rollout.sandbox.apiserver.columns import COLUMNS
from rollout.sandbox.apiserver.convert import from_storage, is_same_form, storage_key
from rollout.sandbox.apiserver.errors import bad_request, gone
from rollout.sandbox.apiserver.requests import Target
from rollout.sandbox.apiserver.selectors import field_test, label_test
from rollout.sandbox.apiserver.store import Change, Object, Store, encode_json
from rollout.sandbox.apiserver.table import columns_of, partial, table
from rollout.sandbox.apiserver.watch import Selection, refuse_future

_MATCHES = frozenset({"", "Exact", "NotOlderThan"})


@dataclass(frozen=True)
class Form:
    """In which form the client wants objects: as they are, as a Table, or only their metadata."""

    kind: str = ""
    version: str = "v1"
    include: str = "Metadata"

    @property
    def content_type(self) -> str:
        if not self.kind:
            return "application/json"
        return f"application/json;as={self.kind};v={self.version};g=meta.k8s.io"


def requested_form(accept: str, query: Mapping[str, str]) -> Form:
    """The first form of an Accept header that is served here; protobuf and CBOR are passed over."""
    for choice in accept.split(","):
        media, *parameters = (part.strip() for part in choice.split(";"))
        named = dict(part.split("=", 1) for part in parameters if "=" in part)
        if media not in {"application/json", "*/*", "application/*", "application/yaml"}:
            continue
        kind = named.get("as", "")
        if kind.startswith(("Table", "PartialObjectMetadata")):
            return Form(kind, named.get("v", "v1"), query.get("includeObject") or "Metadata")
        return Form()
    return Form()


def selection(target: Target, query: Mapping[str, str]) -> Selection:
    """What the selectors of a query select.

    Raises:
        StatusError: 400.
    """
    fields = field_test(query.get("fieldSelector"), target.resource, target.version)
    return Selection(target, label_test(query.get("labelSelector")), fields)


def one(target: Target, obj: Object, form: Form) -> bytes:
    """A single object in the wanted form."""
    shown = from_storage(target.resource, target.version, obj)
    if form.kind == "Table":
        columns = columns_of(target.resource, target.version, COLUMNS)
        metadata = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
        return encode_json(table([shown], columns, metadata, form.include))
    if form.kind.startswith("PartialObjectMetadata"):
        return encode_json(partial(shown, f"meta.k8s.io/{form.version}"))
    return encode_json(shown)


def many(store: Store, target: Target, query: Mapping[str, str], form: Form) -> bytes:
    """A list in the wanted form, whole or a page of it.

    Raises:
        StatusError: 400 for bad parameters, 410 for a page of a list that is too old, 504 for a
            resourceVersion from the future.
    """
    chosen = selection(target, query)
    revision = _asked_revision(store, query)
    changes = [
        change for change in store.select(storage_key(target.resource), target.namespace) if chosen.holds(change.obj)
    ]
    limit = _number(query, "limit")
    after, revision = _continued(store, query.get("continue", ""), revision)
    changes = [change for change in changes if (change.ref.namespace, change.ref.name) > after]
    metadata: Object = {"resourceVersion": str(revision)}
    if limit and len(changes) > limit:
        last = changes[limit - 1].ref
        metadata["continue"] = _token(revision, last.namespace, last.name)
        metadata["remainingItemCount"] = len(changes) - limit
        changes = changes[:limit]
    return _encode_list(chosen, changes, metadata, form)


def _encode_list(chosen: Selection, changes: list[Change], metadata: Object, form: Form) -> bytes:
    target = chosen.target
    if not form.kind:
        head = {"kind": target.resource.list_kind, "apiVersion": target.resource.api_version(target.version.name)}
        start = encode_json({**head, "metadata": metadata})[:-1]
        return b'%s,"items":[%s]}' % (start, b",".join(chosen.encoded(change) for change in changes))
    shown = [chosen.shown(change.obj) for change in changes]
    if form.kind == "Table":
        return encode_json(table(shown, columns_of(target.resource, target.version, COLUMNS), metadata, form.include))
    api_version = f"meta.k8s.io/{form.version}"
    items = [partial(obj, api_version) for obj in shown]
    body = {"kind": "PartialObjectMetadataList", "apiVersion": api_version, "metadata": metadata, "items": items}
    return encode_json(body)


def _asked_revision(store: Store, query: Mapping[str, str]) -> int:
    """Check resourceVersion and its match; lists are always of now, which satisfies all but Exact."""
    match = query.get("resourceVersionMatch", "")
    asked = _number(query, "resourceVersion")
    if match not in _MATCHES:
        raise bad_request(f'resourceVersionMatch: Unsupported value: "{match}"')
    if match and not query.get("resourceVersion"):
        raise bad_request("resourceVersionMatch is forbidden unless resourceVersion is provided")
    refuse_future(store, asked)
    if match == "Exact" and asked != store.revision:
        raise gone(f"The provided resource version is too old: {asked}")
    return store.revision


def _number(query: Mapping[str, str], name: str) -> int:
    text = query.get(name) or "0"
    if not text.isdigit():
        raise bad_request(f'invalid value for {name}: "{text}"')
    return int(text)


def _token(revision: int, namespace: str, name: str) -> str:
    content = encode_json({"v": "meta.k8s.io/v1", "rv": revision, "start": [namespace, name]})
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _continued(store: Store, token: str, revision: int) -> tuple[tuple[str, str], int]:
    """Where a page starts and the revision of its first page, from which a watch can follow."""
    if not token:
        return ("", ""), revision
    try:
        content: dict[str, Any] = msgspec.json.decode(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        start, first = (content["start"][0], content["start"][1]), int(content["rv"])
    except (binascii.Error, ValueError, KeyError, IndexError, TypeError) as error:
        raise bad_request(f"continue key is not valid: {error}") from error
    if first < store.compacted:
        raise gone(
            "The provided continue parameter is too old to display a consistent list result. You can start a "
            "new list without the continue parameter."
        )
    return start, first


def raw_one(store: Store, target: Target, form: Form) -> bytes | None:
    """The encoded object as it is kept, when that is what the client wants."""
    if form.kind or not is_same_form(target.resource, target.version):
        return None
    return store.raw(target.ref)
