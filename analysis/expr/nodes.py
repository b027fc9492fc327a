"""The typed tree of a condition."""

from dataclasses import dataclass

Value = bool | int | float | str | list["Value"] | dict[str, "Value"] | None


@dataclass(frozen=True)
class Literal:
    """A constant."""

    value: bool | int | float | str | None


@dataclass(frozen=True)
class Name:
    """A name of the environment; `result` is the only one."""

    name: str


@dataclass(frozen=True)
class Pointer:
    """`#`, the element at hand inside a predicate."""


@dataclass(frozen=True)
class Unary:
    """An operator before its operand: ! - +."""

    operator: str
    operand: "Node"


@dataclass(frozen=True)
class Binary:
    """An operator between two operands."""

    operator: str
    left: "Node"
    right: "Node"


@dataclass(frozen=True)
class Conditional:
    """`condition ? yes : no`."""

    condition: "Node"
    yes: "Node"
    no: "Node"


@dataclass(frozen=True)
class Array:
    """`[a, b]`."""

    items: tuple["Node", ...]


@dataclass(frozen=True)
class Mapping:
    """`{a: 1}`."""

    items: tuple[tuple[str, "Node"], ...]


@dataclass(frozen=True)
class Index:
    """`base[key]`, `base.key`, and with `optional` `base?.key`."""

    base: "Node"
    key: "Node"
    optional: bool = False


@dataclass(frozen=True)
class Slice:
    """`base[start:end]`."""

    base: "Node"
    start: "Node | None"
    end: "Node | None"


@dataclass(frozen=True)
class Chain:
    """Where an optional access inside of it that meets nil ends, with nil."""

    inner: "Node"


@dataclass(frozen=True)
class Call:
    """A function with plain arguments."""

    function: str
    arguments: tuple["Node", ...]


@dataclass(frozen=True)
class Predicate:
    """A function over a collection, such as `all(result, # > 1)`."""

    function: str
    collection: "Node"
    body: "Node"


Node = (
    Literal | Name | Pointer | Unary | Binary | Conditional | Array | Mapping | Index | Slice | Chain | Call | Predicate
)
