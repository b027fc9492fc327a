"""Applying a render to the embedded API server: order, driven fields, ownership, drift, prune."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from rollout.domain.sync.digest import digest
from rollout.domain.sync.objects import ObjectId, Rendered, RenderedObject
from rollout.errors import Conflict
from rollout.kube.apply import apply_render
from rollout.kube.client import KubeClient
from rollout.kube.connection import Connection
from rollout.kube.inventory import Owner
from rollout.kube.prune import prune_objects
from rollout.kube.resources import (
    CONFIG_MAPS,
    CUSTOM_RESOURCE_DEFINITIONS,
    HTTP_ROUTES,
    NAMESPACES,
    ROLLOUTS,
    SECRETS,
    SERVICES,
    Resource,
)
from tests.support.api_process import ROOT, embedded_server

OWNER = Owner("shop", "web")


def render(text: str, commit: str = "a" * 40) -> Rendered:
    objects = []
    for obj in yaml.safe_load_all(text):
        if obj["kind"] not in {"Namespace", "CustomResourceDefinition"}:
            obj["metadata"].setdefault("namespace", "shop")
        objects.append(RenderedObject(ObjectId.of(obj), obj, "apps/web/all.yaml"))
    return Rendered(commit, tuple(sorted(objects, key=lambda o: o.id)), frozenset(), digest(text), "")


def run(tmp_path: Path, story: Callable[[KubeClient], Awaitable[None]]) -> None:
    async def scene(kubeconfig: Path) -> None:
        connection = Connection(str(kubeconfig))
        try:
            client = KubeClient(connection)
            for path in sorted((ROOT / "crds").glob("*.yaml")):
                await client.create(CUSTOM_RESOURCE_DEFINITIONS, yaml.safe_load(path.read_text()))
            await client.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
            await story(client)
        finally:
            await connection.close()

    with embedded_server(tmp_path) as server:
        asyncio.run(scene(server.kubeconfig))


async def live(client: KubeClient, resource: Resource, name: str) -> dict[str, Any]:
    found = await client.get(resource, "shop", name)
    assert found is not None
    return found


APP = """
apiVersion: v1
kind: ConfigMap
metadata: {name: conf}
data: {mode: fast}
---
apiVersion: v1
kind: Secret
metadata: {name: key}
stringData: {token: abc}
---
apiVersion: v1
kind: Service
metadata: {name: stable}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: canary}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec:
  hostnames: [web.example.com]
  rules:
  - backendRefs: [{name: stable, port: 80, weight: 100}, {name: canary, port: 80, weight: 0}]
---
apiVersion: coalmine.dev/v1alpha1
kind: Rollout
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "web:1"}]}
  strategy: {canary: {stableService: stable, canaryService: canary, steps: [{setWeight: 50}]}}
