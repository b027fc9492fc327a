"""Git in, Git out: the operator's Git controllers on the embedded API server and a real Git host.

Rollouts are played by the test (their status is what a Rollout's controller would write); everything else is real.
"""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from rollout.controllers.context import Context
from rollout.controllers.git import git_controllers
from rollout.controllers.registry import Controllers, Surroundings
from rollout.errors import CoalmineError
from rollout.kube.client import KubeClient
from rollout.kube.connection import Connection
from rollout.kube.resources import (
    APPLICATIONS,
    CONFIG_MAPS,
    CUSTOM_RESOURCE_DEFINITIONS,
    GIT_REPOSITORIES,
    NAMESPACES,
    ROLLOUTS,
    SECRETS,
    SERVICES,
    Resource,
)
from rollout.runtime import operator as operator_module
from rollout.runtime.operator import Operator
from rollout.runtime.settings import Settings
from rollout.sandbox.git_push_hook import Subscription
from rollout.sandbox.githost import Account, GitHost
from tests.support.api_process import ROOT, embedded_server
from tests.support.git_work import Work, bare_head, bare_log, bare_show

BOUND_SECONDS = 60.0
READER, WRITER = Account("reader", "read"), Account("writer", "write", write=True)
WEB = "apps/web/rollout.yaml"


def manifest(image: str) -> str:
    return f"""apiVersion: coalmine.dev/v1alpha1
kind: Rollout
metadata: {{name: web}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      containers:
      - name: web
        image: {image}
  strategy: {{canary: {{steps: [{{setWeight: 50}}, {{pause: {{}}}}]}}}}
"""


SERVICE = """apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80}]}
"""
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: conf}\ndata: {mode: fast}\n"


