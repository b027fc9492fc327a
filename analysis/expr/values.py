"""Operators on values, with Go's ideas of numbers, equality and text."""

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from analysis.expr.nodes import Value
from analysis.expr.tokens import ExprError
from analysis.patterns import MAX_TEXT, MAX_TEXT_QUANTIFIERS, compiled

_INT_LIMIT = 2**63
MAX_ITEMS = 100_000
# Go writes a float with an exponent from here on, and below 1e-04.
_GO_EXPONENT = 6


def type_name(value: Value) -> str:
    """Return the name of a value's type, as expr-lang's `type` gives it."""
    match value:
        case None:
            return "nil"
        case bool():
            return "bool"
        case int():
            return "int"
        case float():
            return "float"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "map"


def boolean(value: Value) -> bool:
    """Return the value where it is a bool; raises ExprError."""
    if not isinstance(value, bool):
        raise ExprError(f"a bool is needed, not {type_name(value)}")
    return value


def number(value: Value) -> int | float:
    """Return the value where it is a number; raises ExprError."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ExprError(f"a number is needed, not {type_name(value)}")
    return value


def integer(value: Value) -> int:
    """Return the value where it is an int; raises ExprError."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ExprError(f"an integer is needed, not {type_name(value)}")
    return value


def text(value: Value) -> str:
    """Return the value where it is a string; raises ExprError."""
    if not isinstance(value, str):
        raise ExprError(f"a string is needed, not {type_name(value)}")
    return value


def array(value: Value) -> list[Value]:
    """Return the value where it is an array of bounded length; raises ExprError."""
    if not isinstance(value, list):
        raise ExprError(f"an array is needed, not {type_name(value)}")
    if len(value) > MAX_ITEMS:
        raise ExprError(f"an array may have {MAX_ITEMS} items at most")
    return value


def bounded(value: float) -> int | float:
    """Return a number; raises ExprError where an int leaves the 64 bits that Go gives it."""
    if isinstance(value, int) and not -_INT_LIMIT <= value < _INT_LIMIT:
        raise ExprError("an integer is too large")
    return value


def equal(left: Value, right: Value) -> bool:
    """Compare as expr-lang does: numbers of any kind by value, everything else within its own type."""
    if _is_number(left) and _is_number(right):
        return left == right
    if type_name(left) != type_name(right):
        return False
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(equal(a, b) for a, b in zip(left, right, strict=True))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equal(left[key], right[key]) for key in left)
    return left == right


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def compare(operator: str, left: Value, right: Value) -> bool:
    """Order two numbers or two strings; raises ExprError."""
    a: Any
    b: Any
    a, b = (left, right) if isinstance(left, str) and isinstance(right, str) else (number(left), number(right))
    match operator:
        case "<":
            return bool(a < b)
        case "<=":
            return bool(a <= b)
        case ">":
            return bool(a > b)
        case _:
            return bool(a >= b)


def arithmetic(operator: str, left: Value, right: Value) -> Value:
    """Calculate + - * / % ** of numbers, and + of strings; raises ExprError."""
    if operator == "+" and isinstance(left, str) and isinstance(right, str):
        return left + right
    a, b = number(left), number(right)
    match operator:
        case "+":
            return bounded(a + b)
        case "-":
            return bounded(a - b)
        case "*":
            return bounded(a * b)
        case "/":
            return _divided(float(a), float(b))
        case "%":
            return _remainder(integer(left), integer(right))
        case _:
            return _power(float(a), float(b))


def _divided(a: float, b: float) -> float:
    if b != 0:
        return a / b
    if a == 0 or math.isnan(a):
        return math.nan
    return math.copysign(math.inf, a) * math.copysign(1.0, b)


def _remainder(a: int, b: int) -> int:
    if b == 0:
        raise ExprError("integer divided by zero")
    # Go's remainder has the sign of the dividend.
    return int(math.copysign(1, a)) * (abs(a) % abs(b))


def _power(a: float, b: float) -> float:
    try:
        return math.pow(a, b)
    except OverflowError:
        odd = b == math.floor(b) and b % 2 == 1
        return -math.inf if a < 0 and odd else math.inf
    except ValueError:
        # Go: zero to a negative power is infinite, a negative base to a fraction is no number.
        return math.inf if a == 0 else math.nan


def contains(item: Value, collection: Value) -> bool:
    """Say whether an array holds a value or a map a key; nothing is in nil; raises ExprError."""
    if collection is None:
        return False
    if isinstance(collection, dict):
        return text(item) in collection
    return any(equal(item, member) for member in array(collection))


def string_test(operator: str, left: Value, right: Value) -> bool:
    """Apply matches, contains, startsWith or endsWith; raises ExprError."""
    a, b = text(left), text(right)
    match operator:
        case "contains":
            return b in a
        case "startsWith":
            return a.startswith(b)
        case "endsWith":
            return a.endswith(b)
        case _:
            return _matches(a, b)


def _matches(subject: str, pattern: str) -> bool:
    try:
        expression = compiled(pattern, MAX_TEXT_QUANTIFIERS)
    except ValueError as error:
        raise ExprError(str(error)) from error
    if len(subject) > MAX_TEXT:
        raise ExprError(f"matches looks at {MAX_TEXT} characters at most")
    return expression.search(subject) is not None


def element(base: Value, key: Value) -> Value:
    """Return an element of an array (from the end where negative) or a value of a map; raises ExprError."""
    if isinstance(base, dict):
        return base.get(text(key))
    if base is None:
        raise ExprError(f"cannot take {key!r} of nil")
    # A character of a string is its byte, as in Go.
    items: Sequence[Value] = base.encode() if isinstance(base, str) else array(base)
    index = int(number(key)) if not isinstance(key, str) and math.isfinite(number(key)) else None
    if index is None:
        raise ExprError(f"{type_name(base)} has no field {key!r}")
    position = index + len(items) if index < 0 else index
    if not 0 <= position < len(items):
        raise ExprError(f"index out of range: {index} (array length is {len(items)})")
    return items[position]


def cut(base: Value, start: Value, end: Value) -> Value:
    """Return a part of an array or string; ends beyond it are moved to it; raises ExprError."""
    whole = base if isinstance(base, str) else array(base)
    length = len(whole)
    first = 0 if start is None else _position(integer(start), length)
    last = length if end is None else _position(integer(end), length)
    return whole[first : max(first, last)]


def _position(index: int, length: int) -> int:
    return max(0, index + length) if index < 0 else min(index, length)


def span(left: Value, right: Value) -> Value:
    """Return the integers from left to right, both included; raises ExprError."""
    first, last = integer(left), integer(right)
    if last - first >= MAX_ITEMS:
        raise ExprError(f"a range may have {MAX_ITEMS} items at most")
    return list(range(first, last + 1))


def shown(value: Value) -> str:
    """Return a value as text, as Go's %v writes it; raises ExprError for arrays and maps."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case float():
            return _shown_float(value)
        case int() | str():
            return str(value)
        case _:
            raise ExprError(f"an {type_name(value)} has no text here")


def _shown_float(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    exact = Decimal(repr(value))
    power = exact.adjusted() if value else 0
    if -4 <= power < _GO_EXPONENT:
        return f"{exact.normalize():f}" if value else "0"
    digits = "".join(map(str, exact.normalize().as_tuple().digits))
    mantissa = digits[0] + (f".{digits[1:]}" if len(digits) > 1 else "")
    sign = "-" if value < 0 else ""
    return f"{sign}{mantissa}e{'-' if power < 0 else '+'}{abs(power):02d}"
