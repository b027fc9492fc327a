"""The operator is killed after every action of the bad-release story in turn, and started again."""

import asyncio
from pathlib import Path

from tests.faults.cluster import Cluster
from tests.faults.every_kill import every_kill

ACTIONS_MIN = 10
"""Apply, ReplicaSet, run, weights, statuses, plan, push, apply again: fewer would mean that nobody counts."""


def test_a_kill_at_any_action_ends_in_the_same_state_with_one_revert(
    cluster: Cluster, runner: asyncio.Runner, tmp_path: Path
) -> None:
    outcomes = runner.run(every_kill(cluster, tmp_path, runner))
    assert not [f"action {number}: {one.words}" for number, one in outcomes.items() if not one.right]
    assert len(outcomes) > ACTIONS_MIN
