"""What lint says of templates, word for word."""

import re
from pathlib import Path

import pytest

from rollout.cli.main import main

HERE = Path(__file__).parent


@pytest.mark.parametrize("path", sorted(HERE.glob("*.yaml")), ids=lambda path: path.stem)
def test_lint_says_what_was_written_down(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["analysis", "lint", str(path)])
    # How the budget is shared is tested by what must be true of it: the engine's weights may be tuned.
    seen = re.sub(r"  budget:\n(    .*\n)+", "", capsys.readouterr().out.replace(f"{HERE}/", ""))
    assert seen == path.with_suffix(".lint.txt").read_text()
    assert code == (1 if "  error: " in seen else 0)
