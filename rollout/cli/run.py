"""`coalmine run`: the operator against the current kubeconfig, or as the pod's service account."""

import argparse
import asyncio
import os
import signal
from pathlib import Path

from rollout.cli.arguments import Verbs
from rollout.runtime.settings import Settings


def add(commands: Verbs) -> None:
    """Add the verb."""
    parser = commands.add_parser(
        "run",
        help="run the operator",
        description="Run the operator. Several may run; the holder of the Lease acts, the others stand by.",
        epilog="example: coalmine run --namespace shop --log-format text",
    )
    parser.add_argument(
        "--namespace", action="append", default=[], dest="namespaces", help="watch only this namespace; repeatable"
    )
    parser.add_argument("--kubeconfig", default=argparse.SUPPRESS, help="default: $KUBECONFIG, then the pod's own")
    parser.add_argument("--context", default=argparse.SUPPRESS, help="context of the kubeconfig")
    parser.add_argument("--lease-namespace", default="", help="where the Lease is; default: the context's namespace")
    parser.add_argument("--lease-name", default="coalmine")
    parser.add_argument("--lease-seconds", type=float, default=15.0, help="how long others wait for a silent leader")
    parser.add_argument("--bind", default="127.0.0.1", help="address of the servers; 0.0.0.0 in a pod")
    parser.add_argument("--health-port", type=int, default=8080, help="0: a free one")
    parser.add_argument("--metrics-port", type=int, default=8090, help="0: a free one")
    parser.add_argument("--webhook-port", type=int, default=9293, help="0: a free one")
    parser.add_argument("--data-dir", type=Path, default=Settings().data_dir, help="Git mirrors; may be lost")
    parser.add_argument("--ports-file", type=Path, help="write the ports that were taken here, as JSON")
    parser.add_argument(
        "--metric-address", action="append", default=[], help="host that templates may query; repeatable"
    )
    parser.add_argument("--log-format", choices=["json", "text"], default="json")
    parser.add_argument("--log-level", default="INFO")
    parser.set_defaults(handler=run)


def run(arguments: argparse.Namespace) -> int:
    """Run until told to stop."""
    from rollout.runtime.telemetry import set_up_logging

    set_up_logging(arguments.log_format, arguments.log_level)
    settings = _settings(arguments)
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    return asyncio.run(_until_stopped(settings))


def _settings(arguments: argparse.Namespace) -> Settings:
    seconds = arguments.lease_seconds
    return Settings(
        kubeconfig=arguments.kubeconfig or os.environ.get("KUBECONFIG"),
        context=arguments.context,
        namespaces=(*arguments.namespaces, *([arguments.namespace] if arguments.namespace else [])),
        lease_namespace=arguments.lease_namespace,
        lease_name=arguments.lease_name,
        lease_duration_seconds=seconds,
        lease_renew_seconds=seconds * 2 / 3,
        lease_retry_seconds=seconds * 2 / 15,
        bind=arguments.bind,
        health_port=arguments.health_port,
        metrics_port=arguments.metrics_port,
        webhook_port=arguments.webhook_port,
        data_dir=arguments.data_dir,
        ports_file=arguments.ports_file,
        log_format=arguments.log_format,
        log_level=arguments.log_level,
        metric_addresses=tuple(arguments.metric_address),
    )


async def _until_stopped(settings: Settings) -> int:
    from rollout.runtime.operator import Operator

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(Operator(settings).run())
        running.add_done_callback(lambda _: stop.set())
        await stop.wait()
        running.cancel()
    return 0
