"""Files that other processes read as soon as they are there."""

import json
from pathlib import Path
from typing import Any


def write_json(path: Path, document: Any) -> None:
    """Replace a file at once, so that nobody ever reads half of it; what is no file, such as a pipe, is written to."""
    text = json.dumps(document)
    if path.exists() and not path.is_file():
        path.write_text(text)
        return
    whole = path.with_name(f".{path.name}.new")
    whole.write_text(text)
    whole.replace(path)
