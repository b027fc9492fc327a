"""A mutating webhook as service meshes have one: it puts a sidecar into pods and ReplicaSets."""

import base64
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from rollout.kube.resources import Resource
from rollout.sandbox.apiserver.tls import authority

Json = dict[str, Any]
CONFIGURATIONS = Resource(
    "admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations", "MutatingWebhookConfiguration",
    namespaced=False,
)  # fmt: skip
SIDECAR = {"name": "sidecar", "image": "sidecar:1"}
"""Behind the others: a node of the sandbox runs the first container."""
_PODS_OF = {"Pod": "/spec/containers", "ReplicaSet": "/spec/template/spec/containers"}


@dataclass
class Sidecars:
    """The webhook's server, as an asynchronous context.

    Attributes:
        folder: of its certificates.
        added: how many objects got a sidecar, by kind.
    """

    folder: Path
    added: Counter[str] = field(default_factory=Counter)

    async def __aenter__(self) -> Self:
        self.folder.mkdir()
        self._authority = authority(self.folder, "127.0.0.1")
        app = web.Application(client_max_size=8 * 1024 * 1024)
        app.router.add_post("/", self._review)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._authority.server_context()).start()
        self._port = int(self._runner.addresses[0][1])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    def configuration(self, namespace: str) -> Json:
        """What the API server is told: pods that are made, ReplicaSets whenever they are written."""
        ca = base64.b64encode(self._authority.ca_pem().encode()).decode()
        pods = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}
        sets = {"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["replicasets"]}
        webhook = {
            "name": "sidecars.shop.example",
            "clientConfig": {"url": f"https://127.0.0.1:{self._port}/", "caBundle": ca},
            "rules": [pods, {**sets, "operations": ["CREATE", "UPDATE"]}],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "failurePolicy": "Fail",
            "timeoutSeconds": 30,
        }
        kind = {"apiVersion": CONFIGURATIONS.api_version, "kind": CONFIGURATIONS.kind}
        return {**kind, "metadata": {"name": f"sidecars-{namespace}"}, "webhooks": [webhook]}

    async def _review(self, request: web.Request) -> web.Response:
        review = await request.json()
        asked = review["request"]
        answer: Json = {"uid": asked["uid"], "allowed": True}
        path = _PODS_OF[asked["kind"]["kind"]]
        containers = asked["object"]
        for part in path.strip("/").split("/"):
            containers = containers[part]
        if all(container["name"] != SIDECAR["name"] for container in containers):
            self.added[asked["kind"]["kind"]] += 1
            patch = [{"op": "add", "path": f"{path}/-", "value": SIDECAR}]
            encoded = base64.b64encode(json.dumps(patch).encode()).decode()
            answer |= {"patchType": "JSONPatch", "patch": encoded}
        return web.json_response({"apiVersion": review["apiVersion"], "kind": review["kind"], "response": answer})
