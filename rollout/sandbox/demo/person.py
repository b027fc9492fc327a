"""A person with a clone: commits and pushes as anybody would, over HTTP with an account."""

import os
import subprocess
from pathlib import Path
from urllib.parse import quote, urlsplit

from rollout.sandbox.box import write_private

GIT_SECONDS_MAX = 60


class Person:
    """Somebody who releases by pushing.

    Args:
        folder: where the clone is made.
        url: of the repository.
        username, password: the account; kept in a private file, never in an argument.
        name: author of the commits.
    """

    def __init__(self, folder: Path, url: str, username: str, password: str, name: str = "Ada") -> None:
        self.clone, self.name = folder / "clone", name
        folder.mkdir(parents=True, exist_ok=True)
        parts = urlsplit(url)
        store = folder / "credentials"
        write_private(store, f"{parts.scheme}://{quote(username)}:{quote(password, safe='')}@{parts.netloc}\n")
        self._config = [f"credential.helper=store --file={store}", "protocol.allow=never", "protocol.http.allow=always"]
        self._config += [f"user.name={name}", f"user.email={name.lower()}@shop.example", "commit.gpgSign=false"]
        if not self.clone.exists():
            self.git("clone", "--quiet", url, str(self.clone), cwd=folder)

    def git(self, *arguments: str, cwd: Path | None = None) -> str:
        """Run git; returns its output, raises CalledProcessError."""
        options = [word for setting in self._config for word in ("-c", setting)]
        environment = {**os.environ, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
        environment["GIT_TERMINAL_PROMPT"] = "0"
        done = subprocess.run(
            ["git", *options, *arguments],
            cwd=cwd or self.clone,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
            timeout=GIT_SECONDS_MAX,
        )
        return done.stdout.strip()

    def push(self, subject: str, files: dict[str, str]) -> str:
        """Change files on top of what the host has, and push; returns the commit."""
        if self.git("ls-remote", "--heads", "origin", "main"):
            self.git("fetch", "--quiet", "origin", "main")
            self.git("checkout", "--quiet", "-B", "main", "origin/main")
        else:
            self.git("checkout", "--quiet", "-B", "main")
        for path, text in files.items():
            target = self.clone / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", subject)
        self.git("push", "--quiet", "origin", "main")
        return self.git("rev-parse", "HEAD")

    def read(self, path: str) -> str:
        """A file as the host has it now."""
        self.git("fetch", "--quiet", "origin", "main")
        return self.git("show", f"origin/main:{path}") + "\n"

    def log(self, since: str = "", count: int = 20) -> list[str]:
        """Commits of the host, newest first: `<hash> <author>: <subject>`."""
        self.git("fetch", "--quiet", "origin", "main")
        span = f"{since}..origin/main" if since else "origin/main"
        return self.git("log", f"--max-count={count}", "--format=%h %an: %s", span).splitlines()
