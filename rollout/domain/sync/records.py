"""What is kept of each Rollout: what Git declares, what was healthy last, what failed."""

from collections.abc import Collection, Mapping

import msgspec

from rollout.api.application_status import ApplicationRollout, ImageDigest, RolloutRevision
from rollout.domain.clock import rfc3339
from rollout.domain.sync.digest import images_of, rollout_template, template_digest
from rollout.domain.sync.objects import RenderedObject
from rollout.domain.sync.quarantine import enter, release, remember_trailers
from rollout.domain.sync.world import ApplicationWorld, RolloutView

Key = tuple[str, str]
ABSENT_MAX = 20


def updated_records(world: ApplicationWorld, asked: frozenset[str], now: float) -> tuple[ApplicationRollout, ...]:
    """The records of all Rollouts of the Application, brought up to date.

    Args:
        world: the Application.
        asked: digests that a person released by annotation.
        now: epoch seconds.
    """
    rendered = world.rendered
    declared = {(o.id.namespace, o.id.name): o for o in rendered.rollouts} if rendered is not None else {}
    known = {(r.namespace, r.name): r for r in world.application.status.rollouts}
    if rendered is None:
        keys = known.keys() | declared.keys()
    else:
        keys = declared.keys() | {key for key, _ in _absent_in_quarantine(known, declared.keys())}
        known |= {key: _undeclared(known[key]) for key in known.keys() - declared.keys()}
    return tuple(_updated(world, known.get(key), declared.get(key), key, asked, now) for key in sorted(keys))


def _absent_in_quarantine(
    known: Mapping[Key, ApplicationRollout], declared: Collection[Key]
) -> list[tuple[Key, ApplicationRollout]]:
    """Records of Rollouts that Git does not declare now, but whose failed versions must not come back with them."""
    absent = [(key, record) for key, record in known.items() if key not in declared]
    held = [(key, record) for key, record in absent if any(not e.released_at for e in record.quarantine)]
    return sorted(held, key=lambda item: max(e.since for e in item[1].quarantine))[-ABSENT_MAX:]


def _undeclared(record: ApplicationRollout) -> ApplicationRollout:
    """The record of a Rollout that Git does not declare: nothing can be wrong with what is not there."""
    settled = record.revert is not None and record.revert.phase != "Planned"
    return msgspec.structs.replace(record, current=None, revert=None if settled else record.revert)


def _updated(
    world: ApplicationWorld,
    record: ApplicationRollout | None,
    declared: RenderedObject | None,
    key: tuple[str, str],
    asked: frozenset[str],
    now: float,
) -> ApplicationRollout:
    view = world.rollout(*key)
    if record is None:
        trailers = world.repository.trailers if world.repository is not None else ()
        record = remember_trailers(ApplicationRollout(namespace=key[0], name=key[1]), trailers, view, now)
    if view is not None and view.uid != record.uid:
        record = msgspec.structs.replace(record, uid=view.uid)
    record = _with_failure(world, record, view)
    record = release(record, world, asked, now)
    if declared is not None and world.rendered is not None:
        record = _with_current(record, declared, world.rendered.commit, now)
        record = _with_healthy(world, record, view, now)
    return record


def _with_failure(world: ApplicationWorld, record: ApplicationRollout, view: RolloutView | None) -> ApplicationRollout:
    """The failure is entered against the version that was current when it was deployed."""
    if view is None or view.failure is None or not view.template_digest:
        return record
    healthy = record.last_healthy
    if healthy is not None and healthy.template_digest == view.template_digest:
        return record
    if view.failure.cause not in triggers(world, view):
        return record
    return enter(record, view, view.failure, world.repository.commit if world.repository is not None else "")


def triggers(world: ApplicationWorld, view: RolloutView | None) -> frozenset[str]:
    """Which failures count: the Rollout's own policy, else the Application's, else a failed analysis."""
    own = view.policy.triggers if view is not None and view.policy is not None else None
    wanted = own if own is not None else world.application.spec.revert.triggers
    return frozenset(wanted if wanted is not None else ("AnalysisFailed",))


def _with_current(record: ApplicationRollout, declared: RenderedObject, commit: str, now: float) -> ApplicationRollout:
    """The declared version; its revision is the first commit that was seen with it."""
    template = rollout_template(declared.obj)
    digest = template_digest(template)
    if record.current is not None and record.current.template_digest == digest:
        return record
    current = RolloutRevision(revision=commit, template_digest=digest, images=images_of(template), at=rfc3339(now))
    return msgspec.structs.replace(record, current=current)


def _with_healthy(
    world: ApplicationWorld, record: ApplicationRollout, view: RolloutView | None, now: float
) -> ApplicationRollout:
    """The newest applied commit at which the declared template was healthy."""
    rendered, current = world.rendered, record.current
    if view is None or rendered is None or current is None or not (view.healthy and view.observed):
        return record
    status, observes = world.application.status, world.application.spec.sync.mode == "Observe"
    applied = observes or status.applied_revision.endswith(rendered.commit)
    if not applied or view.template_digest != current.template_digest:
        return record
    fresh = RolloutRevision(
        revision=rendered.commit,
        template_digest=current.template_digest,
        images=_known_images(current.images, view.images),
        at=rfc3339(now),
    )
    old = record.last_healthy
    if old is not None and msgspec.structs.replace(fresh, at=old.at) == old:
        return record
    return msgspec.structs.replace(record, last_healthy=fresh)


def _known_images(declared: tuple[ImageDigest, ...], running: tuple[ImageDigest, ...]) -> tuple[ImageDigest, ...]:
    """Declared images with the digests that running pods report."""
    seen = {image.name: image.digest for image in running if image.digest}
    return tuple(msgspec.structs.replace(image, digest=seen.get(image.name, image.digest)) for image in declared)
