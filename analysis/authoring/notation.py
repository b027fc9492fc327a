"""Series as promtool's unit tests write them: `http_requests_total{pod="a"}` with the values `0+10x80 _ 5`."""

import re
from collections.abc import Iterator

import numpy as np

from analysis.authoring.selector import parse_selector
from analysis.errors import InvalidSpec
from analysis.series.raw import RawSeries, labels_of

MAX_SAMPLES = 20_000
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?Inf|NaN"
_EXPANDED = re.compile(rf"({_NUMBER})([+-](?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)x(\d+)")
_REPEATED = re.compile(rf"({_NUMBER}|_)x(\d+)")
_PLAIN = re.compile(rf"{_NUMBER}|_|stale")


def parse_series(text: str, values: str, first: float, interval_seconds: float, field: str) -> RawSeries:
    """Return one series.

    `a+bxn` is a and n more values, each larger by b; `axn` is a and n more of it; `_` is a scrape that is missing, and
    `stale` the end of a series, which a missing scrape is too.

    Args:
        text: name and labels, all with `=`.
        values: separated by spaces.
        first: epoch seconds of the first value.
        interval_seconds: time between values.
        field: for messages.

    Raises:
        InvalidSpec: it is none, or has more than 20,000 values.
    """
    selector = parse_selector(text, field)
    if any(matcher.operator != "=" for matcher in selector.matchers):
        raise InvalidSpec(field, "has a condition that is no label", 'write labels like pod="web-1"')
    numbers = list(expanded(values, field))
    known = [(first + index * interval_seconds, number) for index, number in enumerate(numbers) if number is not None]
    labels = labels_of({matcher.label: matcher.value for matcher in selector.matchers})
    times = np.asarray([moment for moment, _ in known], dtype=np.float64)
    return RawSeries(labels, times, np.asarray([number for _, number in known], dtype=np.float64))


def expanded(values: str, field: str) -> Iterator[float | None]:
    """Yield the values of a notation, None where a scrape is missing; raises InvalidSpec."""
    count = 0
    for word in values.split():
        for number in _word(word, field):
            count += 1
            if count > MAX_SAMPLES:
                raise InvalidSpec(field, f"has more than {MAX_SAMPLES} values", "write fewer")
            yield number


def _word(word: str, field: str) -> Iterator[float | None]:
    if found := _EXPANDED.fullmatch(word):
        start, step, count = float(found[1]), float(found[2]), _bounded(found[3], field)
        yield from (start + step * index for index in range(count + 1))
    elif found := _REPEATED.fullmatch(word):
        # A missing scrape is repeated so many times; promtool counts numbers once more.
        count = _bounded(found[2], field)
        yield from [None] * count if found[1] == "_" else [float(found[1])] * (count + 1)
    elif _PLAIN.fullmatch(word):
        yield None if word in {"_", "stale"} else float(word)
    else:
        raise InvalidSpec(field, f"{word[:40]!r} is no value", "write values like 0+10x80, 3x5, _ or 7")


def _bounded(text: str, field: str) -> int:
    if len(text) > 6 or int(text) > MAX_SAMPLES:
        raise InvalidSpec(field, f"has more than {MAX_SAMPLES} values", "write fewer")
    return int(text)
