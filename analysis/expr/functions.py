"""The functions of conditions: Argo's seven, and those of expr-lang's builtins that make sense on a result."""

import math
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from analysis.expr.nodes import Value
from analysis.expr.tokens import ExprError
from analysis.expr.values import (
    array,
    boolean,
    bounded,
    element,
    equal,
    integer,
    number,
    shown,
    text,
    type_name,
)


@dataclass(frozen=True)
class Function:
    """A function of plain arguments: how many it takes, and what it does."""

    arguments: tuple[int, int]
    apply: Callable[..., Value]


def _as_float(value: Value) -> float:
    if isinstance(value, str):
        try:
            return float(value.replace("_", "x"))
        except ValueError as error:
            raise ExprError(f"{value[:64]!r} is no number") from error
    return float(number(value))


def _as_int(value: Value) -> int:
    if isinstance(value, str):
        try:
            return int(bounded(int(value.strip("\n").replace("_", "x").replace(" ", "x"))))
        except ValueError as error:
            raise ExprError(f"{value[:64]!r} is no integer") from error
    if not math.isfinite(number(value)):
        raise ExprError("NaN and Inf are no integers")
    return int(bounded(int(number(value))))


def _is_nan(value: Value) -> bool:
    return math.isnan(_real(value))


def _is_inf(value: Value) -> bool:
    return math.isinf(_real(value))


def _real(value: Value) -> float:
    # Argo's isNaN and isInf take a float64; expr-lang converts no integer for them at run time.
    if not isinstance(value, float):
        raise ExprError(f"a float is needed, not {type_name(value)}")
    return value


def _length(value: Value) -> int:
    if not isinstance(value, str | list | dict):
        raise ExprError(f"{type_name(value)} has no length")
    return len(value)


def _numbers(values: Iterable[Value]) -> list[int | float]:
    found: list[int | float] = []
    for value in values:
        found += _numbers(array(value)) if isinstance(value, list) else [number(value)]
    return found


def _extreme(better: Callable[[Any, Any], bool]) -> Callable[..., Value]:
    def apply(*values: Value) -> Value:
        best: int | float | None = None
        for candidate in _numbers(values):
            if best is None or better(candidate, best):
                best = candidate
        return best

    return apply


def _sum(values: Value) -> Value:
    total: Value = 0
    for value in array(values):
        total = bounded(number(total) + number(value))
    return total


def _mean(*values: Value) -> Value:
    found = _numbers(values)
    return math.fsum(found) / len(found) if found else 0.0


def _median(*values: Value) -> Value:
    found = sorted(_numbers(values))
    return float(statistics.median(found)) if found else 0.0


def _round(value: Value) -> float:
    exact = float(number(value))
    # Go rounds halves away from zero.
    return math.copysign(math.floor(abs(exact) + 0.5), exact) if abs(exact) < 2**52 else exact


def _whole(function: Callable[[float], int]) -> Callable[[Value], Value]:
    def apply(value: Value) -> Value:
        exact = float(number(value))
        return float(function(exact)) if math.isfinite(exact) else exact

    return apply


def _get(base: Value, key: Value) -> Value:
    try:
        return element(base, key)
    except ExprError:
        return None


def _join(values: Value, separator: Value = "") -> Value:
    return text(separator).join(text(value) for value in array(values))


def _unique(values: Value) -> Value:
    kept: list[Value] = []
    for value in array(values):
        if not any(equal(value, known) for known in kept):
            kept.append(value)
        if len(kept) > 1000:
            raise ExprError("uniq looks at 1000 different values at most")
    return kept


def _flat(values: Value) -> Value:
    flat: list[Value] = []
    for value in array(values):
        flat += array(_flat(value)) if isinstance(value, list) else [value]
    return flat


def _concat(*arrays: Value) -> Value:
    return [value for values in arrays for value in array(values)]


def _take(values: Value, count: Value) -> Value:
    if integer(count) < 0:
        raise ExprError("take needs a number from 0 on")
    return array(values)[: integer(count)]


