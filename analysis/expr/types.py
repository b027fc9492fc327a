"""A static check of types, so that a condition that never fits is refused before anything is measured.

Only what is certain is refused: `result` and everything taken from it may be anything.
"""

from analysis.expr.nodes import (
    Array,
    Binary,
    Call,
    Chain,
    Conditional,
    Index,
    Literal,
    Mapping,
    Node,
    Predicate,
    Slice,
    Unary,
)
from analysis.expr.tokens import ExprError
from analysis.expr.values import type_name

ANY = "any"
_NUMBERS = frozenset({"int", "float"})

_RETURNS = {
    "asFloat": "float",
    "asInt": "int",
    "isNaN": "bool",
    "isInf": "bool",
    "isNil": "bool",
    "len": "int",
    "type": "string",
    "ceil": "float",
    "floor": "float",
    "round": "float",
    "int": "int",
    "float": "float",
    "string": "string",
    "mean": "float",
    "median": "float",
    "keys": "array",
    "values": "array",
    "join": "string",
    "split": "array",
    "trim": "string",
    "trimPrefix": "string",
    "trimSuffix": "string",
    "lower": "string",
    "upper": "string",
    "hasPrefix": "bool",
    "hasSuffix": "bool",
    "indexOf": "int",
}
_PREDICATE_RETURNS = {
    "all": "bool",
    "any": "bool",
    "none": "bool",
    "one": "bool",
    "count": "int",
    "filter": "array",
    "map": "array",
    "findIndex": ANY,
}


def check(node: Node) -> str:  # noqa: C901, PLR0911  One case a kind of node, nothing else.
    """Return the static type of a tree, `any` where unknown; raises ExprError where types never fit."""
    match node:
        case Literal(value):
            return type_name(value)
        case Unary(operator, operand):
            return _unary(operator, check(operand))
        case Binary(operator, left, right):
            return _binary(operator, check(left), check(right))
        case Conditional(condition, yes, no):
            _need("a condition", check(condition), {"bool"})
            kinds = {check(yes), check(no)}
            return kinds.pop() if len(kinds) == 1 else ANY
        case Array(items):
            _all(items)
            return "array"
        case Mapping(entries):
            _all(tuple(item for _, item in entries))
            return "map"
        case Index(base, key):
            _need("an element", check(base), {"array", "map", "string", "nil"})
            check(key)
            return ANY
        case Slice(base, start, end):
            _all(tuple(part for part in (start, end) if part is not None))
            return check(base)
        case Chain(inner):
            check(inner)
            return ANY
        case Call(function, arguments):
            _all(arguments)
            return _RETURNS.get(function, ANY)
        case Predicate():
            return _predicate(node)
        case _:
            return ANY


def _all(nodes: tuple[Node, ...]) -> None:
    for node in nodes:
        check(node)


def _need(what: str, found: str, wanted: set[str] | frozenset[str]) -> None:
    if found != ANY and found not in wanted:
        raise ExprError(f"{what} needs {' or '.join(sorted(wanted))}, not {found}")


def _predicate(node: Predicate) -> str:
    _need(node.function, check(node.collection), {"array"})
    body = check(node.body)
    if node.function not in {"map", "sum"}:
        _need(f"the predicate of {node.function}", body, {"bool"})
    return _PREDICATE_RETURNS.get(node.function, ANY)


def _unary(operator: str, operand: str) -> str:
    wanted = {"bool"} if operator == "!" else _NUMBERS
    _need(f"operator {operator}", operand, wanted)
    return "bool" if operator == "!" else operand


def _binary(operator: str, left: str, right: str) -> str:
    match operator:
        case "&&" | "||":
            _need(f"operator {operator}", left, {"bool"})
            _need(f"operator {operator}", right, {"bool"})
            return "bool"
        case "??":
            return left if left == right else ANY
        case "==" | "!=":
            _same(operator, left, right)
            return "bool"
        case "<" | "<=" | ">" | ">=":
            _need(f"operator {operator}", left, _NUMBERS | {"string"})
            _need(f"operator {operator}", right, _NUMBERS | {"string"})
            _same(operator, left, right)
            return "bool"
        case "in":
            _need("operator in", right, {"array", "map"})
            return "bool"
        case "matches" | "contains" | "startsWith" | "endsWith":
            _need(f"operator {operator}", left, {"string"})
            _need(f"operator {operator}", right, {"string"})
            return "bool"
        case _:
            return _arithmetic(operator, left, right)


def _same(operator: str, left: str, right: str) -> None:
    kinds = {"number" if kind in _NUMBERS else kind for kind in (left, right)} - {ANY, "nil"}
    if len(kinds) > 1:
        raise ExprError(f"operator {operator} cannot compare {left} with {right}")


def _arithmetic(operator: str, left: str, right: str) -> str:
    if operator == "..":
        _need("a range", left, {"int"})
        _need("a range", right, {"int"})
        return "array"
    wanted = {"int"} if operator == "%" else _NUMBERS | {"string"} if operator == "+" else _NUMBERS
    _need(f"operator {operator}", left, wanted)
    _need(f"operator {operator}", right, wanted)
    if operator == "+":
        _same(operator, left, right)
    if operator in {"/", "**"}:
        return "float"
    return left if left == right else ANY if ANY in {left, right} else "float"
