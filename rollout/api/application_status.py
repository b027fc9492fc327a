"""Status of an Application: conditions, inventory, and the bookkeeping of reverts. One writer."""

from typing import Literal

from analysis.model_base import Model
from rollout.api.meta import Condition

RevertPhase = Literal["Planned", "Pushed", "PullRequestOpen", "AlreadyReverted", "Superseded", "Blocked"]


class ImageDigest(Model):
    """The content of one container's image."""

    name: str
    """Name of the container."""
    reference: str = ""
    """The image as the template names it."""
    digest: str = ""
    """Digest of the image, `sha256:` first; empty where it is not known yet."""


class RolloutRevision(Model):
    """A pod template and the commit that declares it."""

    revision: str
    """Commit."""
    template_digest: str
    """Digest of the rendered pod template."""
    images: tuple[ImageDigest, ...] = ()
    """Images of its containers."""
    at: str = ""
    """When it was observed, RFC 3339."""


class QuarantineEntry(Model):
    """A pod template that failed and is not deployed again."""

    template_digest: str
    """Digest of the rendered pod template."""
    images: tuple[str, ...] = ()
    """Digests of images that were new in it; templates with one of them are refused too."""
    references: tuple[str, ...] = ()
    """How the failing template named those images."""
    revision: str = ""
    """Head of the branch when it failed; only a newer commit can release it."""
    reason: str = ""
    """What failed."""
    analysis_run: str = ""
    """AnalysisRun that failed."""
    since: str = ""
    """When it failed, RFC 3339."""
    released_at: str = ""
    """When a person released it, RFC 3339; a later failure quarantines again."""


class RevertStatus(Model):
    """The revert of one failure."""

    id: str
    """Derived from what failed and where, so the same for whoever computes it."""
    phase: RevertPhase
    """How far it is."""
    tier: Literal["Commit", "Pin", "PullRequest"] = "Commit"
    """How the change is taken back."""
    good: str = ""
    """Commit whose files are restored."""
    bad: str = ""
    """Commit that declared the failure."""
    template_digest: str = ""
    """Pod template that failed."""
    restored_digest: str = ""
    """Pod template that the commit restores."""
    weight_percent: int = 0
    """Traffic weight at which it failed."""
    cause: str = ""
    """What failed, in the analysis's words."""
    planned_at: str = ""
    """When it was decided, RFC 3339; also the date of the commit, so a repetition gives the same commit."""
    commit: str = ""
    """The commit that takes the change back."""
    attempts: int = 0
    """Tries so far."""
    next_attempt_at: str = ""
    """When it is tried again, RFC 3339."""
    reason: str = ""
    """Why it is blocked or waits, one word."""
    message: str = ""
    """The same as a sentence, with the host's words."""


class ApplicationRollout(Model):
    """What Coalmine keeps of one Rollout of the Application."""

    namespace: str
    """Namespace of the Rollout."""
    name: str
    """Name of the Rollout."""
    uid: str = ""
    """UID of the Rollout."""
    last_healthy: RolloutRevision | None = None
    """Newest revision at which it was healthy and stable; a revert restores this."""
    current: RolloutRevision | None = None
    """The declared revision."""
    quarantine: tuple[QuarantineEntry, ...] = ()
    """What failed and is refused; newest last, at most 20."""
    revert: RevertStatus | None = None
    """The last revert."""


class InventoryEntry(Model):
    """An object that the Application applied."""

    id: str
    """`<namespace>_<name>_<group>_<kind>`; parts may be empty."""
    v: str
    """API version without the group."""


class Inventory(Model):
    """Every object that the Application applied and has not pruned."""

    count: int = 0
    """How many."""
    entries: tuple[InventoryEntry, ...] = ()
    """The objects, sorted by id."""


class ApplicationStatus(Model):
    """What Coalmine observed and did."""

    observed_generation: int = 0
    """The generation of the spec that this status is about."""
    conditions: tuple[Condition, ...] = ()
    """Ready, Reconciling, Stalled, Synced, Reverted."""
    desired_revision: str = ""
    """The revision that Git declares, `<ref>@sha1:<commit>`."""
    applied_revision: str = ""
    """The revision that was applied last in full."""
    render_digest: str = ""
    """Digest of the rendered objects."""
    closure_digest: str = ""
    """Digest of the files that the render read."""
    last_handled_refresh: str = ""
    """Value of the annotation `coalmine.dev/refresh` that was answered last: a pass that began after it has ended."""
    inventory: Inventory = Inventory()
    """What was applied."""
    rollouts: tuple[ApplicationRollout, ...] = ()
    """The Application's Rollouts and their reverts."""
