"""Text to tokens."""

import re
from dataclasses import dataclass
from enum import Enum

MAX_LENGTH = 4096
_INT_MAX = 2**63 - 1


class ExprError(ValueError):
    """A condition that cannot be read, or has no value; the text is for its author."""


class Kind(Enum):
    """What a token is."""

    NUMBER = "number"
    STRING = "string"
    NAME = "name"
    OPERATOR = "operator"
    END = "end"


@dataclass(frozen=True)
class Token:
    """One token; `value` of a number or string is its Python value, else its text."""

    kind: Kind
    value: str | int | float
    position: int

    def is_(self, *texts: str) -> bool:
        """Whether the token is one of these names or operators."""
        return self.kind in {Kind.NAME, Kind.OPERATOR} and self.value in texts


_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*|/\*.*?\*/)
    |(?P<number>0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+
      |(?:\d[\d_]*(?:\.(?!\.)\d[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?\d+)?)
    |(?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`[^`]*`)
    |(?P<name>[A-Za-z_$][A-Za-z0-9_$]*)
    |(?P<operator>\?\.|\?\?|\?:|\|\||&&|==|!=|<=|>=|\*\*|\.\.|[-+*/%^<>!?:.,()\[\]{}\#|])""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.DOTALL)
_SIMPLE = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    "'": "'",
    '"': '"',
}


def tokens_of(text: str) -> tuple[Token, ...]:
    """Return the tokens of a condition, the last one END; raises ExprError."""
    if len(text) > MAX_LENGTH:
        raise ExprError(f"a condition may have {MAX_LENGTH} characters at most")
    found: list[Token] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ExprError(f"unexpected {text[position]!r} at character {position + 1}")
        if match.lastgroup != "space":
            found.append(_token(match))
        position = match.end()
    found.append(Token(Kind.END, "the end", len(text)))
    return tuple(found)


def _token(match: re.Match[str]) -> Token:
    text = match[0]
    match match.lastgroup:
        case "number":
            return Token(Kind.NUMBER, _number(text), match.start())
        case "string":
            value = text[1:-1] if text[0] == "`" else _ESCAPE.sub(_unescaped, text[1:-1])
            return Token(Kind.STRING, value, match.start())
        case "name":
            return Token(Kind.NAME, text, match.start())
        case _:
            return Token(Kind.OPERATOR, text, match.start())


def _number(text: str) -> int | float:
    try:
        if text[:2].lower() in {"0x", "0o", "0b"}:
            value: int | float = int(text.replace("_", ""), 0)
        elif any(mark in text for mark in ".eE"):
            value = float(text.replace("_", ""))
        else:
            value = int(text.replace("_", ""))
    except ValueError as error:
        raise ExprError(f"{text!r} is no number") from error
    if isinstance(value, int) and value > _INT_MAX:
        raise ExprError(f"{text} is too large for an integer")
    return value


def _unescaped(match: re.Match[str]) -> str:
    code = match[1]
    if code in _SIMPLE:
        return _SIMPLE[code]
    if code[0] in "xuU":
        number = int(code[1:], 16) if len(code) > 1 else -1
    elif len(code) == 3:
        number = int(code, 8)
    else:
        number = -1
    if not 0 <= number <= 0x10FFFF:
        raise ExprError(f"\\{code} is no escape sequence")
    return chr(number)
