"""The whole story of a Rollout: read this first.

A turn is a chain of stages. Each sees the world and the status so far, and adds to the answer. The order is a
safety property: a verdict is heard before a step is taken, traffic moves before pods do, and the status that
causes the revert in Git is published after both.
"""

from collections.abc import Callable

from rollout.api.rollout import RolloutStatus
from rollout.domain.decision import Decision
from rollout.domain.progress import (
    abort,
    deadline,
    farewell,
    history,
    invalid,
    phase,
    replicas,
    restart,
    revision,
    roles,
    runs,
    steps,
    traffic,
)
from rollout.domain.world import World

Turn = Decision[RolloutStatus]
Stage = Callable[[World, RolloutStatus, float], Turn]

STAGES: tuple[Stage, ...] = (
    revision.establish,  # Which ReplicaSet is wanted? A new one, or new steps, start the update afresh.
    runs.judge,  # What does the analysis say? FAIL aborts, INCONCLUSIVE and missing data pause.
    deadline.check,  # Has nothing moved for too long?
    abort.settle,  # An abort, by whomever, puts the update back to its start.
    steps.advance,  # Otherwise go as far along the steps as the world allows, and promote at the end.
    traffic.route,  # Give each arm its share, never more than its ready pods carry.
    replicas.scale,  # Give each arm its pods.
    runs.keep,  # Start the analysis, record the weights, end what is not needed any more.
    restart.evict,  # Restart pods that a user wants restarted.
    roles.mark,  # Label pods with the role they play.
    history.collect,  # Forget old revisions and old runs.
)


def decide(world: World, now: float) -> Turn:
    """Decide the next move of a Rollout: pure, level-triggered, and stable once nothing is left to do.

    Args:
        world: the Rollout and everything that belongs to it.
        now: epoch seconds.
    """
    if world.rollout.metadata.deletion_timestamp:
        return farewell.leave(world)
    if problems := invalid.problems(world):
        return invalid.refuse(world, problems, now)
    turn: Turn = Decision(world.rollout.status)
    for stage in STAGES:
        turn = turn.then(stage(world, turn.status, now))
        if turn.halted:
            break
    return turn.then(phase.describe(world, turn.status, now))
