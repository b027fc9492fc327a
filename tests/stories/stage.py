"""What a story needs: manifests in, waits on events, counts of clients out."""

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import yaml

from rollout.errors import Conflict
from rollout.kube.client import KubeClient
from rollout.kube.connection import Connection
from rollout.kube.resources import (
    ANALYSIS_RUNS,
    ANALYSIS_TEMPLATES,
    APPLICATIONS,
    CONFIG_MAPS,
    EVENTS,
    GIT_REPOSITORIES,
    HTTP_ROUTES,
    NAMESPACES,
    PODS,
    REPLICA_SETS,
    ROLLOUTS,
    SECRETS,
    SERVICES,
    Resource,
)
from rollout.sandbox.box import Sandbox
from rollout.sandbox.demo.manifests import secret
from rollout.sandbox.demo.person import Person
from rollout.sandbox.node.images import Behaviour, add_image
from rollout.sandbox.parts import Part

Json = dict[str, Any]
T = TypeVar("T")

BOUND_SECONDS = 120.0
"""Generous: a story fails by what it sees, never by how long the machine took."""
_NUMBERS = itertools.count(1)
_KINDS = {
    r.kind: r
    for r in (
        ROLLOUTS, SERVICES, HTTP_ROUTES, ANALYSIS_TEMPLATES, ANALYSIS_RUNS, GIT_REPOSITORIES, APPLICATIONS, CONFIG_MAPS,
        SECRETS, NAMESPACES,
    )
}  # fmt: skip


