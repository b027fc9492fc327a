"""What conditions refuse, and the bounds that keep one from taking the operator's time or memory."""

import re
from typing import Any

import pytest

from analysis.condition import ExprError, evaluate, holds


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("x" * 10_001, "characters at most"),
        ("result # 1", "unexpected"),
        ("99999999999999999999", "too large for an integer"),
        (r'"\q"', "no escape sequence"),
        (r'"\x"', "no escape sequence"),
        (r'"\UFFFFFFFF"', "no escape sequence"),
        ("(" * 300 + "1" + ")" * 300, "nested"),
        ("let", "not supported in conditions"),
        ("answer == 1", "unknown name 'answer'"),
        ("exec(1)", "unknown function 'exec'"),
        ("len()", "takes 1 to 1 arguments, not 0"),
        ("result.1", "unexpected"),
        ("{1: 2, 3}", "unexpected"),
        ("{[1]: 2}", "a key is missing"),
        ("result.(1)", "a field is missing"),
        ("1 2", "unexpected"),
        ("result matches '(a+)+'", "for ever"),
    ],
)
def test_a_condition_that_cannot_be_read_says_why(condition: str, words: str) -> None:
    with pytest.raises(ExprError, match=re.escape(words)):
        holds(condition, "text")


@pytest.mark.parametrize(
    ("condition", "result", "words"),
    [
        ("result + 1 > 0", 2**63 - 1, "integer is too large"),
        ("-result > 0", -(2**63), "integer is too large"),
        ("len(1..1000000) > 0", 0, "items at most"),
        ("result[0] > 0", ["x" * 3], "needed"),
        ("len(take(result, -1)) > 0", [1], "from 0 on"),
        ("len(uniq(map(1..5000, {# * 1}))) > 0", 0, "at most"),
        ("keys(result)[0] == ''", 1, "a map is needed"),
        ("int('x1') > 0", 0, "no integer"),
        ("int(result) > 0", float("nan"), "no integers"),
        ("string(result) + result == ''", {}, "no text"),
        ("result startsWith 'x'", 1, "a string is needed"),
        ("all(result, {# > 0})", 1, "an array is needed"),
        ("result matches 'a'", "a" * 200_000, "characters at most"),
        ("all(1..900, {all(1..900, {all(1..900, {true})})})", 0, "steps"),
    ],
)
def test_a_condition_that_cannot_be_answered_says_why(condition: str, result: Any, words: str) -> None:
    with pytest.raises(ExprError, match=re.escape(words)):
        holds(condition, result)


@pytest.mark.parametrize(
    ("condition", "result", "value"),
    [
        (r'"\x41\u0042\U00000043\104\n"', None, "ABCD\n"),
        ("`raw\\n`", None, "raw\\n"),
        ("0b101 + 0o17 + 0xff", None, 275),
        ("1_000", None, 1000),
        ("{a: 1, 'b': 2, 3: 4,}", None, {"a": 1, "b": 2, "3": 4}),
        ("[1, 2,]", None, [1, 2]),
        ("result?.a?.b", {"a": None}, None),
        ("result?.['a']", {"a": 1}, 1),
        ("result[1:]", [1, 2, 3], [2, 3]),
        ("result[:-1]", [1, 2, 3], [1, 2]),
        ("result[1:2]", [1, 2, 3], [2]),
        ("-7 % 3", None, -1),
        ("2 ** 3", None, 8.0),
        ("10 ** 400", None, float("inf")),
        ("(0 - 10) ** 401", None, float("-inf")),
        ("0 ** -1", None, float("inf")),
        ("'a' in result", {"a": 1}, True),
        ("2 in result", [1, 2], True),
        ("'a' in result", None, False),
        ("concat([1], [2])", None, [1, 2]),
        ("flatten([1, [2, [3]]])", None, [1, 2, 3]),
        ("+result", 1.5, 1.5),
        ("'abc' contains 'b' and 'abc' endsWith 'c' and 'abc' matches '^a'", None, True),
    ],
)
def test_a_condition_has_the_value_that_expr_lang_gives(condition: str, result: Any, value: Any) -> None:
    assert evaluate(condition, result) == value
