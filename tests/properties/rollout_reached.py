"""The phases, actions and reasons of a Rollout's decision, and which of them a decision shows."""

from pathlib import Path
from typing import get_args

import rollout.domain.progress
from analysis.verdict import AnalysisPhase
from rollout.api.rollout import RolloutStatus
from rollout.domain import actions as act
from rollout.domain.conditions import find
from rollout.domain.decision import Decision
from rollout.domain.progress.runs import INCONCLUSIVE, NO_DATA
from rollout.domain.progress.steps import PAUSE_STEP, VERIFY_TIMEOUT
from rollout.domain.world import World
from tests.properties.reached import Reached, event_reasons

ABORTS = {
    "by a user": "A user aborted",
    "by a failed verdict": " Failed: ",
    "by an analysis error": " Error: ",
    "by the progress deadline": "made no progress",
    "by verify": "aborted, as onTimeout says",
}
PROMOTIONS = {
    "initial": "Initial deploy",
    "full": "Full promotion requested",
    "rollback": "Rollback within window",
    "steps": "Completed all",
}

REACHED = Reached(
    "a Rollout's life",
    {
        "actions": frozenset(kind.__name__ for kind in get_args(act.Action)),
        "phases": frozenset({"Healthy", "Progressing", "Paused", "Degraded"}),
        "pauses": frozenset({PAUSE_STEP, VERIFY_TIMEOUT, INCONCLUSIVE, NO_DATA, "manually"}),
        "aborts": frozenset(ABORTS),
        "promotions": frozenset(PROMOTIONS),
        "completion": frozenset({"Promoted", "FastPromoted"}),
        "Progressing": frozenset(
            {
                "RolloutAborted",
                "ProgressDeadlineExceeded",
                "RolloutPaused",
                "NewReplicaSetAvailable",
                "NewReplicaSetCreated",
                "ReplicaSetUpdated",
            }
        ),
        "AnalysisPassed": frozenset({NO_DATA, *AnalysisPhase}),
        "events": event_reasons(Path(rollout.domain.progress.__path__[0])),
    },
)


def note(world: World, decision: Decision[RolloutStatus]) -> None:
    """Count what one turn decided."""
    status = decision.status
    REACHED.turns += 1
    REACHED.note("actions", *(type(action).__name__ for action in decision.actions))
    REACHED.note("phases", status.phase)
    REACHED.note("pauses", *(pause.reason for pause in status.pause_conditions))
    if status.message == "manually paused":
        REACHED.note("pauses", "manually")
    if status.duration.completion_status != world.rollout.status.duration.completion_status:
        REACHED.note("completion", *filter(None, [status.duration.completion_status]))
    for kind in ("Progressing", "AnalysisPassed"):
        condition = find(status.conditions, kind)
        if condition is not None:
            REACHED.note(kind, condition.reason)
    for event in decision.events:
        REACHED.note("events", event.reason)
        if event.reason == "RolloutAborted":
            REACHED.note("aborts", *(who for who, part in ABORTS.items() if part in event.message))
        if event.reason == "RolloutCompleted":
            REACHED.note("promotions", *(why for why, part in PROMOTIONS.items() if part in event.message))
