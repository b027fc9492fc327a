"""The sync half of a turn: render, hold, apply, prune, look again. In this order; each step needs the one before."""

from collections.abc import Iterable
from dataclasses import dataclass

from rollout.api.application_status import ApplicationRollout, ApplicationStatus, Inventory, InventoryEntry
from rollout.api.values import duration_seconds
from rollout.domain.decision import earliest
from rollout.domain.sync.actions import StartApply, StartPrune, StartRender, SyncAction
from rollout.domain.sync.objects import ObjectId, Rendered, RenderFailure
from rollout.domain.sync.prune import PrunePlan, plan_prune
from rollout.domain.sync.quarantine import Block, blocks
from rollout.domain.sync.world import ApplicationWorld, ApplyReport, PruneReport

CONFIRM_PRUNE = "coalmine.dev/confirm-prune"
RETRY_SECONDS = 15.0
RETRY_RENDER_SECONDS = 30.0
TOUCHED_SECONDS = 2.0
UNHEALTHY_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Synced:
    """The condition Synced."""

    status: str
    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class SyncStep:
    """What the sync half decided."""

    synced: Synced
    inventory: Inventory
    applied_revision: str
    actions: tuple[SyncAction, ...] = ()
    wake_at: float | None = None
    busy: bool = False
    """Whether something is under way that ends by itself."""


def plan_sync(world: ApplicationWorld, records: tuple[ApplicationRollout, ...], now: float) -> SyncStep:
    """Decide the next step of the sync.

    Args:
        world: the Application.
        records: of its Rollouts, up to date.
        now: epoch seconds.
    """
    status = world.application.status
    held = _not_renderable(world, now)
    if held is not None:
        return held
    rendered = world.rendered
    if rendered is None:
        return _render(world)
    if world.application.spec.sync.mode == "Observe":
        return _step(status, Synced("True", "Observed", "rendered and watched; somebody else applies"))
    if world.application.spec.suspend:
        return _step(status, Synced("False", "Suspended", "spec.suspend is true"))
    blocked = blocking(rendered, records)
    if blocked:
        return _step(status, _quarantined(world, blocked))
    return _apply(world, rendered, now)


def _step(status: ApplicationStatus, synced: Synced, *actions: SyncAction, wake_at: float | None = None) -> SyncStep:
    return SyncStep(synced, status.inventory, status.applied_revision, actions, wake_at, busy=bool(actions))


def _not_renderable(world: ApplicationWorld, now: float) -> SyncStep | None:
    """Why nothing can be rendered; the last good state keeps running."""
    status, repository, report = world.application.status, world.repository, world.report
    if repository is None:
        name = world.application.spec.source.repository_ref.name
        return _step(status, Synced("False", "RepositoryMissing", f"GitRepository {name} does not exist here"))
    if not repository.commit:
        words = repository.error or "the repository was not fetched yet"
        return _step(status, Synced("False", "RepositoryNotReady", words))
    if isinstance(report, RenderFailure) and report.commit == repository.commit:
        synced = Synced("False", "RenderFailed", f"{report.commit[:7]}: {report.message}")
        due = report.at + RETRY_RENDER_SECONDS
        if not report.transient or "render" in world.running:
            return _step(status, synced)
        return _step(status, synced, StartRender(report.commit)) if now >= due else _step(status, synced, wake_at=due)
    return None


def _render(world: ApplicationWorld) -> SyncStep:
    """Start the render of the wanted commit, unless one runs."""
    commit = world.repository.commit if world.repository is not None else ""
    synced = Synced("Unknown", "Rendering", f"rendering {commit[:7]}")
    step = _step(world.application.status, synced, *(() if "render" in world.running else (StartRender(commit),)))
    return SyncStep(step.synced, step.inventory, step.applied_revision, step.actions, busy=True)


def blocking(rendered: Rendered, records: Iterable[ApplicationRollout]) -> tuple[Block, ...]:
    """The declared Rollouts that are in quarantine."""
    known = {(r.namespace, r.name): r for r in records}
    found = (blocks(known[key], o) for o in rendered.rollouts if (key := (o.id.namespace, o.id.name)) in known)
    return tuple(block for block in found if block is not None)


def _quarantined(world: ApplicationWorld, blocked: tuple[Block, ...]) -> Synced:
    commit = world.repository.commit[:7] if world.repository is not None else ""
    words = "; ".join(block.words for block in blocked)
    remedy = f"declare another version, or `coalmine app release {world.application.metadata.name}`"
    return Synced("False", "RevisionQuarantined", f"{commit} is held, pods stay as they are: {words}; {remedy}")


def _apply(world: ApplicationWorld, rendered: Rendered, now: float) -> SyncStep:
    """Write the intent, apply, judge the report, prune."""
    known = inventory_ids(world.application.status.inventory)
    # A prune of another commit says nothing of this one: what it deleted may have been declared again since.
    pruned = world.pruned
    gone = pruned.gone if pruned is not None and pruned.commit == rendered.commit else frozenset()
    declared = {o.id for o in rendered.objects}
    wanted = inventory_of((known - (gone - declared)) | declared, rendered, world.application.status.inventory)
    label = world.repository.label if world.repository is not None else ""
    applied = world.applied
    current = _is_current(applied, rendered, known)
    revision = label if current and not applied_with_failures(applied) else world.application.status.applied_revision
    if not declared <= known:
        # The intent comes first: a crash between apply and status must not lose track of an object.
        return SyncStep(
            Synced("False", "OutOfSync", f"applying {rendered.commit[:7]}"), wanted, revision, (), now, busy=True
        )
    busy = bool(world.running & {"apply", "prune"})
    due = _due_at(world, applied, now) if current else now
    if busy or due > now:
        return _judged(world, rendered, wanted, revision, now, busy=busy, due=due)
    check_only = current and not applied_with_failures(applied) and not world.application.spec.sync.self_heal
    actions: tuple[SyncAction, ...] = (StartApply(rendered, check_only=check_only),)
    if current:
        judged = _judged(world, rendered, wanted, revision, now, busy=True, due=None)
        return SyncStep(judged.synced, wanted, revision, actions, busy=judged.busy)
    return SyncStep(
        Synced("False", "OutOfSync", f"applying {rendered.commit[:7]}"), wanted, revision, actions, busy=True
    )


