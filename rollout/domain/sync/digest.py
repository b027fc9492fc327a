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
    metadata = dict(_map(template, "metadata"))
    annotations = {k: v for k, v in _map(metadata, "annotations").items() if k not in RESTART_ANNOTATIONS}
    if annotations:
        metadata["annotations"] = annotations
    else:
        metadata.pop("annotations", None)
    rest = {key: value for key, value in template.items() if key != "metadata"}
    return digest({**rest, **({"metadata": metadata} if metadata else {})})


def rollout_template(obj: Json) -> Json:
    """The pod template of a Rollout's manifest; empty where it refers to a workload, or is no object."""
    return _map(_map(obj, "spec"), "template")


def images_of(template: Json) -> tuple[ImageDigest, ...]:
    """Images of a template; the digest is known only where the reference is pinned."""
    spec = _map(template, "spec")
    lists = (spec.get("initContainers"), spec.get("containers"))
    containers = [c for found in lists if isinstance(found, list) for c in found]
    return tuple(
        ImageDigest(
            name=str(c.get("name", "")),
            reference=str(c.get("image", "")),
            digest=str(c.get("image", "")).partition("@")[2],
        )
        for c in containers
        if isinstance(c, dict)
    )


def _map(holder: Json, key: str) -> Json:
    """A map in a map; what people wrote there instead is the API server's to refuse."""
    value = holder.get(key)
    return value if isinstance(value, dict) else {}


def declares(written: Any, live: Any) -> bool:
    """Whether a live value is what was written, plus defaults: maps may have grown, lists may not."""
    if isinstance(written, dict) and isinstance(live, dict):
        return all(key in live and declares(value, live[key]) for key, value in written.items())
    if isinstance(written, list) and isinstance(live, list):
        return len(written) == len(live) and all(declares(a, b) for a, b in zip(written, live, strict=True))
    return bool(written == live)
