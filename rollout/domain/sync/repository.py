"""A GitRepository's turn: when to ask the host, and what to tell. Pure."""

from dataclasses import dataclass

import msgspec

from rollout.api.gitrepository import GitRepository, GitRepositoryStatus
from rollout.api.meta import Condition, set_condition
from rollout.api.values import duration_seconds
from rollout.domain.clock import rfc3339
from rollout.domain.decision import Decision, Event
from rollout.domain.sync.conditions import yes
from rollout.domain.words import printable

RETRY_SECONDS = 10.0
HINT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class StartFetch:
    """Ask the host for the wanted commit."""


@dataclass(frozen=True, slots=True)
class RepositoryWorld:
    """One GitRepository, and what the last fetch told."""

    repository: GitRepository
    problems: tuple[str, ...] = ()
    """What validation found, in words."""
    commit: str = ""
    label: str = ""
    """`<ref>@sha1:<commit>`."""
    error: str = ""
    """Why the last try failed; empty after success."""
    reason: str = "Fetched"
    """The error in one word."""
    transient: bool = False
    tried_at: float = 0.0
    """When the host was asked last, epoch seconds; 0: never by this process."""
    tried_generation: int = 0
    """Generation of the spec that was tried last."""
    hinted: bool = False
    """A notification says that there is something new."""
    refresh_asked: str = ""
    """Value of the annotation by which a person asks for a look at the host now."""
    refresh_answered: str = ""
    """Value of it when the last look began that has ended."""
    fetching: bool = False
    webhook_path: str = ""
    write_problem: str = ""
    """Why the credentials for writing cannot be used."""
    write_refusal: str = ""
    """What the host said when it refused them at the last push; empty once a push has gone through."""
    reverts_last_hour: int = 0


def decide_repository(world: RepositoryWorld, now: float) -> Decision[GitRepositoryStatus]:
    """Decide one turn.

    Args:
        world: the repository.
        now: epoch seconds.
    """
    spec, status = world.repository.spec, world.repository.status
    due = _due_at(world)
    idle = bool(world.problems) or spec.suspend or world.fetching
    fetch = not idle and now >= due
    conditions = status.conditions
    for condition in _conditions(world, fetching=fetch or world.fetching):
        conditions = set_condition(conditions, condition, rfc3339(now))
    fresh = msgspec.structs.replace(
        status,
        observed_generation=world.repository.metadata.generation,
        webhook_path=world.webhook_path or status.webhook_path,
        revision=world.label or status.revision,
        last_fetch_time=_fetch_time(world),
        last_handled_refresh=_handled_refresh(world),
        conditions=conditions,
    )
    return Decision(
        fresh,
        actions=(StartFetch(),) if fetch else (),
        events=_events(world, conditions),
        wake_at=None if idle or fetch else due,
    )


def _due_at(world: RepositoryWorld) -> float:
    """When the host is asked next."""
    changed = world.tried_generation != world.repository.metadata.generation
    if changed or not world.tried_at:
        return 0.0
    if world.hinted:
        return world.tried_at + HINT_SECONDS
    interval = duration_seconds(world.repository.spec.interval) if not world.problems else RETRY_SECONDS
    return world.tried_at + (min(interval, RETRY_SECONDS) if world.error else interval)


def _handled_refresh(world: RepositoryWorld) -> str:
    """The refresh that was answered; where the host is not asked at all, the conditions are the answer."""
    if world.problems or world.repository.spec.suspend:
        return world.refresh_asked
    return world.refresh_answered or world.repository.status.last_handled_refresh


def _fetch_time(world: RepositoryWorld) -> str:
    """When the wanted commit was learnt; polls that find nothing new do not write the status."""
    status = world.repository.status
    moved = bool(world.label) and world.label != status.revision
    return rfc3339(world.tried_at) if moved and not world.error else status.last_fetch_time


def _conditions(world: RepositoryWorld, *, fetching: bool) -> list[Condition]:
    spec = world.repository.spec
    words, reason = "; ".join(world.problems), "InvalidSpec"
    if not words:
        words, reason = world.error, world.reason
    ready = bool(world.commit) and not words
    started = fetching and not world.commit
    stalled = bool(world.problems) or (bool(world.error) and not world.transient)
    found = [
        _condition(
            world, "Ready", ready, reason if words else "Fetched" if ready else "Fetching", words or world.label
        ),
        _condition(world, "Reconciling", started, "Fetching" if started else "Settled", ""),
        _condition(world, "Stalled", stalled, reason if stalled else "NotStalled", words if stalled else ""),
    ]
    if spec.suspend and not world.problems:
        found[0] = _condition(world, "Ready", False, "Suspended", "spec.suspend is true")
    if spec.write is not None:
        found.append(_writable(world, spec.write.max_reverts_per_hour))
    return found


def _writable(world: RepositoryWorld, limit: int) -> Condition:
    if world.write_problem:
        return _condition(world, "Writable", False, "InvalidSecret", world.write_problem)
    if world.write_refusal:
        return _condition(world, "Writable", False, "Unauthorized", world.write_refusal)
    if world.reverts_last_hour > limit:
        words = f"more than {limit} failures within an hour; pushes wait"
        return _condition(world, "Writable", False, "RateLimited", words)
    return _condition(world, "Writable", True, "CredentialsPresent", "reverts can be pushed")


def _condition(world: RepositoryWorld, kind: str, holds: bool, reason: str, message: str) -> Condition:  # noqa: FBT001  The value itself.
    return Condition(
        type=kind,
        status=yes(holds),
        reason=reason,
        message=printable(message[:2000]),
        observed_generation=world.repository.metadata.generation,
    )


def _events(world: RepositoryWorld, conditions: tuple[Condition, ...]) -> tuple[Event, ...]:
    """One event when Ready changes its reason."""
    old = next((c for c in world.repository.status.conditions if c.type == "Ready"), None)
    new = next(c for c in conditions if c.type == "Ready")
    if new.reason == "Fetching" or (old is not None and (old.status, old.reason) == (new.status, new.reason)):
        return ()
    return (Event("Normal" if new.status == "True" else "Warning", new.reason, new.message),)
