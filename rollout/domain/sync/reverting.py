"""The life of one revert: planned once traffic is safe, tried until it is settled, never twice.

(failure, weight 0) -> Planned -> Pushed | AlreadyReverted | Superseded | Blocked
"""

from dataclasses import dataclass
from typing import assert_never

import msgspec

from rollout.api.application_status import ApplicationRollout, RevertStatus
from rollout.api.values import duration_seconds
from rollout.domain.clock import epoch, rfc3339
from rollout.domain.sync.plan import (
    AlreadyReverted,
    Blocked,
    Pushed,
    RevertOutcome,
    RevertPlan,
    Superseded,
    TryAgain,
    revert_id,
)
from rollout.domain.sync.records import triggers
from rollout.domain.sync.world import ApplicationWorld, Failure, RepositoryView, RolloutView

BACKOFF_FIRST_SECONDS = 2.0
BACKOFF_FACTOR = 1.5
BACKOFF_MAX_SECONDS = 600.0
MAX_FAILURE_AGE = "1h"
SETTLED = frozenset({"Pushed", "AlreadyReverted", "Superseded", "Blocked"})


@dataclass(frozen=True, slots=True)
class RevertStep:
    """One step of one revert: the record to publish, the job to start, when to look again."""

    record: ApplicationRollout
    start: RevertPlan | None = None
    wake_at: float | None = None


def next_step(world: ApplicationWorld, record: ApplicationRollout, now: float) -> RevertStep:
    """Plan, start, settle or wait.

    Args:
        world: the Application.
        record: of one Rollout, up to date.
        now: epoch seconds.
    """
    view = world.rollout(record.namespace, record.name)
    record = _planned(world, record, view, now)
    record = _settled(world, record, now)
    revert = record.revert
    if revert is None or revert.phase in SETTLED:
        return RevertStep(record)
    if not is_wanted(record):
        return RevertStep(_with(record, phase="Superseded", reason="Released", message="the failure was released"))
    due = epoch(revert.next_attempt_at) if revert.next_attempt_at else 0.0
    if now < due:
        return RevertStep(record, wake_at=due)
    return _start(world, record, revert, now)


def is_wanted(record: ApplicationRollout) -> bool:
    """Whether the record's revert still has its reason: an entry that nobody released."""
    digest = record.revert.template_digest if record.revert is not None else ""
    return any(e.template_digest == digest and not e.released_at for e in record.quarantine)


def _plan(
    world: ApplicationWorld, record: ApplicationRollout, revert: RevertStatus, repository: RepositoryView
) -> RevertPlan:
    """The plan that a record's persisted revert stands for."""
    entry = next((e for e in record.quarantine if e.template_digest == revert.template_digest), None)
    view = world.rollout(record.namespace, record.name)
    failure = view.failure if view is not None else None
    subject = ", ".join(entry.references) if entry is not None else ""
    return RevertPlan(
        id=revert.id,
        branch=repository.branch,
        namespace=record.namespace,
        name=record.name,
        uid=record.uid,
        good=revert.good,
        bad=revert.bad,
        failed_digest=revert.template_digest,
        healthy_digest=revert.restored_digest,
        subject=subject or f"pod template {revert.template_digest[7:19]}",
        reason=revert.cause or (failure.message if failure is not None else ""),
        analysis_run=entry.analysis_run if entry is not None else "",
        weight_percent=revert.weight_percent,
        planned_at=revert.planned_at,
    )


def _start(world: ApplicationWorld, record: ApplicationRollout, revert: RevertStatus, now: float) -> RevertStep:
    """Start the job once the intent is in the published status; respect the limit an hour."""
    repository = world.repository
    reverts = [r.revert for r in world.application.status.rollouts if r.revert is not None]
    persisted = {published.id for published in reverts if published.phase == "Planned"}
    busy = revert.id in world.running or any(key == revert.id for key, _ in world.outcomes)
    if repository is None or revert.id not in persisted or busy or not may_push(world, record, repository):
        return RevertStep(record)
    if repository.reverts_last_hour > repository.reverts_per_hour_max:
        waiting = _with(record, reason="RateLimited", message=_rate_words(repository))
        return RevertStep(waiting, wake_at=now + 60.0)
    return RevertStep(record, start=_plan(world, record, revert, repository))


def may_push(world: ApplicationWorld, record: ApplicationRollout, repository: RepositoryView) -> bool:
    """Whether nobody has stopped pushes since the revert was planned."""
    view = world.rollout(record.namespace, record.name)
    stopped = repository.suspended or world.application.spec.suspend or not repository.valid
    own = view.policy.mode if view is not None and view.policy is not None else None
    return not stopped and (own or world.application.spec.revert.mode) != "None"


def _rate_words(repository: RepositoryView) -> str:
    limit = repository.reverts_per_hour_max
    return f"more than {limit} failures within an hour; look at them, or raise spec.write.maxRevertsPerHour"


def _planned(
    world: ApplicationWorld, record: ApplicationRollout, view: RolloutView | None, now: float
) -> ApplicationRollout:
    """Plan a revert for a new failure that Git still declares; decide at once when it cannot be done."""
    repository, current = world.repository, record.current
    failure = view.failure if view is not None else None
    if view is None or failure is None or repository is None or current is None:
        return record
    declared = current.template_digest == view.template_digest
    if not (declared and failure.traffic_restored and _counts(world, record, view, failure)):
        return record
    mode = _mode(world, view, repository)
    identity = _identity(world, record, repository, current.revision)
    if mode == "None" or _is_known(record, identity, failure):
        return record
    revert = RevertStatus(
        id=identity,
        phase="Planned",
        good=record.last_healthy.revision if record.last_healthy is not None else "",
        bad=current.revision,
        template_digest=view.template_digest,
        restored_digest=record.last_healthy.template_digest if record.last_healthy is not None else "",
        weight_percent=failure.weight_percent,
        planned_at=rfc3339(now),
        cause=failure.message[:1000],
    )
    obstacle = _obstacle(world, record, repository, mode, failure, now)
    if obstacle is not None:
        revert = msgspec.structs.replace(revert, phase="Blocked", reason=obstacle.reason, message=obstacle.message)
    return msgspec.structs.replace(record, revert=revert)


