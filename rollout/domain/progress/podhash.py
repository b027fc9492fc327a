"""Argo's pod-template-hash and step hash, in both known forms.

The hash is `SafeEncode(decimal(fnv32a(json + collision count)))` over Go's JSON of the typed, undefaulted template
(utils/hash/hash.go of Argo Rollouts). Until apimachinery 0.34 that JSON carried `"creationTimestamp":null`, so two
forms are known; a ReplicaSet made under either is recognised.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec

from rollout.api.gojson import TEMPLATE_029, TEMPLATE_034, encode

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_REMEMBERED_MAX = 1024
_REMEMBERED_BYTES_MAX = 1 << 15


@dataclass(frozen=True, slots=True)
class PodHashes:
    """The hashes that a template may have; new ReplicaSets get the newer form."""

    newer: str
    older: str

    def __contains__(self, pod_hash: object) -> bool:
        return pod_hash in (self.newer, self.older)


def pod_hashes(template: dict[str, Any], collision_count: int | None = None) -> PodHashes:
    """The hashes of a pod template as a user wrote it.

    A template is asked for at every turn and changes seldom, so small ones are remembered by their text.
    """
    text = msgspec.json.encode(template)
    if len(text) > _REMEMBERED_BYTES_MAX:
        return computed_pod_hashes(template, collision_count)
    return _remembered(text, collision_count)


@lru_cache(maxsize=_REMEMBERED_MAX)
def _remembered(text: bytes, collision_count: int | None) -> PodHashes:
    return computed_pod_hashes(msgspec.json.decode(text), collision_count)


def computed_pod_hashes(template: dict[str, Any], collision_count: int | None = None) -> PodHashes:
    """The hashes, computed anew."""
    suffix = b"" if collision_count is None else collision_count.to_bytes(8, "little")
    return PodHashes(
        newer=safe_hash(encode(template, TEMPLATE_034) + suffix),
        older=safe_hash(encode(template, TEMPLATE_029) + suffix),
    )


def safe_hash(data: bytes) -> str:
    """FNV-1a, 32 bits, in decimal, spelled without vowels (k8s.io/apimachinery rand.SafeEncodeString)."""
    value = 0x811C9DC5
    for byte in data:
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return "".join(_ALPHABET[ord(digit) % len(_ALPHABET)] for digit in str(value))
