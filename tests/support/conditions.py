"""Conditions to ask expr-lang and ourselves: a table, and a seeded grammar."""

import json
import math
import random
from typing import Any

from analysis.condition import ExprError, evaluate

NAN, INF = math.nan, math.inf

# Each with the result it sees; the first block is what Argo's users write.
TABLE: list[tuple[str, Any]] = [
    ("result[0] >= 0.95", [0.97]),
    ("result[0] >= 0.95", [0.5]),
    ("result[0] >= 0.95", [1]),
    ("result[0] > 1", [2]),
    ("len(result) == 0 || isNaN(result[0])", []),
    ("len(result) == 0 || isNaN(result[0])", [NAN]),
    ("len(result) == 0 || isNaN(result[0])", [1.0]),
    ("all(result, {# > 1})", [2, 3]),
    ("all(result, {# > 1})", [2, 0.5]),
    ("any(result, # > 1)", [0, 2.0]),
    ("all(result, # >= 0.5 && # < 10)", [1, 2.5]),
    ("default(result, 0) == 0", None),
    ("default(result, 0) < 5", 3),
    ("asFloat(result) < 1", "0.5"),
    ("asInt(result) > 1", "2"),
    ('result == "ok"', "ok"),
    ("result.code == 200", {"code": 200}),
    ("result.latency < 0.5 && result.ok", {"latency": 0.1, "ok": True}),
    ("isInf(result)", INF),
    ("isNil(result)", None),
    ("result >= 0.95", 0.97),
    ("result >= 1", 0.97),
    ("result < 5", 3.0),
    ("result[0] >= 0.9 and result[1] <= 10", [0.95, 5]),
    ("not (result[0] > 1)", [0]),
    ("result[0] in [1,2]", [1]),
    ("len(filter(result, # > 1)) >= 2", [2, 3, 0]),
    ("sum(result) / len(result) > 1.5", [1, 3]),
    ("count(result, # > 0) == 2", [1, 2, 0]),
    ('result matches "^ok"', "okay"),
    ('result contains "k"', "ok"),
    ("result[0] != nil && result[0] > 0", [1]),
    ("result?.missing ?? 0 == 0", {}),
    ("result[-1] > 2", [1, 3]),
    ("abs(result[0]) > 1 ? true : false", [-2]),
    # Errors.
    ("result[0] > 1", []),
    ("result[5]", [1, 2]),
    ("result > 1", "text"),
    ("result > 1", None),
    ("result.a.b", {"a": None}),
    ("true && result", 1),
    ("5 % 0", None),
    ("1 + 'a'", None),
    ("'a' == 1", None),
    ("unknown > 1", None),
    ("nope(result)", None),
    ("len(5)", None),
    ("all(5, # > 1)", None),
    ("all(result, 1)", [1]),
    ("result in 5", 1),
    ("1 <", None),
    ("(1", None),
    ("", None),
    ("asInt('x')", None),
    ("result % 2", 3),
    # Numbers.
    ("1 / 0", None),
    ("-1 / 0", None),
    ("0 / 0", None),
    ("7 % 3", None),
    ("-7 % 3", None),
    ("2 ** 10", None),
    ("2 ^ 0.5", None),
    ("-2 ** 2", None),
    ("2 ** 3 ** 2", None),
    ("0x10 + 0b11 + 0o17", None),
    ("1_000 + .5 + 1e3", None),
    ("round(2.5) + round(-2.5) + ceil(1.2) + floor(-1.2)", None),
    ("int(3.9) + int('4')", None),
    ("float('1.5') + float(2)", None),
    ("abs(-3) + abs(-1.5)", None),
    ("max(1, 2.5, -3)", None),
    ("min([4, 2, 8], 3)", None),
    ("mean([1, 2, 4])", None),
    ("median([1, 9, 4, 6])", None),
    ("sum([1, 2.5])", None),
    ("sum([])", None),
    ("mean([])", None),
    ("max(result)", [NAN, 1]),
    # Comparisons, logic, choice.
    ("1 < 2 < 3", None),
    ("3 > 2 > 2", None),
    ("1 == 1.0", None),
    ("[1, 2] == [1.0, 2.0]", None),
    ("result == [1, 2]", [1, 2]),
    ("nil == nil", None),
    ("result == nil", None),
    ("result != nil", 0),
    ("true || 1 / 0 > 1", None),
    ("false && result.x > 1", None),
    ("not true || true", None),
    ("!true == false", None),
    ("1 in [1, 2] and not (3 in [1])", None),
    ("3 not in [1, 2]", None),
    ("'a' in {a: 1}", None),
    ("'b' in {'a': 1}", None),
    ("1 in nil", None),
    ("result ?: 5", 0),
    ("true ? 1 : 2", None),
    ("false ? 1 : true ? 2 : 3", None),
    ("result ?? 7", None),
    ("result ?? 7", 1),
    ("nil ?? 1 + 1", None),
    ("true || nil ?? false", None),
    # Strings.
    ("'a' + \"b\" + `c`", None),
    ("'ab' startsWith 'a' && 'ab' endsWith 'b'", None),
    ("'ab' not contains 'c'", None),
    ("'a' < 'b'", None),
    ("len('abc') + len([1]) + len({a: 1})", None),
    ("upper('a') + lower('B') + trim('  c ')", None),
    ("trimPrefix('abc', 'a') + trimSuffix('abc', 'c')", None),
    ("hasPrefix('abc', 'a') && hasSuffix('abc', 'c')", None),
    ("indexOf('abcb', 'b')", None),
    ("split('a,b,c', ',')", None),
    ("join(['a', 'b'], '-') + join(['c'])", None),
    ("string(1) + string(1.5) + string(true) + string(nil)", None),
    ("string(1e21) + string(123456789.0) + string(0.00001) + string(1e20)", None),
    ("'\\u0041\\n\\x41'", None),
    ("result matches '[0-9]+$'", "code 500"),
    ("'abc'[1:2] + 'abc'[:-1]", None),
    # Arrays and maps.
    ("[1, 2, 3][1:]", None),
    ("[1, 2, 3][-1]", None),
    ("[1, 2, 3][:-1]", None),
    ("1..4", None),
    ("{a: 1, 'b': 2}.b", None),
    ("{a: 1}['c']", None),
    ("result.items[0].name", {"items": [{"name": "x"}]}),
    ("result?.a?.b", {"a": None}),
    ("result?.a.b", None),
    ("map(result, # * 2)", [1, 2]),
    ("map(result, .v)", [{"v": 1}, {"v": 2}]),
    ("filter(result, .v > 1)", [{"v": 1}, {"v": 2}]),
    ("find(result, # > 1)", [1, 2, 3]),
    ("find(result, # > 9)", [1]),
    ("findIndex(result, # > 1)", [1, 2, 3]),
    ("findLast(result, # < 3)", [1, 2, 3]),
    ("findLastIndex(result, # < 3)", [1, 2, 3]),
    ("none(result, # > 5)", [1, 2]),
    ("one(result, # > 1)", [1, 2]),
    ("count([true, false, true])", None),
    ("sum(result, .v)", [{"v": 1}, {"v": 2}]),
    ("first(result) + last(result)", [1, 2]),
    ("first([])", None),
    ("get(result, 'x')", {"x": 1}),
    ("get([1, 2], 5)", None),
    ("take([1, 2, 3], 2)", None),
    ("reverse([1, 2])", None),
    ("uniq([1, 2, 1])", None),
    ("concat([1], [2, 3])", None),
    ("flatten([1, [2, [3]]])", None),
    ("keys({a: 1})", None),
    ("values({a: 1})", None),
    ("type(1) + type(1.5) + type('') + type([]) + type(nil) + type({}) + type(true)", None),
    ("all(result, all(#, # > 0))", [[1], [2, 3]]),
    ("1 /* comment */ + 2 // end", None),
]


