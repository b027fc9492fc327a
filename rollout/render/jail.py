"""A renderer's process: empty environment, a folder of its own, limits of memory, time and output."""

import os
import resource
import signal
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from rollout.domain.words import printable
from rollout.errors import RenderError
from rollout.render.limits import Limits

_OUTPUT_BYTES_MAX = 64 * 1024 * 1024
_ERROR_BYTES_MAX = 4000
_OPEN_FILES_MAX = 256
# Nothing that names the network gets this far; what does all the same finds a proxy where nobody listens.
_NOBODY = "http://127.0.0.1:9"
_ENVIRONMENT = {"PATH": "/nonexistent", "LC_ALL": "C.UTF-8", "HTTP_PROXY": _NOBODY, "HTTPS_PROXY": _NOBODY}


def run_jailed(command: list[str], folder: Path, limits: Limits) -> bytes:
    """Output of a program that can read the folder and knows nothing else; raises RenderError.

    Args:
        command: program and arguments.
        folder: its working directory and home.
        limits: seconds (of CPU, and twice as many of time) and bytes of memory.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**_ENVIRONMENT, "HOME": str(folder), "TMPDIR": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
            preexec_fn=_limiter(limits),  # noqa: PLW1509  setrlimit only, which is safe after fork.
        )
        try:
            code = process.wait(2 * limits.seconds)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise RenderError(f"the renderer took longer than {2 * limits.seconds:g} s") from None
        out.seek(0)
        err.seek(0)
        output, words = out.read(_OUTPUT_BYTES_MAX + 1), err.read(_ERROR_BYTES_MAX)
    if code != 0:
        said = printable(words.decode("utf-8", "replace").replace(str(folder), "").strip())
        raise RenderError(said or f"the renderer ended with code {code} (memory or time limit?)")
    return output


def _limiter(limits: Limits) -> Callable[[], None]:
    """Sets the limits in the child, between fork and exec."""
    bounds = (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_CPU, int(limits.seconds)),
        (resource.RLIMIT_FSIZE, _OUTPUT_BYTES_MAX),
        (resource.RLIMIT_NOFILE, _OPEN_FILES_MAX),
        (resource.RLIMIT_CORE, 0),
    )

    def limit() -> None:
        for kind, bound in bounds:
            resource.setrlimit(kind, (bound, bound))

    return limit
