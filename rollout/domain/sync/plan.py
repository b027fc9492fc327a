"""A revert as it was decided, and what became of it."""

import hashlib
from dataclasses import dataclass

ATTEMPTS_LISTED_MAX = 20


@dataclass(frozen=True, slots=True)
class RevertPlan:
    """Everything that a job needs to take one failed change back; the same plan gives the same commit.

    Attributes:
        id: derived from what failed and where.
        branch: short name of the branch that declares the Rollout.
        namespace: of the Rollout.
        name: of the Rollout.
        uid: of the Rollout.
        good: commit whose files are restored.
        bad: commit that declared the failure.
        failed_digest: pod template that failed.
        healthy_digest: pod template that the result must declare.
        subject: what failed, in words, such as `checkout:1.4.3`.
        reason: why, in words of the analysis.
        analysis_run: its name; empty for other causes.
        weight_percent: traffic weight at the failure.
        planned_at: RFC 3339; the date of the commit.
    """

    id: str
    branch: str
    namespace: str
    name: str
    uid: str
    good: str
    bad: str
    failed_digest: str
    healthy_digest: str
    subject: str
    reason: str
    analysis_run: str
    weight_percent: int
    planned_at: str


@dataclass(frozen=True, slots=True)
class Pushed:
    """The branch has the revert (by us now, or by an earlier try of the same plan)."""

    commit: str


@dataclass(frozen=True, slots=True)
class AlreadyReverted:
    """A person took the change back before we did."""

    commit: str


@dataclass(frozen=True, slots=True)
class Superseded:
    """Git declares something else by now; there is nothing to take back."""

    message: str


@dataclass(frozen=True, slots=True)
class Blocked:
    """It cannot be done safely without a person."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class TryAgain:
    """Something that passes stands in the way."""

    reason: str
    message: str


RevertOutcome = Pushed | AlreadyReverted | Superseded | Blocked | TryAgain


def revert_id(url: str, branch: str, path: str, rollout: str, failed_digest: str, bad: str) -> str:
    """Sixteen hex digits that name one failure, whoever computes them.

    Args:
        url: normalised URL of the repository.
        branch: short name.
        path: of the Application.
        rollout: `namespace/name`.
        failed_digest: pod template that failed.
        bad: commit that declared it.
    """
    parts = f"{url}\0{branch}\0{path}\0{rollout}\0{failed_digest}\0{bad}"
    return hashlib.sha256(parts.encode()).hexdigest()[:16]
