"""`coalmine sandbox demo | tune | up | past | down | status`: the whole loop on a laptop, no cluster needed."""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from rollout.cli.arguments import Parser, Verbs, namespace_name, object_name

UP_SECONDS_MAX = 600
DOWN_SECONDS_MAX = 60


def add(commands: Verbs) -> None:
    """Add the verbs."""
    parser = commands.add_parser("sandbox", help="the whole loop on this machine, without a cluster")
    verbs = parser.add_subparsers(metavar="VERB", required=True, parser_class=Parser)
    demo = verbs.add_parser(
        "demo",
        help="watch a good and a bad release, and the revert in Git",
        epilog="example: coalmine sandbox demo --report report.html",
    )
    demo.add_argument("--data", type=Path, help="folder to keep; default: a new temporary one")
    demo.add_argument("--report", type=Path, help="where the report goes; default: report.html in the folder")
    demo.set_defaults(handler=run_demo)
    tune = verbs.add_parser(
        "tune",
        help="watch a FailureModel being fitted, certified and used",
        epilog="example: coalmine sandbox tune --data ~/box",
    )
    tune.add_argument("--data", type=Path, help="folder to keep; default: a new temporary one")
    tune.set_defaults(handler=run_tune)
    past = verbs.add_parser(
        "past",
        help="give a Rollout of a running sandbox a past that it did not live through, to fit models on",
        epilog="example: coalmine sandbox past checkout",
    )
    past.add_argument("rollout", type=object_name, metavar="ROLLOUT", help="whose pods it was")
    past.add_argument("-n", "--namespace", type=namespace_name, default="default", help="of the Rollout")
    past.add_argument("--pods", type=int, choices=range(2, 51), default=6, metavar="N", help="2 to 50; default: 6")
    up = verbs.add_parser("up", help="start a sandbox in a folder", epilog="example: coalmine sandbox up --data ~/box")
    up.add_argument("--foreground", action="store_true", help="stay until Ctrl-C instead of leaving it running")
    down = verbs.add_parser(
        "down", help="end it; its data stay in the folder", epilog="example: coalmine sandbox down --data ~/box"
    )
    status = verbs.add_parser(
        "status", help="what runs, and where", epilog="example: coalmine sandbox status --data ~/box"
    )
    for verb, handler in ((up, run_up), (down, run_down), (status, run_status), (past, run_past)):
        verb.add_argument("--data", type=Path, default=Path(".sandbox"), help="its folder; default: .sandbox")
        verb.set_defaults(handler=handler)


def run_demo(arguments: argparse.Namespace) -> int:
    """Play the demo; 0 where all three releases ended as they had to."""
    folder = arguments.data or Path(tempfile.mkdtemp(prefix="coalmine-demo-"))
    report = arguments.report or folder / "report.html"
    return asyncio.run(_until_signal(_demo(folder, report)))


async def _demo(folder: Path, report: Path) -> int:
    from rollout.sandbox.box import Sandbox
    from rollout.sandbox.demo.report import write_report
    from rollout.sandbox.demo.scenario import Scenario
    from rollout.sandbox.demo.view import make_view, summary

    with make_view() as view:
        view.tell(f"Starting a sandbox in {folder}")
        async with Sandbox(folder) as box:
            scenario = Scenario(box, view.tell, view.show)
            story = await scenario.play()
    write_report(story, report)
    print(f"\n{summary(story)}\n\nGit log:")
    print("\n".join(f"  {line}" for line in story.log))
    print(f"\nReport: {report}")
    return 0 if story.outcomes and all(outcome.as_told for outcome in story.outcomes) else 1


def run_tune(arguments: argparse.Namespace) -> int:
    """Play the tuning; 0 where the release was judged with the certified model."""
    folder = arguments.data or Path(tempfile.mkdtemp(prefix="coalmine-tune-"))
    return asyncio.run(_until_signal(_tune(folder)))


async def _tune(folder: Path) -> int:
    from rollout.sandbox.box import Sandbox
    from rollout.sandbox.demo.tuning import Tuning
    from rollout.sandbox.demo.view import PlainView

    with PlainView() as view:
        view.tell(f"Starting a sandbox in {folder}")
        async with Sandbox(folder) as box:
            tuning = Tuning(box, view.tell, lambda _: None)
            await tuning.play()
    print("\nGit log:\n" + "\n".join(f"  {line}" for line in tuning.story.log))
    return 0 if tuning.certified else 1


