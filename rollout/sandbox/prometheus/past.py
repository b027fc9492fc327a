"""A past that the sandbox did not live through: counters in the import format of VictoriaMetrics, a line a chunk.

A certificate takes a week of history, and a sandbox lives for minutes. Only raw samples are answered from it; PromQL's
functions do not see it.
"""

import json
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from rollout.errors import CoalmineError

BYTES_MAX = 64 * 1024 * 1024
SERIES_MAX = 1000

Samples = npt.NDArray[np.float64]
"""(samples, 2): milliseconds and values."""
Labels = tuple[tuple[str, str], ...]


class PastRefused(CoalmineError):
    """Lines that are no history, or too much of it."""


class _Line(msgspec.Struct):
    metric: dict[str, str]
    values: list[float]
    timestamps: list[int]


class Past:
    """Series that were imported, in memory and in a file beside the scrapes.

    Args:
        folder: where the file lies.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "past.jsonl"
        self._series: dict[Labels, Samples] = {}
        self._bytes = 0
        if self._path.exists():
            self._take(self._path.read_bytes())

    def add(self, body: bytes) -> None:
        """Keep lines; all of them or none; raises PastRefused."""
        self._take(body)
        with self._path.open("ab") as file:
            file.write(body if body.endswith(b"\n") else body + b"\n")

    def _take(self, body: bytes) -> None:
        if self._bytes + len(body) > BYTES_MAX:
            raise PastRefused(f"at most {BYTES_MAX} bytes of history are kept")
        series = dict(self._series)
        for text in filter(None, body.split(b"\n")):
            labels, samples = _read(text)
            before = series.get(labels)
            series[labels] = samples if before is None else np.concatenate([before, samples])
            if not bool(np.all(np.diff(series[labels][:, 0]) > 0)):
                raise PastRefused(f"samples of {dict(labels)} are not in order")
        if len(series) > SERIES_MAX:
            raise PastRefused(f"at most {SERIES_MAX} series of history are kept")
        self._series, self._bytes = series, self._bytes + len(body)

    def select(self, matchers: Sequence[Any], after_ms: int, until_ms: int) -> list[tuple[dict[str, str], Samples]]:
        """Return labels and samples in (after, until] of the series that all matchers of PromQL accept."""
        tests = [_test(matcher) for matcher in matchers]
        found = []
        for key, samples in self._series.items():
            labels = dict(key)
            low, high = np.searchsorted(samples[:, 0], [after_ms, until_ms], side="right")
            if high > low and all(test(labels) for test in tests):
                found.append((labels, samples[low:high]))
        return found


def _read(text: bytes) -> tuple[Labels, Samples]:
    try:
        line = msgspec.json.decode(text, type=_Line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PastRefused(f"this is no line of an import: {error}") from error
    if len(line.values) != len(line.timestamps) or not line.values or not all(map(math.isfinite, line.values)):
        raise PastRefused("a line has as many finite values as timestamps, and at least one")
    samples = np.stack([np.array(line.timestamps, dtype=np.float64), np.array(line.values)], axis=1)
    return tuple(sorted(line.metric.items())), samples


def _test(matcher: Any) -> Callable[[dict[str, str]], bool]:
    name, wanted = matcher.name, matcher.value
    if matcher.operator in ("=~", "!~"):
        pattern = re.compile(wanted)
        return lambda labels: (pattern.fullmatch(labels.get(name, "")) is not None) == (matcher.operator == "=~")
    return lambda labels: (labels.get(name, "") == wanted) == (matcher.operator == "=")


def line_of(metric: dict[str, str], times_ms: Samples, values: Samples) -> bytes:
    """Return a line of an import."""
    line = {"metric": metric, "values": values.tolist(), "timestamps": np.rint(times_ms).astype(int).tolist()}
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"