def _map_of(value: Value) -> dict[str, Value]:
    if not isinstance(value, dict):
        raise ExprError(f"a map is needed, not {type_name(value)}")
    return value


def _split(value: Value, separator: Value) -> Value:
    parts = list(text(value)) if text(separator) == "" else text(value).split(text(separator))
    return [*parts]


_ANY_NUMBER = 100

FUNCTIONS: dict[str, Function] = {
    "asFloat": Function((1, 1), _as_float),
    "asInt": Function((1, 1), _as_int),
    "isNaN": Function((1, 1), _is_nan),
    "isInf": Function((1, 1), _is_inf),
    "isNil": Function((1, 1), lambda value: value is None),
    "default": Function((2, 2), lambda value, other: other if value is None else value),
    "len": Function((1, 1), _length),
    "type": Function((1, 1), type_name),
    "abs": Function((1, 1), lambda value: bounded(abs(number(value)))),
    "ceil": Function((1, 1), _whole(math.ceil)),
    "floor": Function((1, 1), _whole(math.floor)),
    "round": Function((1, 1), _round),
    "int": Function((1, 1), _as_int),
    "float": Function((1, 1), _as_float),
    "string": Function((1, 1), shown),
    "max": Function((1, _ANY_NUMBER), _extreme(lambda a, b: a > b)),
    "min": Function((1, _ANY_NUMBER), _extreme(lambda a, b: a < b)),
    "sum": Function((1, 1), _sum),
    "mean": Function((1, _ANY_NUMBER), _mean),
    "median": Function((1, _ANY_NUMBER), _median),
    "first": Function((1, 1), lambda values: next(iter(array(values)), None)),
    "last": Function((1, 1), lambda values: next(reversed(array(values)), None)),
    "get": Function((2, 2), _get),
    "take": Function((2, 2), _take),
    "keys": Function((1, 1), lambda value: [*sorted(_map_of(value))]),
    "values": Function((1, 1), lambda value: [_map_of(value)[key] for key in sorted(_map_of(value))]),
    "reverse": Function((1, 1), lambda values: array(values)[::-1]),
    "uniq": Function((1, 1), _unique),
    "flatten": Function((1, 1), _flat),
    "concat": Function((1, _ANY_NUMBER), _concat),
    "join": Function((1, 2), _join),
    "split": Function((2, 2), _split),
    "trim": Function((1, 1), lambda value: text(value).strip()),
    "trimPrefix": Function((2, 2), lambda value, prefix: text(value).removeprefix(text(prefix))),
    "trimSuffix": Function((2, 2), lambda value, suffix: text(value).removesuffix(text(suffix))),
    "lower": Function((1, 1), lambda value: text(value).lower()),
    "upper": Function((1, 1), lambda value: text(value).upper()),
    "hasPrefix": Function((2, 2), lambda value, prefix: text(value).startswith(text(prefix))),
    "hasSuffix": Function((2, 2), lambda value, suffix: text(value).endswith(text(suffix))),
    "indexOf": Function((2, 2), lambda value, part: text(value).find(text(part))),
}


def _all(values: Iterable[Value]) -> Value:
    return all(boolean(value) for value in values)


def _any(values: Iterable[Value]) -> Value:
    return any(boolean(value) for value in values)


def _none(values: Iterable[Value]) -> Value:
    return not any(boolean(value) for value in values)


def _count(values: Iterable[Value]) -> int:
    return sum(boolean(value) for value in values)


def _one(values: Iterable[Value]) -> Value:
    return _count(values) == 1


PREDICATES: dict[str, Callable[[Iterable[Value]], Value] | None] = {
    "all": _all,
    "any": _any,
    "none": _none,
    "one": _one,
    "count": _count,
    "map": lambda values: [*values],
    "sum": lambda values: _sum([*values]),
    # These four need the elements beside the answers: see analysis.expr.evaluate.
    "filter": None,
    "find": None,
    "findIndex": None,
    "findLast": None,
    "findLastIndex": None,
}
