"""What a repository's reverts tell of it: how many there were within an hour, and whether the host refuses them."""

from collections.abc import Iterator
from typing import Any

from rollout.controllers.context import Context
from rollout.controllers.terms import reverts_term
from rollout.domain.clock import epoch
from rollout.kube.cache import Key
from rollout.kube.resources import APPLICATIONS

HOUR_SECONDS = 3600.0
_NEVER_PUSHED = frozenset({"Superseded", "Blocked", "AlreadyReverted"})


def reverts_last_hour(context: Context, repository: Key) -> int:
    """Reverts that were planned within an hour for the Applications of a GitRepository, and pushed or still wanted."""
    since, count = context.now() - HOUR_SECONDS, 0
    for revert in _reverts(context, repository):
        wanted = revert.get("phase") not in _NEVER_PUSHED and bool(revert.get("plannedAt"))
        count += wanted and epoch(revert["plannedAt"]) >= since
    return count


def push_refusal(context: Context, repository: Key) -> str:
    """The words of a revert that waits because the host refuses our credentials; empty where none does."""
    waiting = (r for r in _reverts(context, repository) if r.get("phase") == "Planned")
    return next((str(r.get("message", "")) for r in waiting if r.get("reason") == "Unauthorized"), "")


def _reverts(context: Context, repository: Key) -> Iterator[dict[str, Any]]:
    for application in context.caches[APPLICATIONS].find(reverts_term(*repository)):
        for record in application["status"]["rollouts"]:
            yield record.get("revert") or {}