def differs_on_purpose(expression: str, result: Any) -> bool:
    """Where we refuse what expr-lang lets pass by accident; each is an error with us.

    A predicate over a map works in expr-lang while `#` is not looked at; `min` and `max` give a lone string
    back; a byte of a string wraps around when negated.
    """
    if isinstance(result, dict):
        return "result" in expression.replace("result?.a", "").replace("result.a", "").replace("result == nil", "")
    return isinstance(result, str) and ("min(" in expression or "max(" in expression or "-result[" in expression)


_RESULTS: list[Any] = [0.0, 1.5, -2.0, [1.0, 2.0, 3.0], [], [0.5], "ok", "12", None, {"a": 1.0, "b": [1.0]}, True, NAN]


def generated(count: int, seed: int) -> list[tuple[str, Any]]:
    """Conditions of a seeded grammar; most fit their result, some fail on purpose."""
    grammar = _Grammar(random.Random(seed))
    pairs: list[tuple[str, Any]] = []
    while len(pairs) < count:
        pair = (grammar.boolean(4), grammar.random.choice(_RESULTS))
        if not differs_on_purpose(*pair):
            pairs.append(pair)
    return pairs


class _Grammar:
    def __init__(self, source: random.Random) -> None:
        self.random = source
        self.inside = 0

    def boolean(self, depth: int) -> str:
        n, b, s = self.number, self.boolean, self.string
        if depth <= 0:
            return self.random.choice(["0 < 1", "1 < 0", "result == nil", "result != nil"])
        d = depth - 1
        return self.random.choice(
            [
                lambda: f"{n(d)} {self.random.choice(['<', '<=', '>', '>=', '==', '!='])} {n(d)}",
                lambda: f"{n(d)} < {n(d)} <= {n(d)}",
                lambda: f"({b(d)}) {self.random.choice(['&&', '||', 'and', 'or', '==', '!='])} ({b(d)})",
                lambda: f"{b(d)} && {b(d)} || {b(d)}",
                lambda: f"!({b(d)})",
                lambda: f"not ({b(d)})",
                lambda: f"({b(d)} ? {b(d)} : {b(d)})",
                lambda: f"{s(d)} {self.random.choice(['contains', 'startsWith', 'endsWith', '==', '!=', '<'])} {s(d)}",
                lambda: f"{n(d)} {self.random.choice(['in', 'not in'])} {self.array(d)}",
                lambda: f"{self.random.choice(['all', 'any', 'none', 'one'])}({self.array(d)}, {self._predicate(d)})",
                lambda: f"isNil({n(d)})",
                lambda: f"isNaN(float({n(d)}))",
                lambda: f"{self.array(d)} == {self.array(d)}",
            ]
        )()

    def _predicate(self, depth: int) -> str:
        self.inside += 1
        body = self.boolean(depth)
        self.inside -= 1
        return f"{{{body}}}" if self.random.random() < 0.5 else body

    def number(self, depth: int) -> str:
        n = self.number
        if depth <= 0:
            leaves = ["0", "1", "2", "7", "0.5", "1.5", "1e2", "result", "len([1, 2])", "0x1F", "-3"]
            return self.random.choice([*leaves, "#", "#"] if self.inside else leaves)
        d = depth - 1
        return self.random.choice(
            [
                lambda: f"{n(d)} {self.random.choice(['+', '-', '*', '/'])} {n(d)}",
                lambda: f"({n(d)} {self.random.choice(['+', '-', '*', '/', '**'])} {n(d)})",
                lambda: f"-{n(d)}",
                lambda: f"({self.random.randint(-9, 9)} % {self.random.randint(1, 4)})",
                lambda: f"{self.random.choice(['abs', 'ceil', 'floor', 'round', 'asFloat', 'float'])}({n(d)})",
                lambda: f"{self.random.choice(['max', 'min'])}({n(d)}, {n(d)})",
                lambda: f"{self.random.choice(['sum', 'mean', 'median', 'len', 'max', 'min'])}({self.array(d)})",
                lambda: f"default(result, {n(d)})",
                lambda: f"(result ?? {n(d)})",
                lambda: f"({self.boolean(d)} ? {n(d)} : {n(d)})",
                lambda: f"{self.array(d)}[{self.random.randint(-2, 2)}]",
                lambda: f"count({self.array(d)}, {self._predicate(d)})",
                lambda: "result[0]",
                lambda: "result.a",
                lambda: "(result?.a ?? 1)",
                lambda: n(d),
            ]
        )()

    def string(self, depth: int) -> str:
        s = self.string
        if depth <= 0:
            return self.random.choice(["'ok'", '"k"', "`a`", "''", "result", "'12'"])
        d = depth - 1
        return self.random.choice(
            [
                lambda: f"({s(d)} + {s(d)})",
                lambda: f"upper({s(d)})",
                lambda: f"trim({s(d)})",
                lambda: f"string({self.random.randint(0, 99)})",
                lambda: f"{s(d)}[:1]",
                lambda: f"type({self.number(d)})",
                lambda: s(d),
            ]
        )()

    def array(self, depth: int) -> str:
        n = self.number
        if depth <= 0:
            return self.random.choice(["[1, 2, 3]", "[]", "result", "[0.5, 2]", "1..3"])
        d = depth - 1
        return self.random.choice(
            [
                lambda: f"[{n(d)}, {n(d)}]",
                lambda: f"filter({self.array(d)}, {self._predicate(d)})",
                lambda: f"({self.array(d)})[1:]",
                lambda: f"reverse({self.array(d)})",
                lambda: f"concat({self.array(d)}, [1])",
                lambda: self.array(d),
            ]
        )()


