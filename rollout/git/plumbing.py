"""One short git process a call: hardened environment, bounded time, bounded output.

GitPython starts the processes; its object layer, which keeps `git cat-file` children alive, is not used.
"""

import os
import selectors
import signal
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen, TimeoutExpired
from typing import Any

from git import Git

from rollout.errors import GitError, RemoteUnavailable
from rollout.git.errors import TooLarge, git_failure

OUTPUT_BYTES_MAX = 64 * 1024 * 1024
LOCAL_TIMEOUT_SECONDS = 60.0
_GUARD_SECONDS = 1.0

# Values are fixed here, never by a user: see the advisories that GitPython's changelog lists.
_CONFIG = {
    "core.hooksPath": "/dev/null",
    "core.quotePath": "false",
    "core.commitGraph": "false",
    "credential.helper": "",
    "fetch.recurseSubmodules": "false",
    "gc.auto": "0",  # Housekeeping is a call of its own, so that it never eats the time of a fetch.
    "gc.autoDetach": "false",
    "http.followRedirects": "false",  # A redirect would carry credentials to another host.
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "20",
    "merge.renames": "true",
    "protocol.allow": "never",
    "protocol.http.allow": "always",  # Validation admits http for loopback only.
    "protocol.https.allow": "always",
    "safe.directory": "*",
    "transfer.fsckObjects": "true",
}


def environment(directory: Path, extra: Mapping[str, str], config: Mapping[str, str]) -> dict[str, str]:
    """Environment of a git process: no system or user configuration, no prompts, no foreign protocols.

    Args:
        directory: the bare repository.
        extra: further variables, such as credentials' files or dates.
        config: further configuration of git for this call.
    """
    entries = list({**_CONFIG, **config}.items())
    numbered = {f"GIT_CONFIG_KEY_{i}": key for i, (key, _) in enumerate(entries)}
    numbered |= {f"GIT_CONFIG_VALUE_{i}": value for i, (_, value) in enumerate(entries)}
    return {
        "GIT_ALLOW_PROTOCOL": "http:https",
        "GIT_ASKPASS": "/bin/false",
        "GIT_CONFIG_COUNT": str(len(entries)),
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_PARAMETERS": "",
        "GIT_DIR": str(directory),
        "GIT_INDEX_FILE": str(directory / "no-index"),
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_TRACE": "0",
        "GIT_TRACE_CURL": "0",
        **numbered,
        **extra,
    }


@dataclass(frozen=True, slots=True)
class Answer:
    """What a git process gave back."""

    code: int
    stdout: bytes
    stderr: str

    @property
    def text(self) -> str:
        """Output as text without the last line break; undecodable bytes are replaced."""
        return self.stdout.decode("utf-8", "replace").removesuffix("\n")


@dataclass(frozen=True, slots=True)
class Plumbing:
    """git in one bare repository.

    Attributes:
        directory: the bare repository.
        variables: environment of every call, such as the askpass helper.
        config: configuration of every call.
        secrets: strings that no message may show.
        timeout_seconds: limit of one process.
        url: the remote that calls are about, for messages.
        guard: asked about every second while a process runs; what it raises ends the process.
    """

    directory: Path
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    config: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    timeout_seconds: float = LOCAL_TIMEOUT_SECONDS
    url: str = ""
    guard: Callable[[], None] = field(default=lambda: None, repr=False)

    def run(self, *args: str, stdin: bytes = b"", variables: Mapping[str, str] | None = None) -> str:
        """Text that git printed; raises GitError or RemoteUnavailable with what git said."""
        return self.check(*args, stdin=stdin, variables=variables).text

    def check(self, *args: str, stdin: bytes = b"", variables: Mapping[str, str] | None = None) -> Answer:
        """Answer of a call that must succeed; raises GitError or RemoteUnavailable with what git said."""
        answer = self.attempt(*args, stdin=stdin, variables=variables)
        if answer.code != 0:
            raise git_failure(args[0], self.url, answer.stderr or answer.text)
        return answer

    def attempt(self, *args: str, stdin: bytes = b"", variables: Mapping[str, str] | None = None) -> Answer:
        """Answer of a call that may fail; raises RemoteUnavailable when it takes too long."""
        env = environment(self.directory, {**self.variables, **(variables or {})}, self.config)
        with tempfile.TemporaryFile() as source:
            source.write(stdin)
            source.seek(0)
            started = Git(self.directory).execute(
                ["git", *args], istream=source, as_process=True, env=env, start_new_session=True
            )
            process: Popen[bytes] = started.proc  # type: ignore[assignment]
            try:
                stdout, stderr = _collect(process, self.timeout_seconds, self.guard)
            except (TimeoutError, TimeoutExpired):
                slow = f"git {args[0]} took longer than {self.timeout_seconds:g} s"
                raise RemoteUnavailable(f"{slow}; trying again") from None
            finally:
                _end(process)
        return Answer(process.returncode, stdout, self.scrub(stderr.decode("utf-8", "replace")))

    def scrub(self, text: str) -> str:
        """The text without secrets."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text


def _collect(process: "Popen[bytes]", timeout_seconds: float, guard: Callable[[], None]) -> tuple[bytes, bytes]:
    """Both outputs until their ends; raises TimeoutError, TooLarge above the bound, or what the guard raises."""
    now = time.monotonic()
    deadline, ask_at = now + timeout_seconds, now + _GUARD_SECONDS
    chunks: dict[Any, bytearray] = {process.stdout: bytearray(), process.stderr: bytearray()}
    with selectors.DefaultSelector() as selector:
        for stream in chunks:
            selector.register(stream, selectors.EVENT_READ)
        while selector.get_map():
            now = time.monotonic()
            if now >= deadline:
                raise TimeoutError
            if now >= ask_at:
                guard()
                ask_at = now + _GUARD_SECONDS
            for key, _ in selector.select(max(0.0, min(deadline, ask_at) - now)):
                chunk = chunks[key.fileobj]
                data = os.read(key.fd, 1 << 16)
                chunk += data
                if not data:
                    selector.unregister(key.fileobj)
                if len(chunk) > OUTPUT_BYTES_MAX:
                    raise TooLarge(f"git printed more than {OUTPUT_BYTES_MAX} bytes")
    process.wait(max(1.0, deadline - time.monotonic()))
    return bytes(chunks[process.stdout]), bytes(chunks[process.stderr])


def _end(process: "Popen[bytes]") -> None:
    """End the process with all its children (git runs helpers), and close its pipes.

    A process that was not waited for keeps its number, so the group is still the one that we started.
    """
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def one_line(output: str, what: str) -> str:
    """The single word that git printed; raises GitError when it printed something else."""
    if not output or len(output.split()) != 1:
        raise GitError(f"git answered {output[:80]!r} where {what} was expected")
    return output
