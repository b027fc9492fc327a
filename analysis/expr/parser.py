"""Tokens to a tree, by precedence climbing with expr-lang's own table (parser/operator/operator.go)."""

from dataclasses import dataclass, field

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
)
from analysis.expr.tokens import ExprError, Kind, Token, tokens_of

MAX_DEPTH = 64

_BINARY = {
    "||": 10,
    "or": 10,
    "&&": 15,
    "and": 15,
    **dict.fromkeys(("==", "!=", "<", ">", "<=", ">="), 20),
    **dict.fromkeys(("in", "matches", "contains", "startsWith", "endsWith"), 20),
    "..": 25,
    "+": 30,
    "-": 30,
    "*": 60,
    "/": 60,
    "%": 60,
    "**": 100,
    "^": 100,
    "??": 500,
}
_UNARY = {"not": 50, "!": 50, "-": 90, "+": 90}
_RIGHT_ASSOCIATIVE = {"**", "^"}
_NEGATABLE = {"in", "matches", "contains", "startsWith", "endsWith"}
_COMPARISONS = {"<", ">", "<=", ">="}
_SPELLINGS = {"or": "||", "and": "&&", "not": "!", "^": "**"}
_CONSTANTS: dict[str, bool | None] = {"true": True, "false": False, "nil": None}
_RESERVED = {"let", "if", "else"}


def parse(text: str) -> Node:
    """Return the tree of a condition; raises ExprError with the place."""
    parser = _Parser(tokens_of(text))
    node = parser.expression()
    parser.expect_end()
    return node


