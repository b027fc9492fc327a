"""Our conditions and expr-lang itself (github.com/expr-lang/expr, in a small Go program) give the same answers.

`answers.json` holds expr-lang's answers, so that they are compared without Go too. To write it anew:
`python -m tests.golden.test_conditions` with `go` on the PATH.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.conditions import TABLE, generated, ours, question, same, theirs

HERE = Path(__file__).parent / "exprlang"
ANSWERS = HERE / "answers.json"
GENERATED = 500
SEED = 20261122

needs_go = pytest.mark.skipif(shutil.which("go") is None, reason="go is not on the PATH; CI has it")


def questions(seed: int) -> list[tuple[str, Any]]:
    return [*TABLE, *generated(GENERATED, seed)]


def ask_go(asked: list[tuple[str, Any]], folder: Path) -> list[dict[str, Any]]:
    """Build the program outside the tree, and ask it."""
    program = folder / "exprlang"
    environment = {**os.environ, "GOFLAGS": "-mod=readonly -buildvcs=false"}
    subprocess.run(["go", "build", "-o", str(program), "."], cwd=HERE, env=environment, check=True, timeout=300)
    lines = "".join(question(*pair) + "\n" for pair in asked)
    done = subprocess.run([str(program)], input=lines, capture_output=True, text=True, check=True, timeout=60)
    return [json.loads(line) for line in done.stdout.splitlines()]


def differences(asked: list[tuple[str, Any]], answers: list[dict[str, Any]]) -> list[str]:
    return [
        f"{pair!r}: ours {ours(*pair)!r}, expr-lang {theirs(answer)!r}"
        for pair, answer in zip(asked, answers, strict=True)
        if not same(ours(*pair), theirs(answer))
    ]


def test_conditions_answer_as_expr_lang_did() -> None:
    answers = json.loads(ANSWERS.read_text())
    assert differences(questions(SEED), answers) == []


def test_the_answers_are_not_all_errors() -> None:
    kinds = [theirs(answer)[0] for answer in json.loads(ANSWERS.read_text())]
    assert kinds.count("value") > 300


@needs_go
@pytest.mark.parametrize("seed", [SEED, 7])
def test_conditions_answer_as_expr_lang_does_now(seed: int, tmp_path: Path) -> None:
    asked = questions(seed)
    assert differences(asked, ask_go(asked, tmp_path)) == []


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        fresh = ask_go(questions(SEED), Path(folder))
    ANSWERS.write_text("[\n" + ",\n".join(json.dumps(answer) for answer in fresh) + "\n]\n")