def encoded(value: Any) -> Any:
    """Floats by their text, so that NaN and Inf survive JSON."""
    match value:
        case bool() | None | str():
            return value
        case int() | float():
            return {"$float": "NaN" if math.isnan(value) else str(float(value)).replace("inf", "Inf")}
        case list():
            return [encoded(item) for item in value]
        case _:
            return {key: encoded(item) for key, item in value.items()}


def question(expression: str, result: Any) -> str:
    """One line for the Go program."""
    return json.dumps({"expr": expression, "result": encoded(result)})


def floats(result: Any) -> Any:
    """The result with floats only, as JSON numbers are in Go."""
    match result:
        case bool() | None | str():
            return result
        case int() | float():
            return float(result)
        case list():
            return [floats(item) for item in result]
        case _:
            return {key: floats(item) for key, item in result.items()}


def ours(expression: str, result: Any) -> tuple[str, Any]:
    """What we answer: ("value", it) or ("error", why)."""
    try:
        return "value", evaluate(expression, floats(result))
    except ExprError as error:
        return "error", str(error)


def theirs(answer: dict[str, Any]) -> tuple[str, Any]:
    """What expr-lang answered, in the same form."""
    if "error" in answer:
        return "error", answer["error"]
    return "value", _decoded(answer["value"])


def _decoded(value: Any) -> Any:
    match value:
        case {"$float": text}:
            return float(text)
        case list():
            return [_decoded(item) for item in value]
        case dict():
            return {key: _decoded(item) for key, item in value.items()}
        case _:
            return value


def same(a: tuple[str, Any], b: tuple[str, Any]) -> bool:
    """Both are errors, or equal values of the same kind."""
    return a[0] == b[0] and (a[0] == "error" or _same_value(a[1], b[1]))


def _same_value(a: Any, b: Any) -> bool:
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_same_value, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return (math.isnan(a) and math.isnan(b)) or a == b or math.isclose(a, b, rel_tol=1e-15)
    return type(a) is type(b) and a == b
