"""Another version of the operator: this one's source with a few changes, in a folder of its own."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_PACKAGES = ("rollout", "analysis")


@dataclass(frozen=True)
class Edit:
    """One change: a text that occurs once in a file, and what stands there instead."""

    path: str
    old: str
    new: str


def another_version(folder: Path, edits: Iterable[Edit]) -> Path:
    """Write the source of another version; a folder for PYTHONPATH."""
    for package in _PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    for edit in edits:
        path = folder / edit.path
        text = path.read_text()
        assert text.count(edit.old) == 1, f"{edit.path} has {text.count(edit.old)} times {edit.old!r}"
        path.write_text(text.replace(edit.old, edit.new))
    return folder
