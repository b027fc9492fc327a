"""The controllers of FailureModels and AnalysisRuns on a real API server, and a model for them to use."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import yaml

from analysis.comparison_spec import FailureModelRef
from analysis.durations import format_time
from analysis.failure_model_spec import FailureModelSpec, TrainingProvenance
from analysis.model.applied import run_metrics
from analysis.model.history import pieces_between, query_digests, read_pieces
from analysis.model.learn.metrics import learn
from analysis.providers.prometheus import PrometheusProvider
from rollout.controllers.analysisrun import AnalysisRunController
from rollout.controllers.background import Background
from rollout.controllers.context import Context
from rollout.controllers.failuremodel import FailureModelController
from rollout.controllers.model_source import model_source
from rollout.controllers.terms import TERMS
from rollout.domain.decision import Event
from rollout.kube.cache import Cache, Key
from rollout.kube.client import KubeClient
from rollout.kube.connection import Connection
from rollout.kube.resources import (
    ANALYSIS_RUNS,
    ANALYSIS_TEMPLATES,
    CLUSTER_ANALYSIS_TEMPLATES,
    CUSTOM_RESOURCE_DEFINITIONS,
    FAILURE_MODELS,
    HTTP_ROUTES,
    NAMESPACES,
    PODS,
    REPLICA_SETS,
    ROLLOUTS,
    SERVICES,
    Resource,
)
from tests.support.api_process import ROOT, Running
from tests.support.history_store import CANARY_HASH, STABLE_HASH, now

BOUND_SECONDS = 240.0
TRAINING_PIECES = 20
DAYS = 2.0
KINDS = (
    ANALYSIS_RUNS, ANALYSIS_TEMPLATES, CLUSTER_ANALYSIS_TEMPLATES, FAILURE_MODELS, HTTP_ROUTES, PODS, REPLICA_SETS,
    ROLLOUTS, SERVICES,
)  # fmt: skip
Json = dict[str, Any]


async def prepare(running: Running, namespaces: Sequence[str]) -> None:
    """Install the CRDs and make the namespaces."""
    connection = Connection(str(running.kubeconfig))
    client = KubeClient(connection)
    for path in sorted((ROOT / "crds").glob("*.yaml")):
        await client.create(CUSTOM_RESOURCE_DEFINITIONS, yaml.safe_load(path.read_text()))
    for name in namespaces:
        await client.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    await connection.close()


class Bench:
    """Both controllers with their caches, and everything they tell and ask for."""

    def __init__(self, client: KubeClient, session: aiohttp.ClientSession, jobs: Background, namespace: str) -> None:
        self.client, self.namespace, self.session = client, namespace, session
        self.events: list[tuple[str, Event]] = []
        self._asked = asyncio.Event()
        self.caches: dict[Resource, Cache] = {kind: Cache(terms=TERMS.get(kind, lambda _: ())) for kind in KINDS}
        self.context = Context(client, self.caches, now, self, lambda *_: self._asked.set())
        self.models = FailureModelController(self.context, session, jobs)
        self.runs = AnalysisRunController(self.context, session, jobs)

    def tell(self, resource: Resource, obj: Json, event: Event) -> None:
        """Take an event, as the recorder would."""
        assert obj["kind"] == resource.kind
        self.events.append((resource.kind, event))

    def reasons(self, kind: str) -> list[str]:
        """Reasons of the events about a kind."""
        return [event.reason for told, event in self.events if told == kind]

    async def create(self, resource: Resource, obj: Json, status: Json | None = None) -> Key:
        """Create an object and take it into the cache."""
        made = await self.client.create(resource, obj)
        key = self.namespace, obj["metadata"]["name"]
        if status is not None:
            made = await self.client.merge_patch(resource, *key, {"status": status}, subresource="status")
        self.caches[resource].put(made)
        return key

    async def patch(self, resource: Resource, key: Key, patch: Json) -> None:
        """Change an object, and take it into the cache."""
        self.caches[resource].put(await self.client.merge_patch(resource, *key, patch))

    async def patch_status(self, resource: Resource, key: Key, status: Json) -> None:
        """Change an object's status, and take it into the cache."""
        patched = await self.client.merge_patch(resource, *key, {"status": status}, subresource="status")
        self.caches[resource].put(patched)

    async def until(
        self, turn: Callable[[Key], Any], resource: Resource, key: Key, reached: Callable[[Json], bool]
    ) -> Json:
        """Take turns when they are asked for, until the status is as wished."""
        async with asyncio.timeout(BOUND_SECONDS):
            while True:
                self._asked.clear()
                wake_at = await turn(key)
                live = await self.client.get(resource, *key)
                assert live is not None
                if reached(live.get("status") or {}):
                    return dict(live["status"])
                try:
                    async with asyncio.timeout(None if wake_at is None else max(wake_at - now(), 0.001)):
                        await self._asked.wait()
                except TimeoutError:
                    continue

    async def model(self, spec: Json, reached: Callable[[Json], bool]) -> Json:
        """Create the model, and take its turns."""
        key = await self.create(FAILURE_MODELS, self.object("FailureModel", "shop", spec))
        return await self.until(self.models.reconcile, FAILURE_MODELS, key, reached)

    def object(self, kind: str, name: str, spec: Json, **more: Any) -> Json:
        """An object of ours."""
        metadata = {"name": name, "namespace": self.namespace, **more}
        return {"apiVersion": "coalmine.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


@asynccontextmanager
async def bench(server: Running, namespace: str, address: str, budget: str = "12%") -> AsyncIterator[Bench]:
    connection = Connection(str(server.kubeconfig))
    try:
        async with Background(16) as background, aiohttp.ClientSession() as session:
            made = Bench(KubeClient(connection), session, background, namespace)
            await made.create(ANALYSIS_TEMPLATES, made.object("AnalysisTemplate", "errors", template(address)))
            await made.create(ROLLOUTS, made.object("Rollout", "shop", rollout(budget)), {"stableRS": STABLE_HASH})
            yield made
    finally:
        await connection.close()


def template(address: str) -> Json:
    select = '{pod=~"{{arms.pods}}"}'
    return {
        "metrics": [
            {
                "name": "errors",
                "interval": "30s",
                "provider": {"prometheus": {"address": address}},
                "comparison": {"counts": {"events": f"errors{select}", "total": f"requests{select}"}},
            }
        ]
    }


def rollout(budget: str, model: str = "shop") -> Json:
    comparison: Json = {"falseRollbackBudget": budget}
    if model:
        comparison["failureModelRef"] = {"name": model}
    return {
        "replicas": 10,
        "selector": {"matchLabels": {"app": "shop"}},
        "template": {"metadata": {"labels": {"app": "shop"}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}},
        "strategy": {
            "canary": {
                "steps": [
                    {"setWeight": 10},
                    {"pause": {"duration": "10m"}},
                    {"setWeight": 50},
                    {"pause": {"duration": "10m"}},
                ],
                "analysis": {"templates": [{"templateName": "errors"}], "comparison": comparison},
            }
        },
    }


async def fitted(made: Bench, store_days: float = DAYS) -> FailureModelSpec:
    """Learn a model from the oldest pieces of the store, as `coalmine model fit` does."""
    begin = now() - store_days * 86_400 + 3600
    end = begin + TRAINING_PIECES * 2400
    named = FailureModelSpec(rollout_ref=FailureModelRef(name="shop"), window="30s")
    source = model_source(made.caches, made.namespace, named)
    metrics = run_metrics(source.run, {})
    begins = pieces_between(begin, end)
    provider = PrometheusProvider(made.session)
    pieces = [piece async for piece in read_pieces(source.history(metrics), provider, begins)]
    assert len(pieces) == TRAINING_PIECES
    learned = learn([piece.tables for piece in pieces], metrics.rules.rules, query_digests(metrics.metrics))
    return msgspec.structs.replace(
        named, mode="Enforce", metrics=learned, training=TrainingProvenance(to=format_time(end))
    )


def run_of(made: Bench, pinned: str, direction: str) -> Json:
    """A run that compares the canary's pods with stable's, and pins a model."""
    spec = template(made.caches[ANALYSIS_TEMPLATES].all()[0]["spec"]["metrics"][0]["provider"]["prometheus"]["address"])
    spec["metrics"][0]["comparison"]["direction"] = direction
    arms = {
        side: {"podTemplateHash": version, "pods": f"shop-{version}-[a-z0-9]+"}
        for side, version in (("canary", CANARY_HASH), ("stable", STABLE_HASH))
    }
    comparison = {"arms": arms, "failureModel": {"name": "shop", "digest": pinned}}
    return made.object("AnalysisRun", "shop-1", {**spec, "comparison": comparison})


async def judged(made: Bench, pinned: str, direction: str = "Increase") -> Json:
    """Let a run that began twenty minutes ago look once; its status."""
    began = {"phase": "Running", "startedAt": format_time(now() - 1200)}
    key = await made.create(ANALYSIS_RUNS, run_of(made, pinned, direction), began)
    return await made.until(made.runs.reconcile, ANALYSIS_RUNS, key, lambda status: bool(status.get("comparison")))
