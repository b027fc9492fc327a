"""A person's clone: commits, merges and pushes with real git."""

import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

_ENV = {
    "PATH": os.environ.get("PATH", os.defpath),
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_AUTHOR_NAME": "Human",
    "GIT_AUTHOR_EMAIL": "human@example.com",
    "GIT_COMMITTER_NAME": "Human",
    "GIT_COMMITTER_EMAIL": "human@example.com",
}


class Work:
    """A work tree whose origin is a bare repository."""

    def __init__(self, bare: Path, folder: Path) -> None:
        self.bare, self.folder = bare, folder
        if not bare.exists():
            self._run("init", "-q", "--bare", "-b", "main", str(bare))
        self._run("clone", "-q", str(bare), str(folder))
        if not self._has_head():
            self.git("symbolic-ref", "HEAD", "refs/heads/main")

    def git(self, *args: str) -> str:
        """Output of a git command in the work tree."""
        return self._run("-C", str(self.folder), *args)

    def write(self, path: str, text: str | bytes) -> None:
        """Write one file."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())

    def commit(
        self,
        message: str,
        files: Mapping[str, str | bytes] | None = None,
        *,
        remove: Iterable[str] = (),
        push: bool = True,
    ) -> str:
        """Write and delete files, commit, push; returns the commit."""
        for path, text in (files or {}).items():
            self.write(path, text)
        for path in remove:
            self.git("rm", "-q", "--", path)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        if push:
            self.push()
        return self.head()

    def head(self) -> str:
        """The commit that is checked out."""
        return self.git("rev-parse", "HEAD")

    def push(self) -> None:
        """Push the branch."""
        self.git("push", "-q", "origin", "HEAD:refs/heads/main")

    def pull(self) -> str:
        """Take what others pushed; returns the new head."""
        self.git("fetch", "-q", "origin", "main")
        self.git("reset", "-q", "--hard", "FETCH_HEAD")
        return self.head()

    def read(self, path: str) -> str:
        """Contents of a file."""
        return (self.folder / path).read_text()

    def _has_head(self) -> bool:
        done = subprocess.run(
            ["git", "-C", str(self.folder), "rev-parse", "-q", "--verify", "HEAD"],
            env=_ENV,
            capture_output=True,
            check=False,
        )
        return done.returncode == 0

    @staticmethod
    def _run(*args: str) -> str:
        done = subprocess.run(["git", *args], env=_ENV, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, f"git {args}: {done.stderr}"
        return done.stdout.strip()


def bare_head(bare: Path, branch: str = "main") -> str:
    """The head of a branch on the host."""
    return Work._run("-C", str(bare), "rev-parse", f"refs/heads/{branch}")


def bare_log(bare: Path, form: str = "%s", branch: str = "main") -> list[str]:
    """The log of a branch on the host, newest first."""
    return Work._run("-C", str(bare), "log", f"--format={form}", branch).splitlines()


def bare_show(bare: Path, path: str, branch: str = "main") -> str:
    """A file at the head of a branch on the host."""
    return Work._run("-C", str(bare), "show", f"{branch}:{path}")
