"""`python -m rollout.sandbox.prometheus`: the metrics of a sandbox as a process; with --binary by a real Prometheus."""

import argparse
import asyncio
import contextlib
import logging
import signal
from pathlib import Path

from aiohttp import web

from rollout.kube.client import KubeClient
from rollout.kube.connection import Connection
from rollout.kube.resources import PODS
from rollout.runtime.files import write_json
from rollout.sandbox.informer import Informer
from rollout.sandbox.parts import free_port
from rollout.sandbox.prometheus.api import make_app
from rollout.sandbox.prometheus.real import RealPrometheus
from rollout.sandbox.prometheus.scrape import Scraper
from rollout.sandbox.prometheus.store import Store


async def _serve(arguments: argparse.Namespace) -> None:
    connection = Connection(str(arguments.kubeconfig))
    try:
        await (_real if arguments.binary else _ours)(arguments, connection)
    finally:
        await connection.close()


async def _ours(arguments: argparse.Namespace, connection: Connection) -> None:
    store = Store(arguments.data_dir)
    pods = Informer(connection, KubeClient(connection), PODS, lambda _: None)
    runner = web.AppRunner(make_app(store), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", arguments.port).start()
    _tell_port(arguments, runner.addresses[0][1])
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(pods.run())
            tasks.create_task(Scraper(pods.cache, store, _seconds(arguments)).run())
    finally:
        await runner.cleanup()
        store.close()


async def _real(arguments: argparse.Namespace, connection: Connection) -> None:
    port = arguments.port or free_port()
    prometheus = RealPrometheus(arguments.binary, arguments.data_dir, port, _seconds(arguments))
    pods = Informer(connection, KubeClient(connection), PODS, prometheus.changed)
    _tell_port(arguments, port)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(pods.run())
        tasks.create_task(prometheus.run(pods.cache))


def _tell_port(arguments: argparse.Namespace, port: int) -> None:
    write_json(arguments.ports_file, {"prometheus": port})


def _seconds(arguments: argparse.Namespace) -> float:
    return float(arguments.interval.removesuffix("s"))


async def _main(arguments: argparse.Namespace) -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    serving = asyncio.ensure_future(_serve(arguments))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await serving


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m rollout.sandbox.prometheus", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--ports-file", type=Path, required=True)
    parser.add_argument("--interval", default="1s")
    parser.add_argument("--binary", type=Path, help="a Prometheus to run in the place of the built-in one")
    asyncio.run(_main(parser.parse_args()))
