"""The embedded API server as a process of its own, for tests."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
STOP_SECONDS = 20


@dataclass(frozen=True)
class Running:
    url: str
    token: str
    ca_pem: str
    kubeconfig: Path
    folder: Path
    pid: int


@contextmanager
def embedded_server(folder: Path, *arguments: str) -> Iterator[Running]:
    """Start it, wait for its address, and stop it in the end."""
    kubeconfig = folder / "kubeconfig"
    command = [sys.executable, "-m", "rollout.sandbox.apiserver", "--data-dir", str(folder)]
    with subprocess.Popen(
        [*command, "--kubeconfig", str(kubeconfig), *arguments], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert url, "the server ended before it served"
            config = yaml.safe_load(kubeconfig.read_text())
            token = config["users"][0]["user"]["token"]
            yield Running(url, token, (folder / "ca.crt").read_text(), kubeconfig, folder, process.pid)
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
