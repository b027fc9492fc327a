"""`coalmine status NAME`: wait for a Rollout, and end with an exit code that CI can read."""

import argparse
import asyncio

from rollout.api.rollout import Rollout
from rollout.cli.answer import Answer, Outcome, answer, hint
from rollout.cli.arguments import FAILED, TIMED_OUT, Verbs, add_timeout, add_verb, object_name
from rollout.cli.target import Cluster, in_cluster, show, tell, typed
from rollout.cli.watching import Changes, Watched
from rollout.kube.resources import ROLLOUTS

MORE = """\
Exit codes: 0 healthy, 1 failed (Degraded: aborted, stuck or invalid; or an error), 2 not yet healthy when the time was
over, 3 wrong usage. A status about an older generation of the spec is not an answer: it is waited for."""


def add(commands: Verbs) -> None:
    """Add the verb."""
    parser = add_verb(
        commands,
        "status",
        run,
        words="wait until a Rollout is healthy or has failed",
        more=MORE,
        example="coalmine status web -n shop --timeout 10m\ncoalmine status web --no-watch",
    )
    parser.add_argument("name", type=object_name, metavar="NAME", help="the Rollout")
    parser.add_argument(
        "-w",
        "--watch",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="wait; else look once (default: wait)",
    )
    add_timeout(parser, "5m")


def run(arguments: argparse.Namespace) -> int:
    """Wait, or look once."""
    return in_cluster(arguments, lambda cluster: _status(cluster, arguments))


async def _status(cluster: Cluster, arguments: argparse.Namespace) -> int:
    rollout = typed(await cluster.find(ROLLOUTS, arguments.name), Rollout)
    seen = _told(rollout)
    if seen.outcome is Outcome.WAITING and arguments.watch:
        try:
            async with asyncio.timeout(arguments.timeout or None):
                seen = await _wait(cluster, arguments.name, seen)
        except TimeoutError:
            rollout = typed(await cluster.find(ROLLOUTS, arguments.name), Rollout)
            way = hint(rollout)
            tell(f"timed out after {arguments.timeout:g} s" + (f"; {way}" if way else ""))
            return TIMED_OUT
    return {Outcome.HEALTHY: 0, Outcome.FAILED: FAILED, Outcome.WAITING: TIMED_OUT}[seen.outcome]


async def _wait(cluster: Cluster, name: str, told: Answer) -> Answer:
    """Tell every change until the answer is final."""

    async def look() -> Answer | None:
        nonlocal told
        rollout = typed(await cluster.find(ROLLOUTS, name), Rollout)
        seen = answer(rollout)
        if seen != told:
            told = _told(rollout)
        return None if seen.outcome is Outcome.WAITING else seen

    async with Changes(cluster, [Watched(ROLLOUTS, cluster.namespace, name)]) as changes:
        return await changes.until(look)


def _told(rollout: Rollout) -> Answer:
    """Say where it stands, and how a person may go on where it waits for one."""
    seen = answer(rollout)
    show([seen.line])
    if seen.phase == "Paused" and (way := hint(rollout)):
        tell(way)
    return seen
