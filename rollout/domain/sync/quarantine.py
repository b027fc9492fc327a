"""What failed is not deployed again: by digest of the pod template, or of an image that was new in it."""

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from rollout.api.application_status import ApplicationRollout, ImageDigest, QuarantineEntry, RolloutRevision
from rollout.domain.clock import rfc3339
from rollout.domain.sync.digest import images_of, rollout_template, template_digest
from rollout.domain.sync.objects import RenderedObject
from rollout.domain.sync.world import ApplicationWorld, Failure, RolloutView, TrailerFact

ENTRIES_MAX = 20


@dataclass(frozen=True, slots=True)
class Block:
    """Why a declared Rollout is not deployed."""

    namespace: str
    name: str
    entry: QuarantineEntry
    words: str


def blocks(record: ApplicationRollout, declared: RenderedObject) -> Block | None:
    """The entry that refuses a declared Rollout, or None; what is stable now is never refused."""
    template = rollout_template(declared.obj)
    digest, images = template_digest(template), images_of(template)
    if record.last_healthy is not None and record.last_healthy.template_digest == digest:
        return None
    for entry in reversed(record.quarantine):
        reason = "" if entry.released_at else _reason(entry, digest, images)
        if reason:
            return Block(declared.id.namespace, declared.id.name, entry, f"{declared.id.words}: {reason}")
    return None


def _reason(entry: QuarantineEntry, digest: str, images: Iterable[ImageDigest]) -> str:
    """Why an entry refuses a template, in words; empty when it does not."""
    if entry.template_digest == digest:
        return f"this pod template {entry.reason or 'failed before'}"
    for image in images:
        if image.digest and image.digest in entry.images:
            return f"image {image.digest[:19]} {entry.reason or 'failed before'}"
        # A tag can move, but what it pointed to is the best that is known of it without a registry.
        if image.reference and image.reference in entry.references:
            return f"image {image.reference} {entry.reason or 'failed before'}; push another tag, or release it"
    return ""


def enter(record: ApplicationRollout, view: RolloutView, failure: Failure, commit: str) -> ApplicationRollout:
    """The record with the failure's entry; the same when it is there already, or was released since.

    Args:
        record: of the Rollout.
        view: the Rollout, with the digest that failed.
        failure: what happened.
        commit: the branch's head when the failure was seen; only a newer commit can release it.
    """
    known = next((e for e in record.quarantine if e.template_digest == view.template_digest), None)
    if known is not None and (not known.released_at or failure.at <= known.released_at):
        return record
    fresh = _new_images(failure, record.last_healthy)
    entry = QuarantineEntry(
        template_digest=view.template_digest,
        images=tuple(sorted({i.digest for i in fresh if i.digest})),
        references=tuple(sorted({i.reference for i in fresh if i.reference})),
        revision=commit,
        reason=f"failed at {failure.weight_percent} %" if failure.weight_percent else "failed",
        analysis_run=failure.analysis_run,
        since=failure.at,
    )
    rest = tuple(e for e in record.quarantine if e.template_digest != view.template_digest)
    return msgspec.structs.replace(record, quarantine=(*rest, entry)[-ENTRIES_MAX:])


def _new_images(failure: Failure, healthy: RolloutRevision | None) -> list[ImageDigest]:
    """Images that were new in the failing pods: without a healthy version to compare with, none is blamed."""
    if healthy is None:
        return []
    digests = {i.digest for i in healthy.images if i.digest}
    references = {i.reference for i in healthy.images if i.reference}
    return [i for i in failure.images if i.digest not in digests and i.reference not in references]


def remember_trailers(
    record: ApplicationRollout, trailers: tuple[TrailerFact, ...], view: RolloutView | None, now: float
) -> ApplicationRollout:
    """A new record with what Git's trailers say failed, so that a rebuilt cluster does not deploy it again."""
    name = f"{record.namespace}/{record.name}"
    running = view.template_digest if view is not None and view.healthy else ""
    entries = tuple(
        QuarantineEntry(template_digest=digest, revision=fact.commit, reason="failed before", since=rfc3339(now))
        for fact in reversed(trailers)
        if fact.rollout == name
        for digest in fact.failed
        if digest != running and not _released_after(trailers, digest, fact.position)
    )
    return msgspec.structs.replace(record, quarantine=entries[-ENTRIES_MAX:])


def _released_after(trailers: tuple[TrailerFact, ...], digest: str, position: int) -> bool:
    """Whether a commit newer than a position releases the digest."""
    return any(fact.position < position and digest in fact.released for fact in trailers)


def release(
    record: ApplicationRollout, world: ApplicationWorld, asked: frozenset[str], now: float
) -> ApplicationRollout:
    """The record with entries lifted that a person released: by annotation, by trailer, or by a retry before the push.

    Args:
        record: of the Rollout.
        world: with the trailers and the live Rollout.
        asked: digests in the Application's annotation; `all` stands for every one.
        now: epoch seconds.
    """
    trailers = world.repository.trailers if world.repository is not None else ()
    view = world.rollout(record.namespace, record.name)
    entries = tuple(
        msgspec.structs.replace(entry, released_at=rfc3339(now))
        if not entry.released_at and _is_released(record, entry, view, trailers, asked)
        else entry
        for entry in record.quarantine
    )
    return record if entries == record.quarantine else msgspec.structs.replace(record, quarantine=entries)


def _is_released(
    record: ApplicationRollout,
    entry: QuarantineEntry,
    view: RolloutView | None,
    trailers: tuple[TrailerFact, ...],
    asked: frozenset[str],
) -> bool:
    if asked & {"all", entry.template_digest}:
        return True
    bad = next((fact.position for fact in trailers if fact.commit == entry.revision), len(trailers))
    return _released_after(trailers, entry.template_digest, bad) or _is_retried(record, entry, view)


def _is_retried(record: ApplicationRollout, entry: QuarantineEntry, view: RolloutView | None) -> bool:
    """A user cleared the abort of this very template, and nothing was pushed yet."""
    if view is None or view.aborted or view.failure is not None or not view.observed:
        return False
    pushed = record.revert is not None and record.revert.phase in {"Pushed", "AlreadyReverted"}
    return view.template_digest == entry.template_digest and not pushed
