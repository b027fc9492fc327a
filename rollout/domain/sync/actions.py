"""What an Application's decision may start. Jobs report back through the world of a later turn."""

from dataclasses import dataclass

from rollout.domain.sync.objects import ObjectId, Rendered
from rollout.domain.sync.plan import RevertPlan


@dataclass(frozen=True, slots=True)
class StartRender:
    """Render a fetched commit."""

    commit: str


@dataclass(frozen=True, slots=True)
class StartApply:
    """Bring the cluster in line with a complete render; or only look for drift."""

    rendered: Rendered
    check_only: bool = False


@dataclass(frozen=True, slots=True)
class StartPrune:
    """Delete objects that the applied commit no longer declares."""

    commit: str
    objects: tuple[ObjectId, ...]


@dataclass(frozen=True, slots=True)
class StartRevert:
    """Take a change back in Git; the plan is in the published status."""

    plan: RevertPlan


@dataclass(frozen=True, slots=True)
class ConsumeRelease:
    """Remove the annotation by which a person released digests: it was heard."""


@dataclass(frozen=True, slots=True)
class RetryRollout:
    """Clear the abort of a Rollout whose version was released."""

    namespace: str
    name: str


SyncAction = StartRender | StartApply | StartPrune | StartRevert | ConsumeRelease | RetryRollout
