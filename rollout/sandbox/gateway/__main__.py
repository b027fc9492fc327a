"""`python -m rollout.sandbox.gateway`: the gateway of a sandbox as a process."""

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path

from rollout.errors import CoalmineError
from rollout.kube.connection import Connection
from rollout.runtime.files import write_json
from rollout.sandbox.gateway.controller import Controller
from rollout.sandbox.gateway.envoy import Envoy, find_envoy
from rollout.sandbox.parts import free_port

log = logging.getLogger("coalmine.sandbox.gateway")


async def _serve(arguments: argparse.Namespace) -> int:
    folder = arguments.data_dir.absolute()
    (folder / "xds").mkdir(parents=True, exist_ok=True)
    port = arguments.port or free_port()

    def started(admin: int) -> None:
        if arguments.ports_file is not None:
            write_json(arguments.ports_file, {"gateway": port, "admin": admin})

    envoy = Envoy(find_envoy(), folder, port, started)
    connection = Connection(str(arguments.kubeconfig))
    running = asyncio.ensure_future(Controller(connection, envoy, folder / "xds").run())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    try:
        await asyncio.gather(running, return_exceptions=True)
    finally:
        await connection.close()
    if running.cancelled():
        return 0
    log.error("the gateway failed", exc_info=running.exception())
    return 1


def main() -> int:
    """Run until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m rollout.sandbox.gateway", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--data-dir", type=Path, required=True, help="Envoy's files and log")
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--ports-file", type=Path, help="written once Envoy serves: {gateway, admin}")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        return asyncio.run(_serve(arguments))
    except CoalmineError as error:
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
