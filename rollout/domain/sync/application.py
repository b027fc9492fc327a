"""The story of an Application's turn: record what failed, take it back in Git, then bring the cluster in line.

Traffic is not here: the Rollout has moved it before this turn sees the failure. The intent of a revert is published in
the status by one turn, and only a later turn that finds it there starts the push.
"""

from collections.abc import Iterator

import msgspec

from rollout.api.application_status import ApplicationRollout, ApplicationStatus
from rollout.domain.decision import Decision, Event, earliest
from rollout.domain.sync.actions import ConsumeRelease, RetryRollout, StartRevert, SyncAction
from rollout.domain.sync.conditions import conditions_of, invalid_conditions
from rollout.domain.sync.objects import Rendered
from rollout.domain.sync.records import updated_records
from rollout.domain.sync.reverting import next_step
from rollout.domain.sync.syncing import SyncStep, plan_sync
from rollout.domain.sync.world import ApplicationWorld

RELEASE = "coalmine.dev/release"
_OF_A_PASS = frozenset({"Applied", "ApplyFailed", "Drifted", "PruneFailed", "PruneHeld"})


def decide(world: ApplicationWorld, now: float) -> Decision[ApplicationStatus]:
    """Decide one turn.

    Args:
        world: the Application and all that it depends on.
        now: epoch seconds.
    """
    if world.problems:
        return Decision(_invalid(world, now))
    if world.application.metadata.deletion_timestamp is not None:
        return Decision(world.application.status)
    records = updated_records(world, asked_releases(world), now)
    reverts = [next_step(world, record, now) for record in records]
    records = tuple(step.record for step in reverts)
    sync = plan_sync(world, records, now)
    status = _status(world, records, sync.applied_revision)
    status = msgspec.structs.replace(
        status,
        inventory=sync.inventory,
        last_handled_refresh=_handled_refresh(world, sync),
        conditions=conditions_of(world, sync, records, now),
    )
    planned = any(step.record.revert != _known(world, step.record) for step in reverts)
    return Decision(
        status,
        actions=(*_released(world, records), *(StartRevert(s.start) for s in reverts if s.start), *sync.actions),
        events=tuple(_events(world, status)),
        wake_at=earliest(sync.wake_at, now if planned else None, *(step.wake_at for step in reverts)),
    )


def asked_releases(world: ApplicationWorld) -> frozenset[str]:
    """Digests that a person released by annotation."""
    return asked_digests(world.application.metadata.annotations.get(RELEASE, ""))


def asked_digests(annotation: str) -> frozenset[str]:
    """Digests in the annotation by which a person releases them, at most 20."""
    return frozenset(part.strip() for part in annotation.split(",")[:20] if part.strip())


def _known(world: ApplicationWorld, record: ApplicationRollout) -> object:
    """The revert of a record as it was published."""
    mine = (r for r in world.application.status.rollouts if (r.namespace, r.name) == (record.namespace, record.name))
    return next((r.revert for r in mine), None)


def _invalid(world: ApplicationWorld, now: float) -> ApplicationStatus:
    return msgspec.structs.replace(
        world.application.status,
        observed_generation=world.application.metadata.generation,
        conditions=invalid_conditions(world, now),
    )


def _status(
    world: ApplicationWorld, records: tuple[ApplicationRollout, ...], applied_revision: str
) -> ApplicationStatus:
    status, report = world.application.status, world.report
    rendered = report if isinstance(report, Rendered) else None
    return msgspec.structs.replace(
        status,
        observed_generation=world.application.metadata.generation,
        desired_revision=world.repository.label if world.repository is not None else status.desired_revision,
        applied_revision=applied_revision,
        render_digest=rendered.digest if rendered is not None else status.render_digest,
        closure_digest=rendered.closure_digest if rendered is not None else status.closure_digest,
        rollouts=records,
    )


def _handled_refresh(world: ApplicationWorld, sync: SyncStep) -> str:
    """The refresh that was answered: by a pass that began after it, or by the reason why there is none."""
    under_way = sync.busy or bool(world.running & {"render", "apply", "prune"})
    passed = world.refresh_answered == world.refresh_asked or sync.synced.reason not in _OF_A_PASS
    return world.refresh_asked if passed and not under_way else world.application.status.last_handled_refresh


def _released(world: ApplicationWorld, records: tuple[ApplicationRollout, ...]) -> Iterator[SyncAction]:
    """A release was heard: its annotation goes once the status has it, and the Rollout that waits tries again."""
    if asked_releases(world) and records == world.application.status.rollouts:
        yield ConsumeRelease()
    for record in records:
        view = world.rollout(record.namespace, record.name)
        released = {e.template_digest: e.released_at for e in record.quarantine if e.released_at}
        if view is None or not view.aborted or view.failure is None:
            continue
        if view.failure.at <= released.get(view.template_digest, ""):
            yield RetryRollout(record.namespace, record.name)


def _events(world: ApplicationWorld, status: ApplicationStatus) -> Iterator[Event]:
    """One event a change of Synced or Reverted that a person wants to know."""
    old = {c.type: (c.status, c.reason) for c in world.application.status.conditions}
    for condition in status.conditions:
        changed = old.get(condition.type) != (condition.status, condition.reason)
        if changed and condition.type in {"Synced", "Reverted"} and condition.reason not in {"OutOfSync", "Rendering"}:
            yield Event("Normal" if condition.status == "True" else "Warning", condition.reason, condition.message)
