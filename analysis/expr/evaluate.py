"""The value of a tree, in a bounded number of steps."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import assert_never

from analysis.expr.functions import FUNCTIONS, PREDICATES
from analysis.expr.nodes import (
    Array,
    Binary,
    Call,
    Chain,
    Conditional,
    Index,
    Literal,
    Mapping,
    Name,
    Node,
    Pointer,
    Predicate,
    Slice,
    Unary,
    Value,
)
from analysis.expr.tokens import ExprError
from analysis.expr.values import (
    arithmetic,
    array,
    boolean,
    bounded,
    compare,
    contains,
    cut,
    element,
    equal,
    number,
    span,
    string_test,
)

MAX_STEPS = 500_000


class _ChainEndsError(Exception):
    """An optional access met nil."""


@dataclass
class Evaluation:
    """One evaluation of one condition."""

    result: Value
    steps: int = 0
    pointers: list[Value] = field(default_factory=list)

    def value(self, node: Node) -> Value:  # noqa: C901, PLR0911, PLR0912  One case a kind of node, nothing else.
        """Return the value of a tree; raises ExprError."""
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise ExprError(f"the condition needs more than {MAX_STEPS} steps")
        match node:
            case Literal(constant):
                return constant
            case Name():
                return self.result
            case Pointer():
                return self.pointers[-1]
            case Unary():
                return self._unary(node)
            case Binary():
                return self._binary(node)
            case Conditional(condition, yes, no):
                return self.value(yes if boolean(self.value(condition)) else no)
            case Array(items):
                return [self.value(item) for item in items]
            case Mapping(entries):
                return {key: self.value(item) for key, item in entries}
            case Index():
                return self._index(node)
            case Slice(base, start, end):
                return cut(self.value(base), self._optional(start), self._optional(end))
            case Chain(inner):
                return self._chain(inner)
            case Call(function, arguments):
                return FUNCTIONS[function].apply(*(self.value(argument) for argument in arguments))
            case Predicate():
                return self._predicate(node)
            case _:
                assert_never(node)

    def _optional(self, node: Node | None) -> Value:
        return None if node is None else self.value(node)

    def _unary(self, node: Unary) -> Value:
        operand = self.value(node.operand)
        match node.operator:
            case "!":
                return not boolean(operand)
            case "-":
                return bounded(-number(operand))
            case _:
                return number(operand)

    def _binary(self, node: Binary) -> Value:
        left = self.value(node.left)
        if node.operator in {"&&", "||", "??"}:
            return self._lazy(node, left)
        return self._eager(node.operator, left, self.value(node.right))

    def _lazy(self, node: Binary, left: Value) -> Value:
        match node.operator:
            case "&&":
                # As in expr-lang the right side is the value, whatever its type.
                return self.value(node.right) if boolean(left) else False
            case "||":
                return True if boolean(left) else self.value(node.right)
            case _:
                return self.value(node.right) if left is None else left

    def _eager(self, operator: str, left: Value, right: Value) -> Value:
        match operator:
            case "==":
                return equal(left, right)
            case "!=":
                return not equal(left, right)
            case "<" | "<=" | ">" | ">=":
                return compare(operator, left, right)
            case "in":
                return contains(left, right)
            case "..":
                return span(left, right)
            case "matches" | "contains" | "startsWith" | "endsWith":
                return string_test(operator, left, right)
            case _:
                return arithmetic(operator, left, right)

    def _index(self, node: Index) -> Value:
        base = self.value(node.base)
        if node.optional and base is None:
            raise _ChainEndsError
        return element(base, self.value(node.key))

    def _chain(self, inner: Node) -> Value:
        try:
            return self.value(inner)
        except _ChainEndsError:
            return None

    def _predicate(self, node: Predicate) -> Value:
        collection = self.value(node.collection)
        items = [*collection.encode()] if isinstance(collection, str) else array(collection)
        summary = PREDICATES[node.function]
        if summary is not None:
            return summary(self._answers(items, node.body))
        if node.function == "filter":
            return [item for item, kept in self._pairs(items, node.body) if kept]
        backwards = node.function.startswith("findLast")
        order = items[::-1] if backwards else items
        hits = (place for place, (_, kept) in enumerate(self._pairs(order, node.body)) if kept)
        place = next(hits, None)
        if node.function.endswith("Index"):
            return place if place is None or not backwards else len(items) - 1 - place
        return None if place is None else order[place]

    def _pairs(self, items: list[Value], body: Node) -> Iterator[tuple[Value, bool]]:
        for item, answer in zip(items, self._answers(items, body), strict=True):
            yield item, boolean(answer)

    def _answers(self, items: list[Value], body: Node) -> Iterator[Value]:
        for item in items:
            self.pointers.append(item)
            try:
                yield self.value(body)
            finally:
                self.pointers.pop()
