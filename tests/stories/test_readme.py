"""README.md does what it says: its manifests are written, its commands run in order, in a fresh copy of the tree."""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
import yaml

from rollout.api.crds import KINDS
from tests.support.api_process import ROOT

README = (ROOT / "README.md").read_text()
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = BLOCK.findall(README)
SECONDS_MAX = 2400


def manifests() -> dict[str, str]:
    """Text by file name: the first line of each YAML block is its name."""
    return {text.split("\n", 1)[0].removeprefix("# "): text for language, text in BLOCKS if language == "yaml"}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what a clone would have, without a virtual environment, and with the README's manifests in it."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tmp_path / name)
    for name, text in manifests().items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_every_command_of_the_readme_succeeds_in_order(checkout: Path) -> None:
    commands = "\n".join(text for language, text in BLOCKS if language == "sh")
    script = f"set -euxo pipefail\ntrap '.venv/bin/coalmine sandbox down || true' EXIT\n{commands}"
    log = checkout / "commands.log"
    with log.open("wb") as output, subprocess.Popen(
        ["bash", "-c", script], cwd=checkout, stdout=output, stderr=output, start_new_session=True,
        env={key: value for key, value in os.environ.items() if key not in {"KUBECONFIG", "VIRTUAL_ENV"}},
    ) as shell:  # fmt: skip
        try:
            code = shell.wait(SECONDS_MAX)
        finally:
            if shell.poll() is None:
                os.killpg(shell.pid, signal.SIGTERM)
    told = log.read_text()
    assert code == 0, told[-5000:]
    assert told.count("Reverted") >= 2, "the demo's table says what was expected and what was seen"
    assert "ended; the data stay in the folder" in told


def test_every_manifest_of_the_readme_is_of_a_kind_that_it_names() -> None:
    ours = {kind.struct.__name__ for kind in KINDS}
    seen = [doc["kind"] for text in manifests().values() for doc in yaml.safe_load_all(text)]
    assert {"Rollout", "AnalysisTemplate", "GitRepository", "Application"} <= set(seen)
    assert set(seen) - ours <= {"Service", "HTTPRoute"}


def test_the_reasons_that_the_readme_names_are_those_of_the_code() -> None:
    told = set(re.findall(r"\(`([A-Z]\w+)`", README))
    sources = [path.read_text() for path in (ROOT / "rollout").rglob("*.py")]
    known = {reason for text in sources for reason in re.findall(r'Blocked\(\s*"(\w+)"', text)}
    assert len(told) >= 5
    assert told <= known


def test_the_picture_of_the_readme_is_there() -> None:
    assert (ROOT / "report.png").read_bytes().startswith(b"\x89PNG")
