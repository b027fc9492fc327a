"""The actions of an Application's decision and the ends of a revert, and which of them a decision shows."""

from typing import get_args

from rollout.api.application_status import ApplicationStatus, RevertPhase
from rollout.domain.decision import Decision
from rollout.domain.sync.actions import SyncAction
from tests.properties.reached import Reached

REACHED = Reached(
    "an Application's reverts",
    {
        "actions": frozenset(kind.__name__ for kind in get_args(SyncAction)),
        "reverts": frozenset({*get_args(RevertPhase), "Released"} - {"PullRequestOpen"}),  # Refused: not built yet.
        "Git": frozenset({"pushed", "found its push again", "push without an answer", "down", "refused"}),
    },
)


def note(decision: Decision[ApplicationStatus]) -> None:
    """Count what one turn decided."""
    REACHED.turns += 1
    REACHED.note("actions", *(type(action).__name__ for action in decision.actions))
    for record in decision.status.rollouts:
        if record.revert is not None:
            REACHED.note("reverts", record.revert.phase, *(["Released"] if record.revert.reason == "Released" else []))
