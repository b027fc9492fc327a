"""`coalmine promote | abort | retry | pause | restart | undo`: steering a Rollout by hand."""

import argparse
import asyncio
import time
from collections.abc import Callable

from rollout.api.rollout import Rollout
from rollout.cli.arguments import Verbs, add_verb, object_name, seconds
from rollout.cli.claims import find_claim
from rollout.cli.family import read_replica_sets
from rollout.cli.patches import NotPossible, Steering, abortion, pausing, promotion, restarting, retrial
from rollout.cli.revisions import undo
from rollout.cli.target import Cluster, Json, in_cluster, patiently, show, tell, typed
from rollout.cli.watching import Changes, Watched
from rollout.errors import Conflict
from rollout.kube.resources import ROLLOUTS

Decide = Callable[[Rollout], Steering]

UNSEEN_SECONDS = 10.0
_RACES_MAX = 5


def add(commands: Verbs) -> None:
    """Add the verbs."""
    promote = _verb(
        commands, "promote", "go on from a pause, or skip the current step", run_promote,
        "Paused: the pause ends. Not paused: the current step is skipped. Nothing is written to Git.",
        example="coalmine promote web -n shop\ncoalmine promote web --full",
    )  # fmt: skip
    promote.add_argument("--full", action="store_true", help="skip all steps and the analysis that are left")
    _verb(commands, "abort", "give an update up: traffic goes back to stable", run_abort)
    _verb(commands, "retry", "begin an aborted update again at its first step", run_retry)
    _verb(commands, "pause", "stop all progress until it is promoted", run_pause)
    restart = _verb(
        commands, "restart", "replace all pods, a few at a time", run_restart,
        "Pods are evicted, no more at a time than `maxUnavailable` (and disruption budgets) allow.",
        example="coalmine restart web -n shop\ncoalmine restart web --in 10m",
    )  # fmt: skip
    restart.add_argument(
        "--in", dest="delay", type=seconds, default=0.0, metavar="DURATION", help="begin later, such as 10m"
    )
    back = _verb(
        commands, "undo", "go back to an earlier revision, through the steps", run_undo,
        "Refused where an Application applies the Rollout from Git: it would take the undo back. Revert in Git then.",
        example="coalmine undo web -n shop\ncoalmine undo web --to-revision 3",
    )  # fmt: skip
    back.add_argument(
        "--to-revision", type=_revision, default=0, metavar="N", help="default: the one before the newest"
    )


def _verb(
    commands: Verbs,
    name: str,
    words: str,
    handler: Callable[[argparse.Namespace], int],
    more: str = "",
    example: str = "",
) -> argparse.ArgumentParser:
    shown = example or f"coalmine {name} web -n shop"
    parser = add_verb(commands, name, handler, words=words, more=more, example=shown)
    parser.add_argument("name", type=object_name, metavar="NAME", help="the Rollout")
    return parser


def _revision(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no revision; `coalmine get rollout NAME` shows their numbers")
    return int(text)


def run_promote(arguments: argparse.Namespace) -> int:
    """Promote."""
    return _steer(arguments, lambda rollout: promotion(rollout, full=arguments.full))


def run_abort(arguments: argparse.Namespace) -> int:
    """Abort."""
    return _steer(arguments, abortion)


def run_retry(arguments: argparse.Namespace) -> int:
    """Retry."""
    return _steer(arguments, retrial)


def run_pause(arguments: argparse.Namespace) -> int:
    """Pause."""
    return _steer(arguments, pausing)


def run_restart(arguments: argparse.Namespace) -> int:
    """Restart."""
    return _steer(arguments, lambda _: restarting(time.time(), arguments.delay))


def run_undo(arguments: argparse.Namespace) -> int:
    """Undo."""
    return in_cluster(arguments, lambda cluster: _undo(cluster, arguments.name, arguments.to_revision))


def _steer(arguments: argparse.Namespace, decide: Decide) -> int:
    return in_cluster(arguments, lambda cluster: _carry_out(cluster, arguments.name, decide))


async def _carry_out(cluster: Cluster, name: str, decide: Decide) -> int:
    """Decide on what lives now, and write; again where a guarded status moved in between."""
    for attempt in range(_RACES_MAX):
        rollout = await _seen_by_the_operator(cluster, name)
        try:
            steering = decide(rollout)
            await _write(cluster, rollout, steering)
        except NotPossible as error:
            raise NotPossible(f"Rollout {name} in namespace {cluster.namespace}: {error}") from None
        except Conflict:
            if attempt == _RACES_MAX - 1:
                raise
            continue
        _report(cluster, name, steering.said, wrote=steering.writes)
        return 0
    return 1


async def _seen_by_the_operator(cluster: Cluster, name: str) -> Rollout:
    """The Rollout once its status is about its spec: what is decided on an older one may be undone by the next turn.

    An operator that does not answer for ten seconds keeps nobody from steering.
    """
    rollout = typed(await cluster.find(ROLLOUTS, name), Rollout)
    if rollout.status.observed_generation == rollout.metadata.generation:
        return rollout

    async def look() -> Rollout | None:
        nonlocal rollout
        rollout = typed(await cluster.find(ROLLOUTS, name), Rollout)
        return rollout if rollout.status.observed_generation == rollout.metadata.generation else None

    watched = [Watched(ROLLOUTS, cluster.namespace, name)]
    try:
        async with asyncio.timeout(UNSEEN_SECONDS), Changes(cluster, watched) as news:
            return await patiently(news.until(look), f"waiting for the operator to see the newest spec of {name}")
    except TimeoutError:
        tell(f"the operator has not seen generation {rollout.metadata.generation} of {name} yet; does it run?")
        return rollout


async def _write(cluster: Cluster, rollout: Rollout, steering: Steering) -> None:
    """The spec first, so that nothing goes on before the status says where."""
    metadata = rollout.metadata
    version = metadata.resource_version
    if steering.spec:
        written: Json = await cluster.patch(ROLLOUTS, metadata.name, steering.spec)
        version = written["metadata"]["resourceVersion"]
    if steering.status:
        guard = {"metadata": {"resourceVersion": version}} if steering.guarded else {}
        await cluster.patch(ROLLOUTS, metadata.name, {**guard, **steering.status}, subresource="status")


def _report(cluster: Cluster, name: str, said: str, *, wrote: bool) -> None:
    show([f"Rollout {name}: {said}"])
    if wrote:
        tell(f"watch it: coalmine get rollout {name} -n {cluster.namespace} -w")


async def _undo(cluster: Cluster, name: str, to_revision: int) -> int:
    live = await cluster.find(ROLLOUTS, name)
    claim = await patiently(find_claim(cluster, live), "looking for the Application that applies it")
    if claim is not None:
        raise NotPossible(
            f"Rollout {name} is applied by Application {claim.application}, which would take an undo back; "
            f"revert {claim.place} in Git instead"
        )
    try:
        target = undo(live, await read_replica_sets(cluster, live), to_revision)
    except NotPossible as error:
        raise NotPossible(f"Rollout {name} in namespace {cluster.namespace}: {error}") from None
    if target.current:
        _report(cluster, name, f"it is at revision {target.revision} already", wrote=False)
        return 0
    await patiently(cluster.client.json_patch(ROLLOUTS, cluster.namespace, name, target.patch), f"writing {name}")
    words = f"goes back to revision {target.revision} ({', '.join(target.images)}), through its steps"
    if not target.exact:
        tell("its template is taken as the cluster has it, with defaults filled in: it counts as a new revision")
    _report(cluster, name, words, wrote=True)
    return 0