class Stage:
    """One story's namespace in the sandbox."""

    def __init__(self, box: Sandbox, folder: Path, runner: asyncio.Runner) -> None:
        self.box, self.folder, self._runner = box, folder, runner
        self.namespace = f"story-{next(_NUMBERS)}"
        self.host = f"{self.namespace}.localhost"
        self._load: Part | None = None

    def play(self, story: Awaitable[T]) -> T:
        """Run a story to its end."""

        async def whole() -> T:
            return await story

        return self._runner.run(whole())

    async def set_up(self) -> None:
        self.connection = Connection(str(self.box.kubeconfig))
        self.client = KubeClient(self.connection)
        await self.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}})

    async def tear_down(self) -> None:
        if self._load is not None:
            await self._load.stop()
        for resource in (APPLICATIONS, ROLLOUTS, REPLICA_SETS):
            for obj in await self.client.list(resource, self.namespace):
                await self.client.delete(resource, self.namespace, obj["metadata"]["name"])
        await self.client.delete(NAMESPACES, None, self.namespace)
        await self.connection.close()

    # Objects

    async def create(self, obj: Json) -> Json:
        resource = _KINDS[obj["kind"]]
        if resource.namespaced:
            obj["metadata"].setdefault("namespace", self.namespace)
        try:
            return await self.client.create(resource, obj)
        except Conflict:
            return await self.client.apply(resource, obj, manager="story", force=True)

    async def apply(self, text: str) -> None:
        """Apply manifests, as `kubectl apply --server-side` would."""
        for obj in yaml.safe_load_all(text):
            obj["metadata"]["namespace"] = self.namespace
            await self.client.apply(_KINDS[obj["kind"]], obj, manager="story", force=True)

    async def get(self, resource: Resource, name: str) -> Json:
        return await self.client.get(resource, self.namespace, name) or {}

    async def rollout(self, name: str = "web") -> Json:
        return await self.get(ROLLOUTS, name)

    async def status(self, name: str = "web") -> Json:
        return (await self.rollout(name)).get("status") or {}

    async def patch(self, resource: Resource, name: str, patch: Json, subresource: str = "") -> Json:
        return await self.client.merge_patch(resource, self.namespace, name, patch, subresource=subresource)

    async def steer(self, **status: Any) -> None:
        """Patch the Rollout's status, as the command line does."""
        await self.patch(ROLLOUTS, "web", {"status": status}, "status")

    async def release(self, image: str, name: str = "web") -> None:
        """Change the image of the Rollout."""
        live = await self.rollout(name)
        containers = live["spec"]["template"]["spec"]["containers"]
        changed = [{**containers[0], "image": image}]
        await self.patch(ROLLOUTS, name, {"spec": {"template": {"spec": {"containers": changed}}}})

    async def until(self, what: str, holds: Callable[[], Awaitable[Any]], seconds: float = BOUND_SECONDS) -> Any:
        """Wait until something is true; a story that waits in vain says what it saw."""
        deadline = time.monotonic() + seconds
        while not (seen := await holds()):
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {seconds} s until {what}; {await self._standing()}")
            await asyncio.sleep(0.1)
        return seen

    async def _standing(self) -> str:
        """Where everything stands, for the story that waits in vain."""
        told = [f"the Rollout's status: {await self.status()}"]
        for resource in (APPLICATIONS, GIT_REPOSITORIES):
            for obj in await self.client.list(resource, self.namespace):
                conditions = (obj.get("status") or {}).get("conditions") or []
                words = "; ".join(
                    f"{c['type']}={c['status']} ({c['reason']}: {c.get('message', '')})" for c in conditions
                )
                told.append(f"{resource.kind} {obj['metadata']['name']}: {words}")
        return "\n".join(told)

    async def until_phase(self, phase: str, message: str = "", name: str = "web") -> Json:
        """Wait for a phase that is about the current spec."""

        async def holds() -> Json | None:
            live = await self.rollout(name)
            status = live.get("status") or {}
            current = status.get("observedGeneration") == live.get("metadata", {}).get("generation")
            fits = current and status.get("phase") == phase and message in status.get("message", "")
            return status if fits else None

        return await self.until(f"{name} is {phase} {message}", holds)

    async def until_healthy(self, image: str, name: str = "web") -> Json:
        """Wait until a version is the stable one everywhere."""

        async def holds() -> bool:
            live = await self.rollout(name)
            status = live.get("status") or {}
            if not live or live["spec"]["template"]["spec"]["containers"][0]["image"] != image:
                return False
            current = status.get("observedGeneration") == live["metadata"]["generation"]
            return bool(current and status.get("phase") == "Healthy")

        await self.until(f"{name} is Healthy at {image}", holds)
        return await self.status(name)

    async def until_pause(self, reason: str) -> Json:
        """Wait until a reason is among those that pause the Rollout."""

        async def holds() -> Json | None:
            status = await self.status()
            reasons = [pause["reason"] for pause in status.get("pauseConditions") or []]
            return status if reason in reasons else None

        return await self.until(f"the Rollout pauses for {reason}", holds)

    async def until_weight(self, percent: int, route: str = "web") -> None:
        """Wait until a gateway has taken a weight."""

        async def holds() -> bool:
            return await self.weight(route) == percent

        await self.until(f"the weight is {percent}", holds)

    async def weight(self, route: str = "web") -> int:
        """The canary's weight as the route has it and the gateway took it; -1 while the gateway has not."""
        live = await self.get(HTTP_ROUTES, route)
        references = {r["name"]: r.get("weight", 1) for r in live["spec"]["rules"][0]["backendRefs"]}
        parents = (live.get("status") or {}).get("parents") or []
        taken = [c.get("observedGeneration") for p in parents for c in p["conditions"] if c["type"] == "Accepted"]
        return int(references["canary"]) if live["metadata"]["generation"] in taken else -1

    async def events(self) -> list[str]:
        """Reasons of the events of this namespace, oldest first."""
        found = await self.client.list(EVENTS, self.namespace)
        return [
            f"{e['reason']}: {e['message']}" for e in sorted(found, key=lambda e: e["metadata"]["creationTimestamp"])
        ]

    async def pods(self, image: str = "") -> list[Json]:
        """Pods that are not going, of one version or of all."""
        found = await self.client.list(PODS, self.namespace)
        standing = [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]
        return [pod for pod in standing if not image or pod["spec"]["containers"][0]["image"] == image]

    def image(self, reference: str, **behaviour: Any) -> None:
        """Make an image."""
        version = reference.partition(":")[2]
        add_image(self.box.images, reference, Behaviour(version, **behaviour))

    # Clients

    async def clients(self, rate: int = 100) -> None:
        """Users of the route, until the story ends."""
        folder = self.folder / "load"
        folder.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "rollout.sandbox.load", "--url", self.box.gateway_url, "--host", self.host]
        command += ["--rate", str(rate), "--data-dir", str(folder)]

        async def counting() -> bool:
            return bool(self.counts())

        self._load = Part("load", command, counting, folder / "load.log")
        await self._load.start()

    def counts(self, since: float = 0.0) -> list[Json]:
        """What clients counted, a line a second."""
        path = self.folder / "load" / "load.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in (json.loads(t) for t in lines if t.endswith("}")) if line["t"] >= since]

    def answered_by(self, version: str, since: float = 0.0) -> int:
        """Requests that a version answered."""
        arms = [line["arms"].get(version, {}) for line in self.counts(since)]
        return sum(arm.get("ok", 0) + arm.get("errors", 0) for arm in arms)

    def unanswered(self, since: float = 0.0) -> int:
        """Requests that no version answered."""
        return sum(line["failed"] for line in self.counts(since))

    def errors_of(self, version: str) -> int:
        """Requests that a version answered with an error."""
        return sum(line["arms"].get(version, {}).get("errors", 0) for line in self.counts())

    async def until_answered(self, version: str, more: int) -> None:
        """Wait until clients counted so many more answers of a version: they are a story's clock."""
        seen = self.answered_by(version)

        async def holds() -> bool:
            return self.answered_by(version) >= seen + more

        await self.until(f"version {version} has answered {more} more requests", holds)

    # Git

    async def repository(self, write: bool = True, **spec: Any) -> Person:
        """A repository with a person's clone, and a GitRepository for it."""
        url = await self.box.create_repository(self.namespace)
        passwords = self.box.plan.passwords
        person = await asyncio.to_thread(Person, self.folder / "person", url, "person", passwords["person"])
        for name, values in (
            ("git-read", {"username": "reader", "password": passwords["reader"]}),
            ("git-write", {"username": "writer", "password": passwords["writer"]}),
            ("git-signing", {"identity": self.box.signing_key.read_text()}),
        ):
            await self.create({**secret(name, values), "metadata": {"name": name, "namespace": self.namespace}})
        declared: Json = {"url": url, "ref": {"branch": "main"}, "interval": "1s", "secretRef": {"name": "git-read"}}
        if write:
            declared["write"] = {
                "secretRef": {"name": "git-write"},
                "author": {"name": "Coalmine", "email": "coalmine@example.com"},
                "signing": {"secretRef": {"name": "git-signing"}},
            }
        kind = {"apiVersion": GIT_REPOSITORIES.api_version, "kind": GIT_REPOSITORIES.kind}
        await self.create({**kind, "metadata": {"name": "config"}, "spec": {**declared, **spec}})
        return person

    def repository_url(self, host: str) -> str:
        """The story's repository through another address of the host."""
        return host + self.box.repository_path(self.namespace)

    def reverts(self, person: Person) -> list[str]:
        """The commits on the host's branch that are the operator's, newest first."""
        person.git("fetch", "--quiet", "origin", "main")
        return person.git("log", "--format=%H", "--author=Coalmine", "origin/main").split()

    def verify_signature(self, person: Person, commit: str) -> None:
        """Let git itself verify a commit with the sandbox's public key; raises CalledProcessError."""
        allowed = self.folder / "allowed-signers"
        allowed.write_text(f"coalmine@example.com {self.box.signing_key.with_suffix('.pub').read_text()}")
        person.git("-c", "gpg.format=ssh", "-c", f"gpg.ssh.allowedSignersFile={allowed}", "verify-commit", commit)

    async def application(self, path: str = "apps/web", name: str = "web", **spec: Any) -> None:
        """An Application of that repository."""
        kind = {"apiVersion": APPLICATIONS.api_version, "kind": APPLICATIONS.kind}
        source = {"repositoryRef": {"name": "config"}, "path": path, **spec.pop("source", {})}
        sync = {"interval": "2s", "selfHeal": True, "prune": True, **spec.pop("sync", {})}
        await self.create({**kind, "metadata": {"name": name}, "spec": {"source": source, "sync": sync, **spec}})

    async def condition(self, resource: Resource, name: str, kind: str) -> Json:
        """A condition of an object."""
        conditions = ((await self.get(resource, name)).get("status") or {}).get("conditions") or []
        return next((c for c in conditions if c["type"] == kind), {})

    async def until_condition(self, resource: Resource, name: str, kind: str, status: str, reason: str = "") -> Json:
        """Wait for a condition."""

        async def holds() -> Json | None:
            seen = await self.condition(resource, name, kind)
            return seen if seen.get("status") == status and reason in seen.get("reason", "") else None

        return await self.until(f"{name} has {kind}={status}/{reason}", holds)