class Scene:
    """A cluster with the operator in it, a Git host, and a person's clone."""

    def __init__(self, client: KubeClient, host: GitHost, folder: Path, operator: Operator) -> None:
        self.client, self.host, self.operator = client, host, operator
        self.bare = host.create("shop")
        self.work = Work(self.bare, folder / "work")

    async def push(self, message: str, files: dict[str, str | bytes] | None = None, **options: Any) -> str:
        return await asyncio.to_thread(lambda: self.work.commit(message, files, **options))

    async def secret(self, name: str, **values: str) -> None:
        data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        obj = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "shop"}, "data": data}
        await self.client.create(SECRETS, obj)

    async def declare(self, **sync: Any) -> None:
        """The GitRepository with its Secrets, and the Application."""
        await self.secret("read", username="reader", password="read")
        await self.secret("write", username="writer", password="write")
        await self.secret("hook", token="tok")
        spec = {
            "url": self.host.url_of("shop"),
            "ref": {"branch": "main"},
            "interval": "1h",
            "timeout": "20s",
            "secretRef": {"name": "read"},
            "webhook": {"secretRef": {"name": "hook"}},
            "write": {"secretRef": {"name": "write"}, "author": {"name": "Coalmine", "email": "c@example.com"}},
        }
        await self.create(GIT_REPOSITORIES, "shop", spec)
        source = {"repositoryRef": {"name": "shop"}, "path": "apps/web"}
        await self.create(APPLICATIONS, "web", {"source": source, "sync": {"prune": True, "pruneLimit": "60%", **sync}})
        repository = await self.until(GIT_REPOSITORIES, "shop", lambda o: o["status"].get("webhookPath"))
        hook = f"http://127.0.0.1:{self.operator.ports['webhook']}{repository['status']['webhookPath']}"
        self.host.subscribe(Subscription("shop", hook, "tok"))
        # Pushes of the person go over HTTP from now on, so that the host can announce them.
        url = self.host.url_of("shop").replace("//", "//writer:write@")
        self.work.git("remote", "set-url", "origin", url)

    async def create(self, resource: Resource, name: str, spec: dict[str, Any]) -> None:
        metadata = {"name": name, "namespace": "shop"}
        obj = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, "spec": spec}
        await self.client.create(resource, obj)

    async def get(self, resource: Resource, name: str) -> dict[str, Any] | None:
        return await self.client.get(resource, "shop", name)

    async def until(self, resource: Resource, name: str, holds: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        """The object once something holds of it."""
        last: dict[str, Any] | None = None
        try:
            async with asyncio.timeout(BOUND_SECONDS):
                while True:
                    last = await self.get(resource, name)
                    if last is not None and "status" in last | {"status": None} and _true(holds, last):
                        return last
                    await asyncio.sleep(0.05)
        except TimeoutError:
            pytest.fail(f"never came true of {resource.kind} {name}: {(last or {}).get('status')}")

    async def condition(self, kind: str, reason: str) -> dict[str, Any]:
        """The Application once a condition has a reason."""
        return await self.until(APPLICATIONS, "web", lambda o: reason_of(o, kind) == reason)

    async def becomes_healthy(self) -> None:
        """Play the Rollout's controller: the declared version is stable."""
        live = await self.get(ROLLOUTS, "web")
        assert live is not None
        version = live["spec"]["template"]["spec"]["containers"][0]["image"]
        status = {
            "observedGeneration": live["metadata"]["generation"],
            "phase": "Healthy",
            "stableRS": version,
            "currentPodHash": version,
            "abort": False,
            "abortedAt": None,
        }
        await self.client.merge_patch(ROLLOUTS, "shop", "web", {"status": status}, subresource="status")

    async def fails(self) -> None:
        """Play the Rollout's controller: the analysis failed, stable has the traffic."""
        live = await self.get(ROLLOUTS, "web")
        assert live is not None
        from rollout.domain.clock import rfc3339
        from rollout.runtime.clock import now

        run = {"name": "web-2", "status": "Failed", "message": "errors doubled"}
        status = {
            "observedGeneration": live["metadata"]["generation"],
            "phase": "Degraded",
            "abort": True,
            "abortedAt": rfc3339(now()),
            "currentPodHash": live["spec"]["template"]["spec"]["containers"][0]["image"],
            "updatedReplicas": 0,
            "canary": {"currentBackgroundAnalysisRunStatus": run},
        }
        await self.client.merge_patch(ROLLOUTS, "shop", "web", {"status": status}, subresource="status")


def _true(holds: Callable[[dict[str, Any]], Any], obj: dict[str, Any]) -> bool:
    obj.setdefault("status", {})
    return bool(holds(obj))


def reason_of(obj: dict[str, Any], kind: str) -> str:
    found = (c for c in obj["status"].get("conditions") or [] if c["type"] == kind)
    return next((str(c["reason"]) for c in found), "")


def image_of(obj: dict[str, Any]) -> str:
    return str(obj["spec"]["template"]["spec"]["containers"][0]["image"])


def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, story: Callable[[Scene], Awaitable[None]]) -> None:
    @asynccontextmanager
    async def only_git(context: Context, around: Surroundings) -> AsyncIterator[Controllers]:
        async with git_controllers(context, around.data_dir) as found:
            yield Controllers((found.repositories, found.applications), found.webhook, found.begin)

    async def scene(kubeconfig: Path) -> None:
        settings = Settings(
            kubeconfig=str(kubeconfig), health_port=0, metrics_port=0, webhook_port=0, data_dir=tmp_path / "data"
        )
        connection = Connection(str(kubeconfig))
        client = KubeClient(connection)
        operator = Operator(settings)
        try:
            await _install(client)
            async with GitHost(tmp_path / "srv", [READER, WRITER]) as host:
                running = asyncio.ensure_future(operator.run())
                try:
                    async with asyncio.timeout(BOUND_SECONDS):
                        await operator.synced.wait()
                    await story(Scene(client, host, tmp_path, operator))
                finally:
                    running.cancel()
                    await asyncio.gather(running, return_exceptions=True)
        finally:
            await connection.close()

    monkeypatch.setattr(operator_module, "controllers", only_git)
    folder = tmp_path / "api"
    folder.mkdir()
    with embedded_server(folder) as server:
        asyncio.run(scene(server.kubeconfig))


async def _install(client: KubeClient) -> None:
    for path in sorted((ROOT / "crds").glob("*.yaml")):
        await client.create(CUSTOM_RESOURCE_DEFINITIONS, yaml.safe_load(path.read_text()))
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    try:
        await client.create(NAMESPACES, namespace)
    except CoalmineError:
        assert await client.get(NAMESPACES, None, "shop") is not None


