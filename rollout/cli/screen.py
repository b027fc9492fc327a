"""How answers look: columns, ages, and on a terminal colours and icons. Pure but for one question to the terminal."""

import os
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_COLOURS = {"green": "32", "red": "31", "yellow": "33", "blue": "34", "grey": "90"}
_LOOKS = {
    "Healthy": ("✔", "green"),
    "Running": ("✔", "green"),
    "Successful": ("✔", "green"),
    "True": ("✔", "green"),
    "Progressing": ("◌", "blue"),
    "Pending": ("◌", "blue"),
    "ContainerCreating": ("◌", "blue"),
    "Measuring": ("◌", "blue"),
    "Terminating": ("◌", "yellow"),
    "Paused": ("॥", "yellow"),
    "Inconclusive": ("?", "yellow"),
    "Unknown": ("?", "yellow"),
    "ScaledDown": ("•", "grey"),
    "Degraded": ("✖", "red"),
    "Failed": ("✖", "red"),
    "Error": ("⚠", "red"),
    "False": ("✖", "red"),
}

# Our own colours, and the clearing of the screen before an answer, may pass.
_CONTROLS = re.compile(r"(\A\x1b\[H\x1b\[2J|\x1b\[[0-9;]*m)|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Screen:
    """What the reader can see."""

    icons: bool = False
    colours: bool = False

    def paint(self, text: str, colour: str) -> str:
        """The text in a colour, where there are colours."""
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if self.colours and text else text

    def status(self, word: str) -> str:
        """A state with its icon and colour; anything unknown is a problem that a pod reports."""
        icon, colour = _LOOKS.get(word, ("⚠", "red") if word else ("", "grey"))
        return self.paint(f"{icon} {word}".strip() if self.icons else word, colour)

    def icon(self, sign: str) -> str:
        """A sign before a name, where there are icons."""
        return f"{sign} " if self.icons else ""


def make_screen() -> Screen:
    """Icons and colours on a terminal, unless the user wants none (NO_COLOR, TERM=dumb)."""
    terminal = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    return Screen(icons=terminal and speaks_unicode(), colours=terminal and not os.environ.get("NO_COLOR"))


def speaks_unicode() -> bool:
    """Whether what we print may hold any character."""
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def harmless(text: str) -> str:
    """The text without characters that steer a terminal: files and objects of strangers may hold them."""
    return _CONTROLS.sub(lambda found: found[1] or "\N{REPLACEMENT CHARACTER}", text)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines in columns, as kubectl has them."""
    cells = [tuple(head), *(tuple(row) for row in rows)]
    widths = [max(visible(row[i]) for row in cells) for i in range(len(head))]
    return ["  ".join(padded(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def facts(pairs: Iterable[tuple[str, str]], width: int = 17) -> list[str]:
    """Lines of `Name:   value`; a value of several lines continues below itself, and an empty one is left out."""
    lines = []
    for name, value in pairs:
        first, *rest = value.split("\n")
        if value:
            lines.append(f"{f'{name}:':{width}}{first}")
            lines += [f"{'':{width}}{line}" for line in rest]
    return lines


def padded(text: str, width: int) -> str:
    """The text, filled up to what a reader sees as this width."""
    return text + " " * (width - visible(text))


def visible(text: str) -> int:
    """Characters that take room on the screen: colours do not."""
    length, inside = 0, False
    for character in text:
        inside = inside or character == "\x1b"
        length += not inside
        inside = inside and character != "m"
    return length


def age(seconds: float) -> str:
    """A span as kubectl writes ages: the two largest units while they tell something."""
    whole = max(int(seconds), 0)
    if whole < 120:
        return f"{whole}s"
    if whole < 600:
        return f"{whole // 60}m" + (f"{whole % 60}s" if whole % 60 else "")
    if whole < 3 * 3600:
        return f"{whole // 60}m"
    if whole < 48 * 3600:
        return f"{whole // 3600}h"
    return f"{whole // 86400}d"