def manifests(
    stage: Stage,
    image: str,
    *,
    replicas: int = 4,
    steps: str = "[{setWeight: 50}, {pause: {}}]",
    routed: bool = True,
    analysis: str = "",
    more: str = "",
    canary: str = "",
) -> str:
    """A Rollout with its Services and its route, as YAML."""
    return "---\n".join(
        [
            rollout_manifest(
                stage, image, replicas=replicas, steps=steps, routed=routed, analysis=analysis, more=more, canary=canary
            ),
            services(),
            *([route(stage)] if routed else []),
        ]
    )


def rollout_manifest(
    stage: Stage, image: str, *, replicas: int = 4, steps: str = "[{setWeight: 50}, {pause: {}}]", routed: bool = True,
    analysis: str = "", more: str = "", canary: str = "",
) -> str:  # fmt: skip
    """The Rollout alone."""
    routing = (
        "stableService: stable\n      canaryService: canary\n"
        "      trafficRouting: {gatewayAPI: {httpRoutes: [{name: web}]}}"
    )
    background = f"analysis: {analysis}" if analysis else ""
    return f"""\
apiVersion: coalmine.dev/v1alpha1
kind: Rollout
metadata: {{name: web}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: web}}}}
  {more}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      containers:
      - name: web
        image: {image}
        ports: [{{name: http, containerPort: 8080}}]
        readinessProbe: {{httpGet: {{path: /ready, port: http}}, periodSeconds: 1}}
  strategy:
    canary:
      {routing if routed else "{}" if not (background or canary or steps) else ""}
      {background}
      {canary}
      steps: {steps}
"""


