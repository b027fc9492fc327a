"""Bytes of looks come back as they were, whatever their sizes, and need little."""

import random

from analysis.packed_looks import PackedLooks


def kept(*looks: bytes) -> PackedLooks:
    packed = PackedLooks()
    for look in looks:
        packed.add(look)
    return packed


def test_they_come_back_in_order() -> None:
    large = random.Random(1).randbytes(200_000)
    looks = [large, b"", b"checkout", large[:50_000], large[100_000:] + b"more"]
    assert list(kept(*looks)) == looks
    assert list(kept(*reversed(looks))) == [*reversed(looks)]
    assert list(kept()) == []


def test_what_the_first_said_already_needs_little() -> None:
    look = random.Random(2).randbytes(30_000)
    packed = kept(*[look] * 10)
    assert sum(map(len, packed._packed)) < 1.1 * len(look)
