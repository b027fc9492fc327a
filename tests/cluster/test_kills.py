"""The operator is killed in the bad-release story on a real control plane, and started again, with the chart's rights.

CI plays every seventeenth action, which is odd and even in turn; `make kills` plays all of them.
"""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rollout.kube.resources import Resource
from tests.cluster import installation
from tests.cluster.binaries import MINORS
from tests.cluster.box import Cluster as Real
from tests.cluster.box import client_of
from tests.faults.cluster import Cluster, aside
from tests.faults.every_kill import every_kill
from tests.faults.operators import LEASE_NAMESPACE
from tests.faults.test_kills import ACTIONS_MIN

pytestmark = pytest.mark.parametrize("box", MINORS[:1], indirect=True)
STEP = int(os.environ.get("KILLS_STEP", "17"))
RBAC = "rbac.authorization.k8s.io"
ROLES, ROLE_BINDINGS = Resource(RBAC, "v1", "roles", "Role"), Resource(RBAC, "v1", "rolebindings", "RoleBinding")


async def may_hold_leases_of_stories(box: Real) -> None:
    """The chart allows the operator one Lease, by its name; several operators at a time want one each."""
    about = {"apiVersion": f"{RBAC}/v1", "metadata": {"name": "leases-of-stories", "namespace": LEASE_NAMESPACE}}
    rule = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "update"]}
    subject = {"kind": "ServiceAccount", "name": installation.ACCOUNT, "namespace": installation.NAMESPACE}
    reference = {"apiGroup": RBAC, "kind": "Role", "name": "leases-of-stories"}
    async with client_of(box.kubeconfig) as client:
        await client.apply(ROLES, {**about, "kind": "Role", "rules": [rule]}, manager="story")
        binding = {**about, "kind": "RoleBinding", "roleRef": reference, "subjects": [subject]}
        await client.apply(ROLE_BINDINGS, binding, manager="story")


@pytest.fixture
def cluster(box: Real, runner: asyncio.Runner) -> Iterator[Cluster]:
    runner.run(may_hold_leases_of_stories(box))
    place = aside(box, box.operator_kubeconfig)
    yield runner.run(place.__aenter__())
    runner.run(place.__aexit__(None, None, None))


def test_a_kill_at_an_action_ends_in_the_same_state_with_one_revert(
    cluster: Cluster, runner: asyncio.Runner, tmp_path: Path
) -> None:
    outcomes = runner.run(every_kill(cluster, tmp_path, runner, step=STEP))
    assert not [f"action {number}: {one.words}" for number, one in outcomes.items() if not one.right]
    assert len(outcomes) > ACTIONS_MIN / STEP
