"""Children that die with their parent: nothing of a sandbox may survive it, whatever killed it."""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

PR_SET_PDEATHSIG = 1
_LIBC: Any = ctypes.CDLL(None) if sys.platform == "linux" else None


def die_with_parent() -> None:
    """In the child, before exec: SIGKILL when the parent thread's process ends (Linux)."""
    if _LIBC is not None:
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


async def start(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    log: Path | IO[bytes] | None = None,
    cwd: Path | None = None,
) -> asyncio.subprocess.Process:
    """Start a child in a session of its own.

    Args:
        command: program and arguments.
        env: variables beside this process' own.
        log: where its output goes; None: nowhere.
        cwd: its working folder.
    """
    sink: IO[bytes] | int = asyncio.subprocess.DEVNULL
    opened = log.open("ab") if isinstance(log, Path) else None
    if opened is not None or log is not None:
        sink = opened or log  # type: ignore[assignment]  # one of both is an open file here
    try:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            preexec_fn=die_with_parent,
        )
    finally:
        if opened is not None:
            opened.close()


async def stop(process: asyncio.subprocess.Process, grace_seconds: float) -> None:
    """SIGTERM, then SIGKILL when the grace is over."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(grace_seconds):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
