"""What looks leave behind as bytes, kept packed, since one look's bytes are much like another's."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

_DICTIONARY_BYTES_MAX = 32 * 1024
"""Packing looks back no further."""


@dataclass
class PackedLooks:
    """Byte strings in order; the beginning of the first is the dictionary of the others."""

    _packed: list[bytes] = field(default_factory=list)

    def add(self, look: bytes) -> None:
        """Keep one more."""
        packing = zlib.compressobj(zdict=self._dictionary())
        self._packed.append(packing.compress(look) + packing.flush())

    def __len__(self) -> int:
        """How many there are."""
        return len(self._packed)

    def __iter__(self) -> Iterator[bytes]:
        """Give back all of them."""
        dictionary = self._dictionary()
        for index, packed in enumerate(self._packed):
            unpacking = zlib.decompressobj(zdict=dictionary if index else b"")
            yield unpacking.decompress(packed) + unpacking.flush()

    def _dictionary(self) -> bytes:
        return zlib.decompressobj().decompress(self._packed[0], _DICTIONARY_BYTES_MAX) if self._packed else b""
