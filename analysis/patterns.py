"""Regular expressions of users, bounded so that no pattern can stall the operator.

Python's `re` backtracks. Work is at most (length of text) to the power of the number of quantifiers, times two for each
`?` and times the branches of each group, so all are limited, and a quantifier on a group, which makes it exponential,
is refused.
"""

import functools
import re

MAX_PATTERN = 256
MAX_QUANTIFIERS = 4
MAX_NAME = 128
MAX_TEXT = 4096
MAX_TEXT_QUANTIFIERS = 2
MAX_POD_QUANTIFIERS = 2
"""Of patterns for names of pods, which are twice as long, and tens of thousands in the answer of a broken store."""
MAX_CHOICES = 1024

_ESCAPED_OR_CLASS = re.compile(r"\\.|\[\^?\]?(?:[^\]\\]|\\.)*\]", re.DOTALL)
_QUANTIFIER = re.compile(r"(?<!\\)(?:\\\\)*[*+{]")
_GROUP_QUANTIFIER = re.compile(r"\)[*+{?]")
_BACKREFERENCE = re.compile(r"\\[1-9]|\(\?P[=>]|\(\?[<!=(]")


@functools.lru_cache(maxsize=512)
def compiled(pattern: str, max_quantifiers: int = MAX_QUANTIFIERS) -> re.Pattern[str]:
    """Return a user's pattern, compiled; raises ValueError with a sentence where it is invalid or too costly."""
    if len(pattern) > MAX_PATTERN:
        raise ValueError(f"a pattern may have {MAX_PATTERN} characters at most")
    if _GROUP_QUANTIFIER.search(pattern) or _BACKREFERENCE.search(pattern):
        raise ValueError(f"{pattern!r} repeats or refers back to a group, which can take for ever")
    if len(_QUANTIFIER.findall(pattern)) > max_quantifiers:
        raise ValueError(f"{pattern!r} has more than {max_quantifiers} of * + {{}}, which can take for ever")
    if _choices(pattern) > MAX_CHOICES:
        raise ValueError(f"{pattern!r} has too many ? and groups of |, which can take for ever")
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from error


def _choices(pattern: str) -> int:
    """Return in how many ways the `?` and the groups of a pattern can be chosen, MAX_CHOICES + 1 where it is more."""
    plain = _ESCAPED_OR_CLASS.sub("x", pattern).replace("(?:", "(")
    choices, branches = 1, list[int]()
    for sign in plain:
        if sign == "(":
            branches.append(1)
        elif sign == "|" and branches:
            branches[-1] += 1
        elif sign == "?":
            choices *= 2
        elif sign == ")" and branches:
            choices *= branches.pop()
        if choices > MAX_CHOICES:
            return MAX_CHOICES + 1
    return choices
