"""What the examples of a state machine came to, against what there is: nothing may stay unreached, nothing unknown."""

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

REPORTS: "list[Reached]" = []
"""Those of this test run; the terminal summary prints them (conftest.py)."""


@dataclass
class Reached:
    """Counts of what happened, by category."""

    title: str
    expected: dict[str, frozenset[str]]
    """Category -> every name that it may have."""
    counts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    turns: int = 0
    examples: int = 0

    def __post_init__(self) -> None:
        REPORTS.append(self)

    def note(self, category: str, *names: str) -> None:
        """It happened."""
        self.counts[category].update(names)

    @property
    def unreached(self) -> list[str]:
        """What never happened."""
        return sorted(f"{c}: {n}" for c, names in self.expected.items() for n in names if not self.counts[c][n])

    @property
    def unknown(self) -> list[str]:
        """What happened and is not in the lists."""
        return sorted(f"{c}: {n}" for c, seen in self.counts.items() for n in seen if n not in self.expected[c])

    def lines(self) -> Iterator[str]:
        """The report: how often each was reached."""
        each = self.turns / max(self.examples, 1)
        yield f"{self.title}: {self.examples} examples, {self.turns} turns, {each:.1f} turns an example"
        for category, names in self.expected.items():
            found = sorted(((self.counts[category][name], name) for name in names), reverse=True)
            yield f"  {category}: " + ", ".join(f"{name} {count}" for count, name in found)


def event_reasons(folder: Path) -> frozenset[str]:
    """The reasons of all Events that the modules of a folder write, read from their source."""
    calls = (node for path in folder.glob("*.py") for node in ast.walk(ast.parse(path.read_text())))
    return frozenset(
        node.args[1].value
        for node in calls
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Event"
        and len(node.args) > 1
        and isinstance(node.args[1], ast.Constant)
        and isinstance(node.args[1].value, str)
    )
