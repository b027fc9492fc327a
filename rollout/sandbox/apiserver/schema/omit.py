"""What typed objects leave out when they are written as JSON: empty maps and lists, some zeros."""

from typing import Any

from rollout.sandbox.apiserver.typedsl import Schema

# Numbers and flags that the built-in types declare without a pointer: their zero is not written.
_ZERO_IS_ABSENT = frozenset({
    "minReadySeconds", "paused", "initialDelaySeconds", "publishNotReadyAddresses", "hostNetwork", "hostPID",
    "hostIPC", "stdin", "stdinOnce", "tty", "readOnly", "readyReplicas", "availableReplicas", "updatedReplicas",
    "unavailableReplicas", "fullyLabeledReplicas", "observedGeneration", "active", "succeeded", "failed",
})  # fmt: skip


def omit_empty(value: Any, schema: Schema) -> None:
    """Remove such fields from a value of a built-in type, in place."""
    if isinstance(value, list):
        for item in value:
            omit_empty(item, schema.get("items") or {})
        return
    if not isinstance(value, dict):
        return
    declared, values = schema.get("properties") or {}, schema.get("additionalProperties")
    for key, child in list(value.items()):
        below = declared.get(key, values if isinstance(values, dict) else {})
        omit_empty(child, below)
        if key in declared and _is_omitted(key, child, below):
            del value[key]


def _is_omitted(key: str, value: Any, schema: Schema) -> bool:
    if "default" in schema:
        return False
    if value in ({}, []):
        return "additionalProperties" in schema or schema.get("type") == "array"
    return key in _ZERO_IS_ABSENT and not value
