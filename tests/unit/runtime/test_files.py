"""Files that others wait for."""

import json
import os
from pathlib import Path

from rollout.runtime.files import write_json


def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "ports.json"
    path.write_text("old")
    held = path.open()
    write_json(path, {"health": 1})
    assert json.loads(path.read_text()) == {"health": 1}
    assert held.read() == "old", "who reads meanwhile reads one or the other"
    held.close()
    assert [found.name for found in tmp_path.iterdir()] == ["ports.json"]


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    write_json(path, {"health": 1})
    assert os.read(reader, 100) == b'{"health": 1}'
    os.close(reader)
    assert path.is_fifo()
