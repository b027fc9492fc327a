"""What lint says of templates, word for word."""

from pathlib import Path

import pytest

from rollout.cli.main import main

HERE = Path(__file__).parent


@pytest.mark.parametrize("path", sorted(HERE.glob("*.yaml")), ids=lambda path: path.stem)
def test_lint_says_what_was_written_down(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["analysis", "lint", str(path)])
    seen = capsys.readouterr().out.replace(f"{HERE}/", "")
    assert seen == path.with_suffix(".lint.txt").read_text()
    assert code == (1 if "  error: " in seen else 0)
