"""Digests that name content: canonical JSON, SHA-256."""

import hashlib
import json
from typing import Any

from rollout.api.application_status import ImageDigest
from rollout.domain.sync.objects import Json

# A restart is not a new version: these annotations do not count.
RESTART_ANNOTATIONS = frozenset({"kubectl.kubernetes.io/restartedAt", "coalmine.dev/restarted-at"})


def canonical_json(value: Any) -> str:
    """One text a value: sorted keys, no spaces, no escapes but JSON's own."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(value: Any) -> str:
    """`sha256:` and the hash of the canonical JSON."""
    return f"sha256:{hashlib.sha256(canonical_json(value).encode()).hexdigest()}"


def template_digest(template: Json) -> str:
    """Digest of a pod template as written: no defaults, no annotations that only ask for a restart."""
    metadata = dict(template.get("metadata") or {})
    annotations = {k: v for k, v in (metadata.get("annotations") or {}).items() if k not in RESTART_ANNOTATIONS}
    if annotations:
        metadata["annotations"] = annotations
    else:
        metadata.pop("annotations", None)
    rest = {key: value for key, value in template.items() if key != "metadata"}
    return digest({**rest, **({"metadata": metadata} if metadata else {})})


def rollout_template(obj: Json) -> Json:
    """The pod template of a Rollout's manifest; empty where it refers to a workload."""
    template = (obj.get("spec") or {}).get("template")
    return template if isinstance(template, dict) else {}


def images_of(template: Json) -> tuple[ImageDigest, ...]:
    """Images of a template; the digest is known only where the reference is pinned."""
    spec = template.get("spec") or {}
    containers = [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]
    return tuple(
        ImageDigest(
            name=str(c.get("name", "")),
            reference=str(c.get("image", "")),
            digest=str(c.get("image", "")).partition("@")[2],
        )
        for c in containers
        if isinstance(c, dict)
    )


def declares(written: Any, live: Any) -> bool:
    """Whether a live value is what was written, plus defaults: maps may have grown, lists may not."""
    if isinstance(written, dict) and isinstance(live, dict):
        return all(key in live and declares(value, live[key]) for key, value in written.items())
    if isinstance(written, list) and isinstance(live, list):
        return len(written) == len(live) and all(declares(a, b) for a, b in zip(written, live, strict=True))
    return bool(written == live)
