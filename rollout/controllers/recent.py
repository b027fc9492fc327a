"""How many reverts a repository has seen within the last hour: the breaker against a storm."""

from rollout.controllers.context import Context
from rollout.domain.clock import epoch
from rollout.kube.cache import Key
from rollout.kube.resources import APPLICATIONS

HOUR_SECONDS = 3600.0
_NEVER_PUSHED = frozenset({"Superseded", "Blocked", "AlreadyReverted"})


def reverts_last_hour(context: Context, repository: Key) -> int:
    """Reverts that were planned within an hour for the Applications of a GitRepository, and pushed or still wanted."""
    since, count = context.now() - HOUR_SECONDS, 0
    for application in context.caches[APPLICATIONS].all(repository[0]):
        if application["spec"]["source"]["repositoryRef"]["name"] != repository[1]:
            continue
        for record in (application.get("status") or {}).get("rollouts") or []:
            revert = record.get("revert") or {}
            wanted = revert.get("phase") not in _NEVER_PUSHED and bool(revert.get("plannedAt"))
            count += wanted and epoch(revert["plannedAt"]) >= since
    return count
