"""`x-kubernetes-validations`: the one CEL rule the sandbox evaluates is immutability.

Other rules are tolerated: they are promises of a real API server, and the operator validates its own
kinds itself.
"""

import json
from collections.abc import Iterator
from typing import Any

from rollout.sandbox.apiserver.errors import Cause
from rollout.sandbox.apiserver.typedsl import Schema

IMMUTABLE = frozenset({"self==oldSelf", "oldSelf==self"})


def check(value: Any, schema: Schema, path: str, old: Any) -> Iterator[Cause]:
    """Causes for broken transition rules; without an old value there is no transition."""
    if old is None:
        return
    for rule in schema.get("x-kubernetes-validations") or ():
        if "".join(rule.get("rule", "").split()) in IMMUTABLE and value != old:
            words = rule.get("message") or f"failed rule: {rule['rule']}"
            shown = '"object"' if isinstance(value, dict) else json.dumps(value)
            reason = rule.get("reason", "FieldValueInvalid")
            yield {"reason": reason, "message": f"Invalid value: {shown}: {words}", "field": path}