def run_past(arguments: argparse.Namespace) -> int:
    """Import a past that ends now."""
    from rollout.sandbox.box import running_pid
    from rollout.sandbox.demo.past import DAYS, give_past

    ready = arguments.data.absolute() / "ready.json"
    if running_pid(arguments.data.absolute()) is None or not ready.exists():
        return run_status(arguments)
    prometheus = json.loads(ready.read_text())["places"]["prometheus"]
    asyncio.run(give_past(prometheus, arguments.namespace, arguments.rollout, arguments.pods, time.time()))
    whose = f"{arguments.namespace}/{arguments.rollout}"
    print(f"{whose} has {DAYS:.0f} days of requests and errors now, of {arguments.pods} pods")
    return 0


async def _until_signal(work: Coroutine[Any, Any, int]) -> int:
    """Run until it ends, or a signal ends it; children end in either case."""
    task = asyncio.ensure_future(work)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        return 130


def run_up(arguments: argparse.Namespace) -> int:
    """Start a sandbox, and tell how to use it."""
    if arguments.foreground:
        return asyncio.run(_until_signal(_stay(arguments.data)))
    from rollout.sandbox.box import running_pid

    folder = arguments.data.absolute()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if running_pid(folder) is not None:
        print(f"a sandbox runs in {folder} already")
        return 0
    (folder / "ready.json").unlink(missing_ok=True)
    command = [sys.executable, "-m", "rollout.cli.main", "sandbox", "up", "--foreground", "--data", str(folder)]
    with (folder / "up.log").open("ab") as log:
        child = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
    print(f"starting a sandbox in {folder} ...", flush=True)
    deadline = time.monotonic() + UP_SECONDS_MAX
    while not (folder / "ready.json").exists():
        if child.poll() is not None or time.monotonic() > deadline:
            child.terminate()
            print(f"the sandbox did not start; the end of {folder / 'up.log'}:", file=sys.stderr)
            print((folder / "up.log").read_text()[-2000:], file=sys.stderr)
            return 1
        _nap()
    return run_status(arguments)


async def _stay(folder: Path) -> int:
    from rollout.runtime.files import write_json
    from rollout.sandbox.box import Sandbox

    async with Sandbox(folder) as box:
        places = {"kubeconfig": str(box.kubeconfig), "git": box.git_url, "prometheus": box.prometheus_url}
        places |= {"gateway": box.gateway_url, "images": str(box.images)}
        facts: dict[str, dict[str, Any]] = {"places": places, "processes": box.processes()}
        write_json(box.folder / "ready.json", facts)
        print(_told(facts), flush=True)
        try:
            await asyncio.Event().wait()
        finally:
            (box.folder / "ready.json").unlink(missing_ok=True)
    return 0


def _told(facts: dict[str, dict[str, Any]]) -> str:
    """Where everything is, which processes run, and what to do next."""
    places, processes = facts["places"], facts["processes"]
    images = sorted(path.parent.name + ":" + path.stem for path in Path(places["images"]).glob("*/*.json"))
    lines = [f"{name:11} {value}" for name, value in places.items()]
    lines.append(f"{'':11} {', '.join(images)}")
    states = [f"{name} {'running' if Path(f'/proc/{pid}').exists() else 'ENDED'}" for name, pid in processes.items()]
    lines.append(f"{'processes':11} {', '.join(states)}")
    return "\n".join([*lines, "", f"try: export KUBECONFIG={places['kubeconfig']}; kubectl get rollouts -A"])


def run_down(arguments: argparse.Namespace) -> int:
    """End a sandbox."""
    from rollout.sandbox.box import running_pid

    folder = arguments.data.absolute()
    pid = running_pid(folder)
    if pid is None:
        print(f"no sandbox runs in {folder}")
        return 0
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + DOWN_SECONDS_MAX
    while running_pid(folder) is not None:
        if time.monotonic() > deadline:
            print(f"process {pid} does not end; its logs are in {folder}/logs", file=sys.stderr)
            return 1
        _nap()
    print("ended; the data stay in the folder")
    return 0


def run_status(arguments: argparse.Namespace) -> int:
    """Say what runs, and where."""
    from rollout.sandbox.box import running_pid

    folder = arguments.data.absolute()
    ready = folder / "ready.json"
    if running_pid(folder) is None or not ready.exists():
        print(f"no sandbox runs in {folder}; start one with `coalmine sandbox up --data {folder}`")
        return 1
    print(_told(json.loads(ready.read_text())))
    return 0


def _nap() -> None:
    """Wait a moment for another process; this process has nothing else to do."""
    time.sleep(0.1)  # noqa: TID251  no loop runs here that could be blocked
