"""The operator is killed after an action of the bad-release story, and started again.

CI plays every third action, which is odd and even in turn; `make faults` plays all of them.
"""

import asyncio
from pathlib import Path

from tests.faults.cluster import Cluster
from tests.faults.every_kill import every_kill

ACTIONS_MIN = 10
"""Apply, ReplicaSet, run, weights, statuses, plan, push, apply again: fewer would mean that nobody counts."""
STEP = 3


def test_a_kill_at_any_action_ends_in_the_same_state_with_one_revert(
    cluster: Cluster, runner: asyncio.Runner, tmp_path: Path
) -> None:
    outcomes = runner.run(every_kill(cluster, tmp_path, runner, step=STEP))
    assert not [f"action {number}: {one.words}" for number, one in outcomes.items() if not one.right]
    assert len(outcomes) * STEP > ACTIONS_MIN
