"""The Node object of a sandbox' node, for a scheduler to find."""

import contextlib
from typing import Any

from rollout.errors import Conflict
from rollout.kube.client import KubeClient
from rollout.kube.resources import Resource
from rollout.sandbox.node.kubelet import NODE, PODS_MAX

Json = dict[str, Any]
NODES = Resource("", "v1", "nodes", "Node", namespaced=False)
ROOM = {"cpu": "256", "memory": "1Ti", "pods": str(PODS_MAX)}


async def register(client: KubeClient) -> None:
    """Make the Node, ready and without taints: nobody else here looks after its life."""
    node: Json = {
        "apiVersion": NODES.api_version,
        "kind": NODES.kind,
        "metadata": {"name": NODE, "labels": {"kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux"}},
    }
    with contextlib.suppress(Conflict):  # It is there from an earlier life of ours.
        await client.create(NODES, node)
    ready = {"type": "Ready", "status": "True", "reason": "SandboxReady", "message": "pods run as processes"}
    status = {"capacity": ROOM, "allocatable": ROOM, "conditions": [ready]}
    await client.merge_patch(NODES, None, NODE, {"status": status}, subresource="status")
    # Admission taints every new node as not ready.
    await client.merge_patch(NODES, None, NODE, {"spec": {"taints": None}})
