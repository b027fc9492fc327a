"""The policy of the revert in Git, shared by Application (a default for its Rollouts) and Rollout."""

from typing import Annotated, Literal

import msgspec

from analysis.model_base import Model

RevertMode = Literal["Auto", "Commit", "Pin", "PullRequest", "None"]
RevertTrigger = Literal["AnalysisFailed", "ProgressDeadlineExceeded", "AbortedByUser"]


class RevertPolicy(Model):
    """When and how the change that declared a failed release is taken back in Git."""

    mode: RevertMode | None = None
    """How the change is taken back. Auto tries a direct commit and reports RevertBlocked when that is unsafe;
    Commit is the direct commit alone; Pin edits one image field; PullRequest proposes; None never writes.
    Default: Auto if the repository has `write`, else None."""
    triggers: tuple[RevertTrigger, ...] | None = None
    """Which failures are reverted. Default: AnalysisFailed."""
    max_failure_age: Annotated[str, msgspec.Meta(pattern=r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$")] | None = None
    """An older failure is reported, not reverted. Default: 1h."""
