"""A native histogram as a process exposes it: protobuf, length-delimited, one family with one metric.

Fields are those of `io.prometheus.client` (metrics.proto in github.com/prometheus/client_model).
"""

import math
import struct
from collections import Counter
from collections.abc import Mapping

CONTENT_TYPE = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
HISTOGRAM = 4


class NativeHistogram:
    """Counts what it is shown in buckets that grow by a factor of 2^(2^-schema)."""

    def __init__(self, name: str, schema: int = 3) -> None:
        self._name, self._schema = name, schema
        self._buckets: Counter[int] = Counter()
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count a positive value; bucket i holds what lies in (base^(i-1), base^i]."""
        self._buckets[math.ceil(math.log2(value) * 2**self._schema)] += 1
        self._sum += value

    @property
    def count(self) -> int:
        """Number of values."""
        return self._buckets.total()

    def exposition(self, labels: Mapping[str, str] | None = None) -> bytes:
        """What a scrape gets."""
        pairs = [_field(1, _field(1, key) + _field(2, value)) for key, value in (labels or {}).items()]
        metric = b"".join(pairs) + _field(7, self._histogram())
        family = _field(1, self._name) + _number(3, HISTOGRAM) + _field(4, metric)
        return _varint(len(family)) + family

    def _histogram(self) -> bytes:
        parts = _number(1, self.count) + _double(2, self._sum)
        parts += _number(5, _zigzag(self._schema)) + _double(6, 2.0**-128) + _number(7, 0)
        before, known = 0, 0
        spans, deltas = b"", b""
        for index in sorted(self._buckets):
            # A span of one bucket: its offset is the gap since the last, of the first one its index.
            spans += _field(12, _number(1, _zigzag(index - before)) + _number(2, 1))
            deltas += _number(13, _zigzag(self._buckets[index] - known))
            before, known = index + 1, self._buckets[index]
        return parts + spans + deltas


def _varint(value: int) -> bytes:
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def _zigzag(value: int) -> int:
    return value * 2 if value >= 0 else -value * 2 - 1


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _double(field: int, value: float) -> bytes:
    return _varint(field << 3 | 1) + struct.pack("<d", value)


def _field(field: int, content: str | bytes) -> bytes:
    raw = content.encode() if isinstance(content, str) else content
    return _varint(field << 3 | 2) + _varint(len(raw)) + raw
