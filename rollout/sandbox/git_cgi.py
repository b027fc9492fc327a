"""`git http-backend` as CGI: the server side of smart HTTP, exactly as Git hosts run it."""

import asyncio
import os
import re
import shlex
import subprocess
import tempfile
from pathlib import Path

from aiohttp import web

BODY_BYTES_MAX = 256 * 1024 * 1024
_TIMEOUT_SECONDS = 120.0
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
_REQUEST = re.compile(r"^/([^/]+)\.git/(info/refs|git-upload-pack|git-receive-pack)$")
_CHUNK_BYTES = 1 << 16


class GitBackend:
    """Bare repositories in a folder, and the CGI program that serves them."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def create(self, name: str, branch: str) -> Path:
        """Create an empty bare repository where there is none."""
        if not _NAME.match(name):
            raise ValueError(f"{name!r} is not a name of a repository")
        path = self.root / f"{name}.git"
        if not path.exists():
            self._git("init", "--quiet", "--bare", f"--initial-branch={branch}", "--template=", str(path))
            self._git("-C", str(path), "config", "http.receivepack", "true")
            self._git("-C", str(path), "config", "uploadpack.allowAnySHA1InWant", "true")
        return path

    def log(self, name: str, branch: str, count: int) -> list[str]:
        """The newest commits, as `<hash> <author>: <subject>`; none where there is no such branch."""
        path = self.root / f"{name}.git"
        command = ["-C", str(path), "log", f"--max-count={count}", "--format=%h %an: %s", f"refs/heads/{branch}", "--"]
        try:
            return self._git(*command).splitlines()
        except subprocess.CalledProcessError:
            return []

    def install_refusing_hook(self, name: str, words: str, except_for: str) -> None:
        """A pre-receive hook that prints words and refuses, but for one user."""
        hooks = self.root / f"{name}.git" / "hooks"
        hooks.mkdir(exist_ok=True)
        hook = hooks / "pre-receive"
        exempt = f'[ "$REMOTE_USER" = {shlex.quote(except_for)} ] && exit 0\n' if except_for else ""
        hook.write_text(f"#!/bin/sh\n{exempt}cat >/dev/null\nprintf '%s\\n' {shlex.quote(words)} >&2\nexit 1\n")
        hook.chmod(0o755)

    def remove_hook(self, name: str) -> None:
        """Accept pushes again."""
        (self.root / f"{name}.git" / "hooks" / "pre-receive").unlink(missing_ok=True)

    async def serve(self, request: web.Request, user: str) -> web.Response:
        """Answer one request of the smart protocol; anything else is 404."""
        known = _REQUEST.match(request.path)
        if not known or not _NAME.match(known[1]) or not (self.root / f"{known[1]}.git").is_dir():
            return web.Response(status=404, text="no such repository\n")
        with tempfile.TemporaryFile() as body:
            size = 0
            async for chunk in request.content.iter_chunked(_CHUNK_BYTES):
                size += len(chunk)
                if size > BODY_BYTES_MAX:
                    return web.Response(status=413, text="too large\n")
                body.write(chunk)
            body.seek(0)
            process = await asyncio.create_subprocess_exec(
                "git",
                "http-backend",
                stdin=body,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env=self._variables(request, user, size),
            )
            try:
                output, _ = await asyncio.wait_for(process.communicate(), _TIMEOUT_SECONDS)
            except TimeoutError:
                process.kill()
                await process.wait()
                return web.Response(status=504, text="git took too long\n")
        return _from_cgi(output)

    def _variables(self, request: web.Request, user: str, size: int) -> dict[str, str]:
        """The environment of RFC 3875 that http-backend reads."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
            "REQUEST_METHOD": request.method,
            "PATH_INFO": request.path,
            "QUERY_STRING": request.query_string,
            "CONTENT_TYPE": request.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(size),
            "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", ""),
            "REMOTE_USER": user,
            "REMOTE_ADDR": "127.0.0.1",
        }

    @staticmethod
    def _git(*args: str) -> str:
        env = {
            "PATH": os.environ.get("PATH", os.defpath),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
        }
        done = subprocess.run(["git", *args], check=True, capture_output=True, env=env, timeout=_TIMEOUT_SECONDS)
        return done.stdout.decode(errors="replace")


def _from_cgi(output: bytes) -> web.Response:
    """An HTTP response out of CGI headers and body."""
    head, _, body = output.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode("latin-1").split("\r\n") if ": " in line)
    status = int(headers.pop("Status", "200").split()[0])
    return web.Response(status=status, headers=headers, body=body)
