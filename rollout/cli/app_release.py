"""`coalmine app release NAME [DIGEST]`: lift the quarantine of what failed."""

import argparse
import asyncio

from rollout.api.application import Application
from rollout.api.application_status import QuarantineEntry
from rollout.cli.app_get import SHORT
from rollout.cli.arguments import TIMED_OUT, UsageError
from rollout.cli.target import Cluster, Json, in_cluster, show, tell, typed
from rollout.cli.watching import Changes, Watched
from rollout.domain.sync.application import RELEASE, asked_digests
from rollout.errors import CoalmineError
from rollout.kube.resources import APPLICATIONS

_DIGEST_CHARACTERS_MIN = 6


class NotQuarantined(CoalmineError):
    """No entry is meant, or more than one."""


def run(arguments: argparse.Namespace) -> int:
    """Lift it, and wait until the operator has heard."""
    if arguments.digest and arguments.all:
        raise UsageError("name a digest or say --all, not both")
    return in_cluster(arguments, lambda cluster: _release(cluster, arguments))


async def _release(cluster: Cluster, arguments: argparse.Namespace) -> int:
    name = arguments.name
    application = typed(await cluster.find(APPLICATIONS, name), Application)
    wanted = chosen(application, arguments.digest, everything=arguments.all)
    if not wanted:
        show([f"Application {name}: nothing is in quarantine"])
        return 0
    await cluster.patch(APPLICATIONS, name, annotation(application, ("all",) if arguments.all else wanted))
    try:
        async with asyncio.timeout(arguments.timeout or None):
            async with Changes(cluster, [Watched(APPLICATIONS, cluster.namespace, name)]) as changes:
                await changes.until(lambda: _released(cluster, name, wanted))
    except TimeoutError:
        tell(f"timed out after {arguments.timeout:g} s: the operator has not heard the release yet; does it run?")
        return TIMED_OUT
    show([f"Application {name}: released {digest[:SHORT]}" for digest in wanted])
    if application.spec.suspend:
        tell("it is suspended, so nothing is applied before that ends")
        return 0
    tell(f"revisions that declare it are deployed again; watch it: coalmine app get {name} -n {cluster.namespace}")
    return 0


async def _released(cluster: Cluster, name: str, wanted: tuple[str, ...]) -> bool | None:
    application = typed(await cluster.find(APPLICATIONS, name), Application)
    held = {entry.template_digest for entry in entries(application)}
    return None if held & set(wanted) else True


def entries(application: Application) -> tuple[QuarantineEntry, ...]:
    """What is in quarantine and not released, of all Rollouts."""
    return tuple(e for record in application.status.rollouts for e in record.quarantine if not e.released_at)


def chosen(application: Application, digest: str, *, everything: bool) -> tuple[str, ...]:
    """The digests that are meant; raises NotQuarantined where that is not clear.

    Args:
        application: with its quarantine.
        digest: or its beginning, with or without `sha256:`; empty: the only one.
        everything: all of them.
    """
    held = tuple(dict.fromkeys(entry.template_digest for entry in entries(application)))
    listed = ", ".join(d[:SHORT] for d in held) or "none"
    if not digest:
        if len(held) > 1 and not everything:
            raise NotQuarantined(f"{len(held)} digests are in quarantine ({listed}); name one, or say --all")
        return held
    start = digest if digest.startswith("sha256:") else f"sha256:{digest}"
    found = tuple(d for d in held if d.startswith(start))
    if len(start) < len("sha256:") + _DIGEST_CHARACTERS_MIN or len(found) != 1:
        raise NotQuarantined(f"{digest} is not one digest in quarantine; these are: {listed}")
    return found


def annotation(application: Application, wanted: tuple[str, ...]) -> Json:
    """The patch that asks for a release; what somebody else has asked for and was not heard yet stays."""
    pending = asked_digests(application.metadata.annotations.get(RELEASE, ""))
    value = ",".join(sorted({*pending, *wanted}))
    return {"metadata": {"annotations": {RELEASE: value}}}
