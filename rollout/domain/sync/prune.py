"""What is deleted because Git no longer declares it. Only after a complete render that was applied in full."""

from collections.abc import Iterable
from dataclasses import dataclass

from rollout.domain.sync.objects import ObjectId, Rendered
from rollout.domain.sync.world import ApplyReport

# Deleting one of these deletes more than itself.
PROTECTED_KINDS = frozenset({"Namespace", "PersistentVolumeClaim", "PersistentVolume", "CustomResourceDefinition"})
_CONFIG_KINDS = frozenset({"ConfigMap", "Secret"})


@dataclass(frozen=True, slots=True)
class PrunePlan:
    """Objects to delete now, objects still read by pods, and why the rest waits for a person."""

    delete: tuple[ObjectId, ...] = ()
    in_use: tuple[ObjectId, ...] = ()
    held: tuple[ObjectId, ...] = ()
    reason: str = ""


def plan_prune(
    inventory: Iterable[ObjectId],
    rendered: Rendered,
    applied: ApplyReport | None,
    *,
    limit_percent: float,
    confirmed: bool,
    in_use: frozenset[ObjectId] = frozenset(),
) -> PrunePlan:
    """Decide which objects of the inventory go.

    Args:
        inventory: everything that was applied and is not gone yet.
        rendered: the complete render of the wanted commit.
        applied: the last pass; nothing goes unless it applied exactly this render without a failure.
        limit_percent: largest share of the inventory that goes without confirmation.
        confirmed: whether a person confirmed a prune to this commit.
        in_use: ConfigMaps and Secrets that pods of any revision still read.
    """
    known = tuple(sorted(inventory))
    declared = {o.id for o in rendered.objects}
    surplus = tuple(i for i in known if i not in declared)
    if not surplus or not _is_complete(rendered, applied):
        return PrunePlan()
    kept = tuple(i for i in surplus if i.kind in _CONFIG_KINDS and i in in_use)
    free = tuple(i for i in surplus if i not in kept)
    if confirmed:
        return PrunePlan(delete=free, in_use=kept)
    if not declared:
        return PrunePlan(in_use=kept, held=free, reason="the render is empty")
    if 100.0 * len(free) > limit_percent * len(known):
        return PrunePlan(in_use=kept, held=free, reason=f"{len(free)} of {len(known)} objects are more than the limit")
    protected = tuple(i for i in free if i.kind in PROTECTED_KINDS)
    reason = "deleting these kinds deletes more than themselves" if protected else ""
    return PrunePlan(tuple(i for i in free if i not in protected), kept, protected, reason)


def _is_complete(rendered: Rendered, applied: ApplyReport | None) -> bool:
    """Whether exactly this render was applied, all of it."""
    if applied is None or applied.failures or applied.checked_only:
        return False
    return (applied.commit, applied.render_digest) == (rendered.commit, rendered.digest)
