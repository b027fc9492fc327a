"""Outcomes on disk, a line a rollout, so that a run that was stopped goes on where it was."""

import json
from collections.abc import Iterable
from pathlib import Path

from tests.benchmarks.decisions.work import Outcome


class Store:
    """A file of outcomes; a line that was cut off by a kill is ignored and played again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.outcomes = list(self._read())

    def _read(self) -> Iterable[Outcome]:
        if not self._path.exists():
            return
        for line in self._path.read_text().splitlines():
            try:
                yield from (Outcome(**fields) for fields in json.loads(line))
            except (json.JSONDecodeError, TypeError):
                continue

    def add(self, outcomes: list[Outcome]) -> None:
        """Keep the outcomes of some rollouts."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as file:
            file.write(json.dumps([outcome.as_json() for outcome in outcomes], separators=(",", ":")) + "\n")
        self.outcomes += outcomes

    def seeds(self, scenario: str) -> set[int]:
        """Return which rollouts of a scenario were played."""
        return {outcome.seed for outcome in self.outcomes if outcome.scenario == scenario}
