"""`canaryMetadata` and `stableMetadata`: pods carry the labels and annotations of the role they play now."""

from rollout.api.rollout import RolloutStatus
from rollout.api.steps import PodTemplateMetadata
from rollout.domain.actions import LabelPod
from rollout.domain.decision import Decision
from rollout.domain.progress.standing import updating
from rollout.domain.world import PodView, World

_NONE = PodTemplateMetadata()


def mark(world: World, status: RolloutStatus, now: float) -> Decision[RolloutStatus]:
    """Bring every pod's role labels in line; a label that only the other role has is removed."""
    del now
    canary, stable = world.canary.canary_metadata or _NONE, world.canary.stable_metadata or _NONE
    if canary == stable == _NONE:
        return Decision(status)
    actions = []
    for pod in world.pods:
        if pod.deleting:
            continue
        role, other = (canary, stable) if _is_canary(world, status, pod) else (stable, canary)
        labels = _difference(dict(pod.labels), role.labels, other.labels)
        annotations = _difference(dict(pod.annotations), role.annotations, other.annotations)
        if labels or annotations:
            actions.append(LabelPod(pod.name, labels, annotations))
    return Decision(status, tuple(actions))


def _is_canary(world: World, status: RolloutStatus, pod: PodView) -> bool:
    return updating(world, status) and pod.pod_hash != status.stable_rs


def _difference(have: dict[str, str], wanted: dict[str, str], others: dict[str, str]) -> dict[str, str | None]:
    missing: dict[str, str | None] = {k: v for k, v in wanted.items() if have.get(k) != v}
    surplus: dict[str, str | None] = {k: None for k, v in others.items() if k not in wanted and have.get(k) == v}
    return missing | surplus