def _is_known(record: ApplicationRollout, identity: str, failure: Failure) -> bool:
    """Whether the record's revert is about this failure.

    After a retry or a release the same version may fail again: where nothing was pushed for it, it is planned anew.
    A commit that declares the version again after the push does not make a new failure of the old one.
    """
    revert = record.revert
    if revert is None:
        return False
    answered = revert.phase in {"Pushed", "AlreadyReverted"} and epoch(failure.at) <= epoch(revert.planned_at)
    if revert.id != identity:
        return answered and record.current is not None and revert.template_digest == record.current.template_digest
    dropped = revert.phase in {"Superseded", "Blocked"} and epoch(failure.at) > epoch(revert.planned_at)
    return not dropped


def _identity(world: ApplicationWorld, record: ApplicationRollout, repository: RepositoryView, bad: str) -> str:
    path, rollout = world.application.spec.source.path.strip("/"), f"{record.namespace}/{record.name}"
    digest = record.current.template_digest if record.current is not None else ""
    return revert_id(repository.url, repository.branch, path, rollout, digest, bad)


def _counts(world: ApplicationWorld, record: ApplicationRollout, view: RolloutView, failure: Failure) -> bool:
    """Whether the failure is in quarantine (it triggers, it is not stable's own, nobody released it)."""
    active = any(e.template_digest == view.template_digest and not e.released_at for e in record.quarantine)
    return active and failure.cause in triggers(world, view)


def _mode(world: ApplicationWorld, view: RolloutView, repository: RepositoryView) -> str:
    own = view.policy.mode if view.policy is not None else None
    return own or world.application.spec.revert.mode or ("Auto" if repository.writable else "None")


def _obstacle(
    world: ApplicationWorld,
    record: ApplicationRollout,
    repository: RepositoryView,
    mode: str,
    failure: Failure,
    now: float,
) -> Blocked | None:
    """Why a revert cannot even be tried."""
    if mode in {"Pin", "PullRequest"}:
        return Blocked("NotSupportedYet", f"revert mode {mode} is not supported yet; revert by hand, or use Commit")
    if not repository.branch:
        return Blocked(
            "NoBranch", "the repository's ref is no branch, so there is nowhere to push; set spec.ref.branch"
        )
    if not repository.writable:
        return Blocked("NotWritable", "the repository has no `write`; add spec.write, or set revert mode None")
    if record.last_healthy is None:
        return Blocked("NoHealthyRevision", "no version of this Rollout was healthy before, so nothing can be restored")
    policy = world.rollout(record.namespace, record.name)
    own = policy.policy.max_failure_age if policy is not None and policy.policy is not None else None
    limit = own or world.application.spec.revert.max_failure_age or MAX_FAILURE_AGE
    if now - epoch(failure.at) > duration_seconds(limit):
        return Blocked("TooOld", f"the failure is older than {limit}; revert by hand, or raise maxFailureAge")
    return None


def _settled(world: ApplicationWorld, record: ApplicationRollout, now: float) -> ApplicationRollout:
    """Take over the result of a job."""
    revert = record.revert
    if revert is None or revert.phase in SETTLED:
        return record
    outcome = next((result for key, result in world.outcomes if key == revert.id), None)
    return record if outcome is None else _after(record, revert, outcome, now)


def _after(record: ApplicationRollout, revert: RevertStatus, outcome: RevertOutcome, now: float) -> ApplicationRollout:
    match outcome:
        case Pushed(commit):
            return _with(record, phase="Pushed", commit=commit, attempts=revert.attempts + 1, reason="", message="")
        case AlreadyReverted(commit):
            words = f"{commit[:7]} declares the healthy version already"
            return _with(record, phase="AlreadyReverted", commit=commit, reason="", message=words)
        case Superseded(message):
            return _with(record, phase="Superseded", reason="FixedForward", message=message)
        case Blocked(reason, message):
            return _with(record, phase="Blocked", reason=reason, message=message, attempts=revert.attempts + 1)
        case TryAgain(reason, message):
            again = rfc3339(now + backoff_seconds(revert.id, revert.attempts) + 1)
            tries = revert.attempts + 1
            return _with(record, reason=reason, message=message, attempts=tries, next_attempt_at=again)
        case _:
            assert_never(outcome)


def backoff_seconds(identity: str, attempts: int) -> float:
    """Seconds until the next try: growing by half up to ten minutes, with jitter that the id determines."""
    grown = min(BACKOFF_MAX_SECONDS, BACKOFF_FIRST_SECONDS * BACKOFF_FACTOR ** min(attempts, 40))
    return grown * (0.75 + 0.5 * (int(identity[:4], 16) / 0xFFFF))


def _with(record: ApplicationRollout, **changes: object) -> ApplicationRollout:
    """The record with fields of its revert changed."""
    changed = None if record.revert is None else msgspec.structs.replace(record.revert, **changes)
    return msgspec.structs.replace(record, revert=changed)