@dataclass
class _Parser:
    tokens: tuple[Token, ...]
    position: int = 0
    depth: int = 0
    predicates: int = 0
    in_parentheses: set[int] = field(default_factory=set)

    @property
    def here(self) -> Token:
        return self.tokens[self.position]

    def take(self) -> Token:
        token = self.here
        self.position += token.kind is not Kind.END
        return token

    def eat(self, text: str) -> None:
        token = self.take()
        if not token.is_(text):
            raise _unexpected(token, f"{text!r} is missing")

    def ate(self, text: str) -> bool:
        found = self.here.is_(text)
        self.position += found
        return found

    def expect_end(self) -> None:
        if self.here.kind is not Kind.END:
            raise _unexpected(self.here)

    def expression(self, precedence: int = 0) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ExprError(f"a condition may be nested {MAX_DEPTH} deep at most")
        left = self._unary()
        before = ""
        while (operator := self._operator(precedence)) is not None:
            if before == "??" and operator != "??":
                raise ExprError(f"?? and {operator} may not be mixed: use parentheses")
            left, before = self._binary(left, operator), operator
        if precedence == 0:
            left = self._conditional(left)
        self.depth -= 1
        return left

    def _operator(self, precedence: int) -> str | None:
        token = self.here
        if token.kind not in {Kind.NAME, Kind.OPERATOR}:
            return None
        text = str(token.value)
        if text == "not" and self.tokens[self.position + 1].is_(*_NEGATABLE):
            text = str(self.tokens[self.position + 1].value)
        return str(token.value) if text in _BINARY and _BINARY[text] >= max(precedence, 1) else None

    def _binary(self, left: Node, operator: str) -> Node:
        self.take()
        negated = operator == "not"
        if negated:
            operator = str(self.take().value)
        precedence = _BINARY[operator] + (operator not in _RIGHT_ASSOCIATIVE)
        right = self.expression(precedence)
        node = self._joined(left, _SPELLINGS.get(operator, operator), right)
        return Unary("!", node) if negated else node

    def _joined(self, left: Node, operator: str, right: Node) -> Node:
        if operator in _COMPARISONS and isinstance(left, Binary) and id(left) not in self.in_parentheses:
            chained = _last_comparison(left)
            if chained is not None:
                # expr-lang reads a < b < c as a < b && b < c.
                return Binary("&&", left, Binary(operator, chained.right, right))
        return Binary(operator, left, right)

    def _conditional(self, condition: Node) -> Node:
        while True:
            if self.ate("?"):
                yes = self.expression()
                self.eat(":")
                condition = Conditional(condition, yes, self.expression())
            elif self.ate("?:"):
                condition = Conditional(condition, condition, self.expression())
            else:
                return condition

    def _unary(self) -> Node:
        token = self.here
        if token.is_(*_UNARY):
            self.take()
            operator = str(token.value)
            operand = self.expression(_UNARY[operator])
            return Unary(_SPELLINGS.get(operator, operator), operand)
        return self._postfix(self._primary())

    def _primary(self) -> Node:
        token = self.take()
        if token.kind in {Kind.NUMBER, Kind.STRING}:
            return Literal(token.value)
        if token.is_("("):
            inner = self.expression()
            self.eat(")")
            self.in_parentheses.add(id(inner))
            return inner
        if token.is_("["):
            return Array(self._items("]"))
        if token.is_("{"):
            return self._mapping()
        if token.is_("#") and self.predicates:
            return Pointer()
        if token.is_(".") and self.predicates:
            # Inside a predicate `.name` is short for `#.name`.
            return Index(Pointer(), Literal(self._field()))
        if token.kind is Kind.NAME:
            return self._name(token)
        raise _unexpected(token)

    def _name(self, token: Token) -> Node:
        name = str(token.value)
        if name in _CONSTANTS:
            return Literal(_CONSTANTS[name])
        if name in _RESERVED:
            raise ExprError(f"{name} is not supported in conditions")
        if self.here.is_("("):
            self.take()
            return self._call(name)
        if name != "result":
            raise ExprError(f"unknown name {name!r} at character {token.position + 1}; `result` is the value")
        return Name(name)

    def _call(self, name: str) -> Node:
        if name in PREDICATES:
            return self._predicate(name)
        if name not in FUNCTIONS:
            raise ExprError(f"unknown function {name!r}")
        arguments = self._items(")")
        fewest, most = FUNCTIONS[name].arguments
        if not fewest <= len(arguments) <= most:
            raise ExprError(f"{name} takes {fewest} to {most} arguments, not {len(arguments)}")
        return Call(name, arguments)

    def _predicate(self, name: str) -> Node:
        collection = self.expression()
        if name in FUNCTIONS and self.ate(")"):
            return Call(name, (collection,))
        if name == "count" and self.ate(")"):
            return Predicate(name, collection, Pointer())
        self.eat(",")
        self.predicates += 1
        braced = self.ate("{")
        body = self.expression()
        if braced:
            self.eat("}")
        self.predicates -= 1
        self.eat(")")
        return Predicate(name, collection, body)

    def _items(self, end: str) -> tuple[Node, ...]:
        items: list[Node] = []
        while not self.ate(end):
            if items:
                self.eat(",")
                if self.ate(end):
                    break
            items.append(self.expression())
        return tuple(items)

    def _mapping(self) -> Node:
        items: list[tuple[str, Node]] = []
        while not self.ate("}"):
            if items:
                self.eat(",")
                if self.ate("}"):
                    break
            key = self.take()
            if key.kind not in {Kind.NAME, Kind.STRING, Kind.NUMBER}:
                raise _unexpected(key, "a key is missing")
            self.eat(":")
            items.append((str(key.value), self.expression()))
        return Mapping(tuple(items))

    def _postfix(self, node: Node) -> Node:
        optional = False
        while True:
            if self.ate("?."):
                optional = True
                if self.ate("["):
                    node = Index(node, self.expression(), optional=True)
                    self.eat("]")
                else:
                    node = Index(node, Literal(self._field()), optional=True)
            elif self.ate("."):
                node = Index(node, Literal(self._field()))
            elif self.ate("["):
                node = self._subscript(node)
            else:
                return Chain(node) if optional else node

    def _field(self) -> str:
        token = self.take()
        if token.kind is not Kind.NAME:
            raise _unexpected(token, "a field is missing")
        return str(token.value)

    def _subscript(self, base: Node) -> Node:
        if self.ate(":"):
            end = None if self.here.is_("]") else self.expression()
            self.eat("]")
            return Slice(base, None, end)
        start = self.expression()
        if self.ate(":"):
            end = None if self.here.is_("]") else self.expression()
            self.eat("]")
            return Slice(base, start, end)
        self.eat("]")
        return Index(base, start)


def _last_comparison(node: Binary) -> Binary | None:
    if node.operator in _COMPARISONS:
        return node
    if node.operator == "&&" and isinstance(node.right, Binary) and node.right.operator in _COMPARISONS:
        return node.right
    return None


def _unexpected(token: Token, problem: str = "") -> ExprError:
    place = f"unexpected {token.value!r} at character {token.position + 1}"
    return ExprError(f"{place}: {problem}" if problem else place)