def services() -> str:
    """The Services of both arms."""
    return "---\n".join(
        f"""\
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec:
  selector: {{app: web}}
  ports: [{{name: http, port: 80, targetPort: 8080}}]
"""
        for name in ("stable", "canary")
    )


def route(stage: Stage) -> str:
    """The route of the story's host."""
    return f"""\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: web}}
spec:
  parentRefs: [{json.dumps(stage.box.gateway)}]
  hostnames: [{stage.host}]
  rules:
  - backendRefs:
    - {{name: stable, port: 80, weight: 100}}
    - {{name: canary, port: 80, weight: 0}}
"""


def health_template(stage: Stage, tolerance: str = "400%", address: str = "") -> str:
    """Errors of both arms compared; the address is Prometheus' own if none is given."""
    return f"""\
apiVersion: coalmine.dev/v1alpha1
kind: AnalysisTemplate
metadata: {{name: health}}
spec:
  metrics:
  - name: errors
    interval: 1s
    provider: {{prometheus: {{address: "{address or stage.box.prometheus_url}"}}}}
    comparison:
      counts:
        events: http_requests_total{{namespace="{{{{arms.namespace}}}}", pod=~"{{{{arms.pods}}}}", code="500"}}
        total: http_requests_total{{namespace="{{{{arms.namespace}}}}", pod=~"{{{{arms.pods}}}}"}}
      tolerance: {tolerance}
"""


BACKGROUND = "{templates: [{templateName: health}], comparison: {warmUp: 5s}}"
