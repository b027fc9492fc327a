"""`coalmine get rollouts` and `coalmine get rollout NAME`: where Rollouts stand."""

import argparse
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from rollout.api.rollout import Rollout
from rollout.cli.answer import answer
from rollout.cli.arguments import Verbs, add_group, add_verb, object_name
from rollout.cli.family import read_family, watched_family
from rollout.cli.screen import Screen, make_screen, table
from rollout.cli.standing import standing
from rollout.cli.target import Absent, Cluster, in_cluster, patiently, show, typed
from rollout.cli.tree import draw
from rollout.cli.watching import RESYNC_SECONDS, Changes, Watched
from rollout.kube.resources import ROLLOUTS

Json = dict[str, Any]
Picture = Callable[[float | None], Awaitable[list[str]]]

CLEAR = "\x1b[H\x1b[2J"
REDRAW_SECONDS = 5.0


def add(commands: Verbs) -> None:
    """Add the verbs."""
    kinds = add_group(commands, "get", "show where Rollouts stand", "coalmine get rollouts -A")
    many = add_verb(
        kinds, "rollouts", run, words="all Rollouts of a namespace, in a table", example="coalmine get rollouts -A"
    )
    many.add_argument("-A", "--all-namespaces", action="store_true", help="Rollouts of all namespaces")
    one = add_verb(
        kinds, "rollout", run, words="one Rollout, as a tree of revisions, ReplicaSets, pods and AnalysisRuns",
        example="coalmine get rollout web -n shop -w",
    )  # fmt: skip
    one.add_argument("name", type=object_name, metavar="NAME", help="the Rollout")
    for parser in (many, one):
        parser.add_argument("-w", "--watch", action="store_true", help="stay, and show every change until Ctrl-C")
    many.set_defaults(name="")
    one.set_defaults(all_namespaces=False)


def run(arguments: argparse.Namespace) -> int:
    """Show the table or the tree."""
    return in_cluster(arguments, lambda cluster: _get(cluster, arguments))


async def _get(cluster: Cluster, arguments: argparse.Namespace) -> int:
    name, screen = arguments.name, make_screen()
    if name:
        watched, picture = watched_family(cluster.namespace, name), _tree(cluster, name, screen)
    else:
        namespace = None if arguments.all_namespaces else cluster.namespace
        watched, picture = [Watched(ROLLOUTS, namespace)], _table(cluster, namespace, screen)
    if arguments.watch:
        return await _follow(cluster, watched, picture)
    show(await patiently(picture(time.time()), "reading Rollouts"))
    return 0


def _tree(cluster: Cluster, name: str, screen: Screen) -> Picture:
    async def picture(now: float | None) -> list[str]:
        return draw(await read_family(cluster, name), screen, now)

    return picture


def _table(cluster: Cluster, namespace: str | None, screen: Screen) -> Picture:
    async def picture(_: float | None) -> list[str]:
        found = await cluster.client.list(ROLLOUTS, namespace)
        if not found:
            return [f"no Rollouts in {f'namespace {namespace}' if namespace else 'any namespace'}"]
        return rollout_table(found, screen, namespaces=namespace is None)

    return picture


async def _follow(cluster: Cluster, watched: list[Watched], picture: Picture) -> int:
    """Redraw a terminal; elsewhere print each picture that differs from the one before, ages left out."""
    terminal, last = sys.stdout.isatty(), None

    async def look() -> None:
        nonlocal last
        lines = await picture(time.time() if terminal else None)
        if terminal:
            show([CLEAR + lines[0], *lines[1:]])
        elif lines != last:
            show(lines if last is None else ["", *lines])
        last = lines

    await look()  # Who cannot read now will not read later; only from then on an outage is forgiven.
    async with Changes(cluster, watched) as changes:
        try:
            await changes.until(look, REDRAW_SECONDS if terminal else RESYNC_SECONDS)
        except Absent:
            show(["", "the Rollout is gone"])
    return 0


def rollout_table(found: list[Json], screen: Screen, *, namespaces: bool) -> list[str]:
    """Rollouts in columns, as Argo lists them.

    Args:
        found: live Rollouts.
        screen: what the reader can see.
        namespaces: whether the namespace is a column.
    """
    head = ("NAME", "STRATEGY", "STATUS", "STEP", "SET-WEIGHT", "READY", "DESIRED", "UP-TO-DATE", "AVAILABLE")
    rows = []
    for live in sorted(found, key=lambda o: (o["metadata"].get("namespace", ""), o["metadata"]["name"])):
        rollout = typed(live, Rollout)
        place, status = standing(rollout), rollout.status
        row = (
            rollout.metadata.name,
            place.strategy,
            screen.status(answer(rollout).phase),
            place.step or "-",
            place.set_weight or "-",
            f"{status.ready_replicas}/{status.replicas}",
            str(place.replicas),
            str(status.updated_replicas),
            str(status.available_replicas),
        )
        rows.append((rollout.metadata.namespace, *row) if namespaces else row)
    return table(("NAMESPACE", *head) if namespaces else head, rows)