"""


def test_a_second_pass_writes_nothing(tmp_path: Path) -> None:
    async def story(client: KubeClient) -> None:
        first = await apply_render(client, render(APP), OWNER, now=1.0)
        assert (first.failures, first.repaired) == ((), ())
        versions = [(await live(client, r, n))["metadata"]["resourceVersion"] for r, n in EVERYTHING]
        second = await apply_render(client, render(APP), OWNER, now=2.0)
        assert (second.failures, second.repaired, second.drifted) == ((), (), ())
        assert versions == [(await live(client, r, n))["metadata"]["resourceVersion"] for r, n in EVERYTHING]
        rollout = await live(client, ROLLOUTS, "web")
        assert rollout["metadata"]["annotations"]["coalmine.dev/template-digest"].startswith("sha256:")
        assert rollout["metadata"]["annotations"]["coalmine.dev/source-path"] == "apps/web/all.yaml"

    run(tmp_path, story)


EVERYTHING = [
    (CONFIG_MAPS, "conf"),
    (SECRETS, "key"),
    (SERVICES, "stable"),
    (SERVICES, "canary"),
    (HTTP_ROUTES, "web"),
    (ROLLOUTS, "web"),
]


def test_drift_in_the_middle_of_a_canary_is_repaired_and_weights_are_kept(tmp_path: Path) -> None:
    async def story(client: KubeClient) -> None:
        await apply_render(client, render(APP), OWNER, now=1.0)
        route = await live(client, HTTP_ROUTES, "web")
        rules = route["spec"]["rules"]
        rules[0]["backendRefs"][0]["weight"], rules[0]["backendRefs"][1]["weight"] = 75, 25
        spec = {"hostnames": ["foreign.example.com"], "rules": rules}
        await client.merge_patch(HTTP_ROUTES, "shop", "web", {"spec": spec})
        hashed = {"spec": {"selector": {"app": "foreign", "rollouts-pod-template-hash": "abc"}}}
        await client.merge_patch(SERVICES, "shop", "stable", hashed)

        seen = await apply_render(client, render(APP), OWNER, now=2.0, check_only=True)
        assert {i.words for i in seen.drifted} == {"HTTPRoute shop/web", "Service shop/stable"}
        assert (await live(client, HTTP_ROUTES, "web"))["spec"]["hostnames"] == ["foreign.example.com"]

        report = await apply_render(client, render(APP), OWNER, now=3.0)
        assert {i.words for i in report.repaired} == {"HTTPRoute shop/web", "Service shop/stable"}
        route = await live(client, HTTP_ROUTES, "web")
        assert route["spec"]["hostnames"] == ["web.example.com"]
        assert [ref["weight"] for ref in route["spec"]["rules"][0]["backendRefs"]] == [75, 25]
        service = await live(client, SERVICES, "stable")
        assert service["spec"]["selector"] == {"app": "web", "rollouts-pod-template-hash": "abc"}

    run(tmp_path, story)


def test_a_weight_that_moves_between_read_and_write_is_not_overwritten(tmp_path: Path) -> None:
    class Racing:
        """The client, but a rollback gets in between our read and our write, twice."""

        def __init__(self, client: KubeClient) -> None:
            self._client, self.races = client, 2

        def __getattr__(self, name: str) -> Any:
            return getattr(self._client, name)

        async def apply(self, resource: Resource, obj: dict[str, Any], **options: Any) -> dict[str, Any]:
            if resource.kind == "HTTPRoute" and self.races and not options.get("dry_run"):
                self.races -= 1
                current = await live(self._client, HTTP_ROUTES, "web")
                rules = current["spec"]["rules"]
                rules[0]["backendRefs"][0]["weight"], rules[0]["backendRefs"][1]["weight"] = (
                    100 - self.races,
                    self.races,
                )
                await self._client.merge_patch(HTTP_ROUTES, "shop", "web", {"spec": {"rules": rules}})
            return await self._client.apply(resource, obj, **options)

    async def story(client: KubeClient) -> None:
        await apply_render(client, render(APP), OWNER, now=1.0)
        route = await live(client, HTTP_ROUTES, "web")
        rules = route["spec"]["rules"]
        rules[0]["backendRefs"][0]["weight"], rules[0]["backendRefs"][1]["weight"] = 50, 50
        await client.merge_patch(HTTP_ROUTES, "shop", "web", {"spec": {"hostnames": ["x.example.com"], "rules": rules}})
        racing = Racing(client)
        report = await apply_render(racing, render(APP), OWNER, now=2.0)  # type: ignore[arg-type]
        assert (report.failures, racing.races) == ((), 0)
        route = await live(client, HTTP_ROUTES, "web")
        assert [ref["weight"] for ref in route["spec"]["rules"][0]["backendRefs"]] == [100, 0]
        assert route["spec"]["hostnames"] == ["web.example.com"]

    run(tmp_path, story)


def test_an_object_of_another_application_is_refused_by_name(tmp_path: Path) -> None:
    async def story(client: KubeClient) -> None:
        await apply_render(client, render(APP), OWNER, now=1.0)
        report = await apply_render(client, render(APP), Owner("shop", "other"), now=2.0)
        assert "belongs to Application shop/web" in dict(report.failures)[ObjectId("", "ConfigMap", "shop", "conf")]
        # The first stage failed, so nothing after it was tried.
        assert {i.kind for i, _ in report.failures} == {"ConfigMap", "Secret"}

    run(tmp_path, story)


def test_an_unknown_field_is_refused_and_the_rollout_waits_for_its_configuration(tmp_path: Path) -> None:
    async def story(client: KubeClient) -> None:
        broken = APP.replace("data: {mode: fast}", "dta: {mode: fast}")
        report = await apply_render(client, render(broken), OWNER, now=1.0)
        assert [i.words for i, _ in report.failures] == ["ConfigMap shop/conf"]
        assert "dta" in report.failures[0][1]
        assert await client.get(ROLLOUTS, "shop", "web") is None

    run(tmp_path, story)


def test_a_custom_kind_is_applied_after_its_definition_in_one_pass(tmp_path: Path) -> None:
    text = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Thing, plural: things, singular: thing, listKind: ThingList}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties: {spec: {type: object, x-kubernetes-preserve-unknown-fields: true}}
---
apiVersion: example.com/v1
kind: Thing
metadata: {name: one}
spec: {a: 1}
"""

    async def story(client: KubeClient) -> None:
        report = await apply_render(client, render(text), OWNER, now=1.0)
        assert report.failures == ()

    run(tmp_path, story)


def test_pruning_deletes_only_what_carries_our_mark(tmp_path: Path) -> None:
    async def story(client: KubeClient) -> None:
        await apply_render(client, render(APP), OWNER, now=1.0)
        foreign = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "foreign", "namespace": "shop"}}
        await client.create(CONFIG_MAPS, foreign)
        names = ("conf", "foreign", "never-there")
        wanted = [(ObjectId("", "ConfigMap", "shop", name), "v1") for name in names]
        held = await prune_objects(client, wanted, OWNER, "b", wanted=lambda: False)
        assert held.gone == frozenset()
        assert await client.get(CONFIG_MAPS, "shop", "conf") is not None
        report = await prune_objects(client, wanted, OWNER, "b")
        assert len(report.gone) == 3
        assert await client.get(CONFIG_MAPS, "shop", "conf") is None
        assert await client.get(CONFIG_MAPS, "shop", "foreign") is not None

    run(tmp_path, story)


def test_the_server_honours_the_version_in_an_apply(tmp_path: Path) -> None:
    async def story(client: KubeClient) -> None:
        await apply_render(client, render(APP), OWNER, now=1.0)
        service = next(o for o in render(APP).objects if o.id.name == "stable")
        stale = replace(service).obj
        stale = {**stale, "metadata": {**stale["metadata"], "resourceVersion": "1"}}
        with pytest.raises(Conflict):
            await client.apply(SERVICES, stale, manager="coalmine", force=True)

    run(tmp_path, story)