def _is_current(applied: ApplyReport | None, rendered: Rendered, known: set[ObjectId]) -> bool:
    """Whether the last pass was about this render.

    A pass of another commit counts where both declare the same and nothing was left undone: a repository of many
    Applications has many commits, and most of them change one.
    """
    if applied is None or applied.render_digest != rendered.digest:
        return False
    left = applied.failures or applied.drifted or known != {o.id for o in rendered.objects}
    return applied.commit == rendered.commit or not left


def applied_with_failures(applied: ApplyReport | None) -> bool:
    """Whether the last pass left something unapplied."""
    return applied is None or bool(applied.failures)


def _due_at(world: ApplicationWorld, applied: ApplyReport | None, now: float) -> float:
    """When the next pass over the cluster is due."""
    if applied is None:
        return now
    if applied.failures:
        return applied.at + RETRY_SECONDS
    if world.touched:
        return applied.at + TOUCHED_SECONDS
    if applied.unhealthy:
        return applied.at + UNHEALTHY_SECONDS
    return applied.at + duration_seconds(world.application.spec.sync.interval)


def _judged(
    world: ApplicationWorld,
    rendered: Rendered,
    inventory: Inventory,
    revision: str,
    now: float,
    *,
    busy: bool,
    due: float | None,
) -> SyncStep:
    """What the last pass means, and the prune that it allows."""
    applied = world.applied
    if applied is None or not _is_current(applied, rendered, inventory_ids(inventory)):
        synced = Synced("False", "OutOfSync", f"applying {rendered.commit[:7]}")
        return SyncStep(synced, inventory, revision, wake_at=due, busy=True)
    if applied.failures:
        return SyncStep(Synced("False", "ApplyFailed", _list(applied.failures)), inventory, revision, wake_at=due)
    if applied.drifted:
        names = ", ".join(i.words for i in applied.drifted[:5])
        synced = Synced("False", "Drifted", f"{names} differ from Git, and selfHeal is off")
        return SyncStep(synced, inventory, revision, wake_at=due)
    plan = _prune_plan(world, rendered, inventory)
    again = _prune_again_at(world.pruned, rendered)
    starts = bool(plan.delete) and not busy and now >= again
    wake_at = earliest(due, again if plan.delete and now < again else None)
    actions = (StartPrune(rendered.commit, plan.delete),) if starts else ()
    return SyncStep(_synced(world, rendered, plan), inventory, revision, actions, wake_at, busy=bool(plan.delete))


def _prune_again_at(pruned: PruneReport | None, rendered: Rendered) -> float:
    """When objects may be deleted: at once, or a while after something could not be."""
    failed = pruned is not None and bool(pruned.failures) and pruned.commit == rendered.commit
    return pruned.at + RETRY_SECONDS if failed and pruned is not None else 0.0


def _prune_plan(world: ApplicationWorld, rendered: Rendered, inventory: Inventory) -> PrunePlan:
    sync = world.application.spec.sync
    if not sync.prune:
        return PrunePlan()
    confirmed = world.application.metadata.annotations.get(CONFIRM_PRUNE, "")
    return plan_prune(
        inventory_ids(inventory),
        rendered,
        world.applied,
        limit_percent=float(sync.prune_limit.rstrip("%")),
        confirmed=len(confirmed) >= 7 and rendered.commit.startswith(confirmed),
        in_use=world.in_use,
    )


def _synced(world: ApplicationWorld, rendered: Rendered, plan: PrunePlan) -> Synced:
    if plan.held:
        names = ", ".join(i.words for i in plan.held[:5])
        remedy = f"confirm with the annotation {CONFIRM_PRUNE}: {rendered.commit[:12]}"
        return Synced("False", "PruneHeld", f"not deleted: {names} ({plan.reason}); {remedy}")
    pruned = world.pruned
    if pruned is not None and pruned.failures and pruned.commit == rendered.commit:
        return Synced("False", "PruneFailed", _list(pruned.failures))
    warnings = "".join(f"; {text}" for text in rendered.warnings[:3])
    return Synced("True", "Applied", f"{rendered.commit[:7]} is applied{warnings}")


def _list(failures: tuple[tuple[ObjectId, str], ...]) -> str:
    listed = "; ".join(f"{i.words}: {words}" for i, words in failures[:5])
    return listed if len(failures) <= 5 else f"{listed}; and {len(failures) - 5} more"


def inventory_ids(inventory: Inventory) -> set[ObjectId]:
    """The objects of an inventory."""
    return {ObjectId.parse(entry.id) for entry in inventory.entries}


def inventory_of(ids: Iterable[ObjectId], rendered: Rendered, old: Inventory) -> Inventory:
    """An inventory of these objects, with the versions that were rendered, or known before."""
    versions = {entry.id: entry.v for entry in old.entries} | {str(o.id): o.version for o in rendered.objects}
    entries = tuple(InventoryEntry(id=text, v=versions.get(text, "")) for text in sorted(map(str, ids)))
    return Inventory(count=len(entries), entries=entries)
