"""JSON files that other processes read as soon as they are there."""

import json
from pathlib import Path
from typing import Any


def write_document(path: Path, document: dict[str, Any]) -> None:
    """Replace a file at once, so that nobody ever reads half of it."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(json.dumps(document))
    temporary.replace(path)
