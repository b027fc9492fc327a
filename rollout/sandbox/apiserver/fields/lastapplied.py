"""From client-side to server-side apply: what kubectl wrote before counts as its own."""

from typing import Any

import msgspec

from rollout.sandbox.apiserver.fields.paths import NOTHING, Fields
from rollout.sandbox.apiserver.fields.typed import compare, field_set
from rollout.sandbox.apiserver.typedsl import Schema

ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"
KUBECTL = "kubectl"


def own_before(live: dict[str, Any], schema: Schema, manager: str) -> Fields:
    """The fields that kubectl applied on the client side and that nobody changed since.

    kubectl may overwrite these on the server side without force; for other managers there are none.
    """
    text = ((live.get("metadata") or {}).get("annotations") or {}).get(ANNOTATION)
    if manager != KUBECTL or not text:
        return NOTHING
    try:
        applied = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return NOTHING
    if not isinstance(applied, dict):
        return NOTHING
    changes = compare(applied, live, schema)
    return field_set(applied, schema) - frozenset(changes.modified | changes.removed)