def test_a_push_is_applied_a_failure_is_reverted_and_the_same_version_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(scene: Scene) -> None:
        first = await scene.push("good", {WEB: manifest("web:1"), "apps/web/service.yaml": SERVICE})
        await scene.declare()
        await scene.condition("Synced", "Applied")
        await scene.becomes_healthy()
        app = await scene.until(APPLICATIONS, "web", lambda o: o["status"]["rollouts"][0].get("lastHealthy"))
        assert app["status"]["rollouts"][0]["lastHealthy"]["revision"] == first
        await scene.condition("Ready", "Healthy")

        await scene.push("bad", {WEB: manifest("web:2")})
        await scene.until(ROLLOUTS, "web", lambda o: image_of(o) == "web:2")
        await scene.fails()
        await scene.condition("Reverted", "Pushed")
        assert bare_log(scene.bare)[0].startswith("revert(shop/web): web:2 failed")
        assert bare_show(scene.bare, WEB) == manifest("web:1").strip()
        await scene.until(ROLLOUTS, "web", lambda o: image_of(o) == "web:1")
        await scene.becomes_healthy()
        await scene.condition("Synced", "Applied")
        await scene.condition("Ready", "Healthy")

        await asyncio.to_thread(scene.work.pull)
        await scene.push("bad again", {WEB: manifest("web:2"), "apps/web/conf.yaml": CONFIG})
        await scene.condition("Synced", "RevisionQuarantined")
        live = await scene.get(ROLLOUTS, "web")
        assert live is not None
        assert image_of(live) == "web:1"
        assert await scene.get(CONFIG_MAPS, "conf") is None
        assert sum(line.startswith("revert(") for line in bare_log(scene.bare)) == 1

    run(tmp_path, monkeypatch, story)


def test_drift_is_repaired_a_removed_file_is_pruned_and_a_broken_one_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(scene: Scene) -> None:
        files: dict[str, str | bytes] = {WEB: manifest("web:1"), "apps/web/s.yaml": SERVICE, "apps/web/c.yaml": CONFIG}
        await scene.push("good", files)
        await scene.declare()
        await scene.condition("Synced", "Applied")
        config = await scene.get(CONFIG_MAPS, "conf")
        assert config is not None
        assert config["metadata"]["labels"]["coalmine.dev/application"] == "web"

        patch = {"spec": {"selector": {"app": "foreign"}}}
        await scene.client.merge_patch(SERVICES, "shop", "web", patch)
        await scene.client.merge_patch(ROLLOUTS, "shop", "web", {"spec": {"replicas": 9}})
        await scene.until(ROLLOUTS, "web", lambda o: o["spec"]["replicas"] == 2)
        await scene.until(SERVICES, "web", lambda o: o["spec"]["selector"] == {"app": "web"})

        await scene.push("broken", {"apps/web/broken.yaml": b"\xff\xfe"}, remove=["apps/web/c.yaml"])
        broken = await scene.condition("Synced", "RenderFailed")
        message = next(c["message"] for c in broken["status"]["conditions"] if c["type"] == "Synced")
        assert "apps/web/broken.yaml: not UTF-8" in message
        assert await scene.get(CONFIG_MAPS, "conf") is not None

        await scene.push("mended", remove=["apps/web/broken.yaml"])
        await scene.condition("Synced", "Applied")
        await scene.until(APPLICATIONS, "web", lambda o: o["status"]["inventory"]["count"] == 2)
        assert await scene.get(CONFIG_MAPS, "conf") is None

    run(tmp_path, monkeypatch, story)


def test_a_host_that_refuses_is_told_and_pods_stay_safe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(scene: Scene) -> None:
        await scene.push("good", {WEB: manifest("web:1")})
        await scene.declare()
        await scene.condition("Synced", "Applied")
        await scene.becomes_healthy()
        await scene.condition("Ready", "Healthy")
        bad = await scene.push("bad", {WEB: manifest("web:2")})
        await scene.until(ROLLOUTS, "web", lambda o: image_of(o) == "web:2")
        scene.host.protect("shop", "main is protected")
        await scene.fails()
        app = await scene.condition("Reverted", "RevertBlocked")
        assert "main is protected" in app["status"]["rollouts"][0]["revert"]["message"]
        assert bare_head(scene.bare) == bad
        await scene.condition("Synced", "RevisionQuarantined")

    run(tmp_path, monkeypatch, story)
