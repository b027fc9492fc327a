"""`python -m rollout.sandbox.apiserver --data-dir D [--port P]`: the API server as a process.

It prints its address once it serves, and ends on SIGTERM, on SIGINT and with its parent.
"""

import argparse
import asyncio
import ctypes
import logging
import os
import signal
import sys
from pathlib import Path

from rollout.sandbox.apiserver.api import ApiServer, Tuning, write_kubeconfig
from rollout.sandbox.apiserver.auth import read_tokens

PR_SET_PDEATHSIG = 1


def end_with_parent(parent: int) -> None:
    """Ask Linux for SIGTERM when the parent dies; elsewhere the parent has to see to it.

    Args:
        parent: its process id, to notice a parent that died before this call.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            sys.exit(1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m rollout.sandbox.apiserver", description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True, help="certificates, tokens, state and audit log")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--crds", type=Path, action="append", default=[], help="file or folder, repeatable")
    parser.add_argument("--token-file", type=Path, help="token,user,uid,groups a line; default: one of its own")
    parser.add_argument("--kubeconfig", type=Path, help="write a kubeconfig for the user `admin` here")
    parser.add_argument("--window", type=int, default=10_000, help="changes kept a resource, for watches")
    parser.add_argument("--bookmark-seconds", type=float, default=30.0)
    parser.add_argument("--no-persistence", action="store_true", help="forget all objects at the end")
    return parser.parse_args()


async def _serve(arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    tuning = Tuning(not arguments.no_persistence, arguments.window, arguments.bookmark_seconds)
    tokens = read_tokens(arguments.token_file) if arguments.token_file else None
    server = ApiServer(
        arguments.data_dir, host=arguments.host, port=arguments.port, tokens=tokens,
        crds=arguments.crds, tuning=tuning,
    )  # fmt: skip
    async with server:
        if arguments.kubeconfig:
            write_kubeconfig(arguments.kubeconfig, server.kubeconfig())
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        await stop.wait()


def main() -> None:
    """Run until told to stop."""
    end_with_parent(os.getppid())
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    asyncio.run(_serve(_arguments()))


if __name__ == "__main__":
    main()
