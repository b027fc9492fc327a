"""PromQL's vector selectors, such as `http_requests_total{code=~"5.."}`: read, matched, and refused with a remedy.

The engine adds the range and takes differences itself, so nothing else of PromQL may stand in a comparison.
"""

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from analysis.errors import InvalidSpec

MAX_TEXT = 65536
Operator = Literal["=", "!=", "=~", "!~"]

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:.]*")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_OPERATOR = re.compile(r"=~|!~|!=|=")
_STRING = re.compile(r'"((?:[^"\\\n]|\\.)*)"|\'((?:[^\'\\\n]|\\.)*)\'|`([^`]*)`')
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'"}
_SPACE = re.compile(r"\s*")
_TAG = re.compile(r"\{\{[^{}]*\}\}")
# Prometheus matches in linear time and Python does not, so that texts are cut where an author's machine matches.
_LABEL_MAX = 512


@dataclass(frozen=True)
class Matcher:
    """One condition on a label; an absent label is an empty one."""

    label: str
    operator: Operator
    value: str

    def accepts(self, labels: Mapping[str, str]) -> bool:
        """Whether a series passes; raises re.error for an expression that is none."""
        text = labels.get(self.label, "")
        if self.operator in {"=", "!="}:
            return (text == self.value) is (self.operator == "=")
        found = _expression(self.value).fullmatch(text[:_LABEL_MAX]) is not None
        return found is (self.operator == "=~")


@dataclass(frozen=True)
class Selector:
    """A vector selector; the metric's name is a matcher of `__name__`."""

    matchers: tuple[Matcher, ...]

    @property
    def name(self) -> str:
        """The metric's name; empty where it is matched by an expression or not at all."""
        return next((m.value for m in self.matchers if m.label == "__name__" and m.operator == "="), "")

    def of(self, label: str) -> tuple[Matcher, ...]:
        """The conditions on one label."""
        return tuple(matcher for matcher in self.matchers if matcher.label == label)

    def accepts(self, labels: Mapping[str, str]) -> bool:
        """Whether a series passes all conditions; raises re.error as `Matcher.accepts` does."""
        return all(matcher.accepts(labels) for matcher in self.matchers)

    def without(self, label: str) -> "Selector":
        """The same without conditions on one label."""
        return Selector(tuple(matcher for matcher in self.matchers if matcher.label != label))

    def with_matcher(self, matcher: Matcher) -> "Selector":
        """The same with one more condition."""
        return Selector((*self.matchers, matcher))

    def __str__(self) -> str:
        """As PromQL."""
        inner = ", ".join(f'{_quoted_label(m.label)}{m.operator}"{_escaped(m.value)}"' for m in self.matchers)
        return f"{{{inner}}}"


def parse_selector(text: str, field: str) -> Selector:
    """Return a vector selector; raises InvalidSpec with what to write instead."""
    if len(text) > MAX_TEXT:
        raise InvalidSpec(field, f"is longer than {MAX_TEXT} characters")
    reader = _Reader(text, field)
    matchers: list[Matcher] = []
    name = reader.take(_NAME)
    if name:
        _refuse_words(name, reader)
        matchers.append(Matcher("__name__", "=", name))
    if reader.take_text("{"):
        matchers += _matchers(reader)
    elif not name:
        raise InvalidSpec(field, "is no vector selector", 'write it like requests_total{code=~"5.."}')
    _refuse_rest(reader)
    if not matchers:
        raise InvalidSpec(field, "selects everything", "write the metric's name")
    return Selector(tuple(matchers))


def _matchers(reader: "_Reader") -> list[Matcher]:
    found: list[Matcher] = []
    while not reader.take_text("}"):
        quoted = reader.take_string()
        label = quoted if quoted is not None else reader.take(_LABEL)
        if not label:
            raise reader.wrong("a label is missing", 'write matchers like code=~"5.."')
        operator = reader.take(_OPERATOR)
        if not operator and quoted is not None and not any(m.label == "__name__" for m in found):
            # A name in quotes, as Prometheus 3 has it.
            found.append(Matcher("__name__", "=", quoted))
        else:
            found.append(_matcher(reader, label, operator))
        if not reader.take_text(",") and not reader.ahead("}"):
            raise reader.wrong("a comma or } is missing", "separate matchers by commas")
    return found


def _matcher(reader: "_Reader", label: str, operator: str) -> Matcher:
    if not operator:
        raise reader.wrong(f"{label} has no operator", 'write matchers like code=~"5.."')
    value = reader.take_string()
    if value is None:
        raise reader.wrong(f"the value of {label} is not in quotes", 'write matchers like code=~"5.."')
    if operator in {"=~", "!~"}:
        try:
            _expression(_TAG.sub("tag", value))
        except re.error as error:
            raise InvalidSpec(reader.field, f"{value!r} is no regular expression: {error}", "mend it") from error
    return Matcher(label, operator, value)  # type: ignore[arg-type]  # The expression admits no other.


@functools.lru_cache(maxsize=512)
def _expression(text: str) -> re.Pattern[str]:
    return re.compile(text, re.DOTALL)


def _refuse_words(name: str, reader: "_Reader") -> None:
    if reader.ahead("(") or name in {"sum", "rate", "increase", "by", "without"}:
        remedy = "the engine takes differences, rates and sums itself"
        raise InvalidSpec(reader.field, f"{name}() stands around the selector", f"write the series alone: {remedy}")


def _refuse_rest(reader: "_Reader") -> None:
    rest = reader.rest
    if not rest:
        return
    if rest.startswith("["):
        raise InvalidSpec(reader.field, f"has the range {rest[:20]}", "remove it: the engine adds the range")
    if rest.startswith(("offset", "@")):
        raise InvalidSpec(reader.field, f"moves in time by {rest[:20]!r}", "remove it: both arms are compared now")
    raise InvalidSpec(reader.field, f"goes on with {rest[:20]!r}", "write one vector selector and nothing beside it")


class _Reader:
    """A position in a text; what is taken may have spaces before it."""

    def __init__(self, text: str, field: str) -> None:
        self.field = field
        self._text, self._at = text, 0

    @property
    def rest(self) -> str:
        return self._text[self._at :].strip()

    def take(self, expression: re.Pattern[str]) -> str:
        """Take what matches; empty where nothing does."""
        found = expression.match(self._text, self._skipped())
        if found is None:
            return ""
        self._at = found.end()
        return found[0]

    def take_text(self, text: str) -> bool:
        if not self.ahead(text):
            return False
        self._at = self._skipped() + len(text)
        return True

    def take_string(self) -> str | None:
        """Take a string in quotes, unescaped; None where none is ahead."""
        found = _STRING.match(self._text, self._skipped())
        if found is None:
            return None
        self._at = found.end()
        raw = found[3]
        return raw if raw is not None else _unescaped(found[1] if found[1] is not None else found[2])

    def ahead(self, text: str) -> bool:
        return self._text.startswith(text, self._skipped())

    def wrong(self, problem: str, remedy: str) -> InvalidSpec:
        near = self.rest[:20]
        return InvalidSpec(self.field, f"{problem} before {near!r}" if near else f"{problem} at its end", remedy)

    def _skipped(self) -> int:
        found = _SPACE.match(self._text, self._at)
        return found.end() if found else self._at


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[0]), text)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _quoted_label(label: str) -> str:
    return label if _LABEL.fullmatch(label) else f'"{_escaped(label)}"'
