"""One replica of the operator: caches fed by watches, turns taken by workers while it holds the Lease."""

import asyncio
import gc
import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from rollout.controllers.context import Context, Controller
from rollout.controllers.pods_read import slim_pod
from rollout.controllers.registry import Surroundings, controllers
from rollout.controllers.terms import TERMS
from rollout.errors import ApiError, CoalmineError, Conflict, LeadershipLost, Transient
from rollout.kube.cache import Cache, Key, slim
from rollout.kube.client import KubeClient
from rollout.kube.connection import Connection
from rollout.kube.resources import (
    ANALYSIS_RUNS,
    ANALYSIS_TEMPLATES,
    APPLICATIONS,
    CLUSTER_ANALYSIS_TEMPLATES,
    FAILURE_MODELS,
    GIT_REPOSITORIES,
    HTTP_ROUTES,
    PODS,
    REPLICA_SETS,
    ROLLOUTS,
    SERVICES,
    Resource,
)
from rollout.runtime import watches
from rollout.runtime.clock import now
from rollout.runtime.files import write_json
from rollout.runtime.http import Health, Servers, health_app, metrics_app, webhook_app
from rollout.runtime.lease import Elector
from rollout.runtime.queue import WorkQueue
from rollout.runtime.recorder import EventRecorder
from rollout.runtime.settings import Settings
from rollout.runtime.sweep import sweep
from rollout.runtime.telemetry import Metrics
from rollout.runtime.wiring import References, Work, nobody_waits, work_for

Json = dict[str, Any]
log = logging.getLogger("coalmine.operator")

HASH = "rollouts-pod-template-hash"
SELECTORS = {REPLICA_SETS: HASH, PODS: HASH}
REQUIRED = (
    ROLLOUTS,
    ANALYSIS_RUNS,
    ANALYSIS_TEMPLATES,
    CLUSTER_ANALYSIS_TEMPLATES,
    FAILURE_MODELS,
    GIT_REPOSITORIES,
    APPLICATIONS,
    REPLICA_SETS,
    PODS,
    SERVICES,
)
SLIMMED = {PODS: slim_pod}
OPTIONAL = (HTTP_ROUTES,)
"""Kinds of others, watched where the cluster serves them."""
CRD_WAIT_SECONDS = 1.0
REFUSALS_MAX = 10
"""So often is an optional kind asked for where nobody may ask; each sweep asks again."""
TURNS_END_SECONDS_MAX = 5.0
"""Turns are cancelled at the end; one that does not heed it must not keep the Lease from others."""


@dataclass
class Operator:
    """One replica. `run` ends when it is cancelled; the Lease is released then."""

    settings: Settings
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        self.caches: dict[Resource, Cache] = {
            resource: Cache(
                partial(self._changed, resource), TERMS.get(resource, lambda _: ()), SLIMMED.get(resource, slim)
            )
            for resource in (*REQUIRED, *OPTIONAL)
        }
        self.references = References()
        self.queue: WorkQueue[Work] = WorkQueue()
        self.ports: dict[str, int] = {}
        self.synced = asyncio.Event()
        self._controllers: dict[Resource, Controller] = {}
        self._served: tuple[Resource, ...] = ()
        self._sweep_asked = asyncio.Event()
        self._more_is_served = asyncio.Event()
        self._listed_again: set[Resource] = set()
        self._acting = False
        """Whether turns are asked for: who stands by would only collect keys, and asks for all when it leads."""

    async def run(self) -> None:
        """Log in, serve health and metrics, fill the caches, and act while the Lease is ours."""
        self._connection = Connection(self.settings.kubeconfig, self.settings.context)
        servers = Servers()
        try:
            self._plain = KubeClient(self._connection, observe=self.metrics.observe_request)
            self._elector = self._make_elector()
            fenced = KubeClient(self._connection, self._elector.fence, self.metrics.observe_request)
            self._recorder = EventRecorder(fenced, self.metrics)
            around = Surroundings(
                self.settings.data_dir,
                self._elector.fence,
                self._plain,
                lambda: self._acting,
                self.settings.metric_addresses,
            )
            count, later = self.metrics.count_action, partial(self._enqueue, later=True)
            context = Context(fenced, self.caches, now, self._recorder, self._enqueue, count, later)
            async with controllers(context, around) as found:
                self._controllers = {controller.resource: controller for controller in found.controllers}
                self._begin = found.begin
                await self._serve(servers, found.webhook)
                await self._work()
        finally:
            await servers.close()
            await self._connection.close()

    def _make_elector(self) -> Elector:
        settings = self.settings
        return Elector(
            self._plain,
            settings.lease_namespace or self._connection.namespace,
            settings.lease_name,
            settings.identity,
            duration_seconds=settings.lease_duration_seconds,
            renew_seconds=settings.lease_renew_seconds,
            retry_seconds=settings.lease_retry_seconds,
        )

    async def _serve(self, servers: Servers, webhook: Any) -> None:
        bind = self.settings.bind
        health = health_app(Health(self._alive, self._ready))
        self.ports["health"] = await servers.start(health, bind, self.settings.health_port)
        metrics = metrics_app(self.metrics, self._refresh)
        self.ports["metrics"] = await servers.start(metrics, bind, self.settings.metrics_port)
        self.ports["webhook"] = await servers.start(webhook_app(webhook), bind, self.settings.webhook_port)
        if self.settings.ports_file is not None:
            write_json(self.settings.ports_file, self.ports)
        log.info("listening", extra={"ports": dict(self.ports)})

    async def _work(self) -> None:
        await self._wait_for_crds()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch())
            await self._prime()
            tasks.create_task(self._sweep_forever())
            tasks.create_task(self._lead_forever())

    async def _wait_for_crds(self) -> None:
        """Our kinds must be served before kopf may watch them: a 404 ends it."""
        served: list[Resource] = []
        for resource in REQUIRED:
            told = False
            while not await self._is_served(resource):
                if not told:
                    log.warning("%s is not served yet; apply the CRDs (crds/)", resource.kind)
                    told = True
                await asyncio.sleep(CRD_WAIT_SECONDS)
            served.append(resource)
        served += [resource for resource in OPTIONAL if await self._is_served(resource, REFUSALS_MAX)]
        self._served = tuple(served)

    async def _is_served(self, resource: Resource, refusals: float = math.inf) -> bool:
        """Ask until there is an answer, or many refusals: silence must not look like a kind that is not there."""
        while refusals > 0:
            try:
                return await self._plain.discover(resource.api_version, resource.kind) is not None
            except (Transient, ApiError) as error:
                log.warning("the API server does not tell its kinds: %s", error)
                refusals -= isinstance(error, ApiError)
                await asyncio.sleep(CRD_WAIT_SECONDS)
        return False

    async def _watch(self) -> None:
        """Watch what is served, and begin again once more is."""
        while True:
            configured = watches.settings({r: labels for r, labels in SELECTORS.items() if r in self._served})
            watched = watches.Watches(
                partial(Connection, self.settings.kubeconfig, self.settings.context),
                self._served,
                self.settings.namespaces,
                configured,
                self._on_event,
            )
            async with asyncio.TaskGroup() as tasks:
                watching = tasks.create_task(watched.supervise(self._restarted))
                await self._more_is_served.wait()
                self._more_is_served.clear()
                watching.cancel()

    async def _look_for_kinds(self) -> None:
        """A cluster may get the Gateway API after us."""
        for resource in OPTIONAL:
            try:
                if resource in self._served:
                    continue
                if await self._plain.discover(resource.api_version, resource.kind) is None:
                    continue
                await self._fill(resource, patient=False)
            except CoalmineError as error:
                log.warning("cannot look for %s: %s", resource.plural, error)
                continue
            log.info("%s is served now", resource.kind)
            self._served += (resource,)
            self._more_is_served.set()

    def _restarted(self) -> None:
        self.metrics.restarts.inc()
        self._sweep_asked.set()

    async def _prime(self) -> None:
        """Fill every cache by a list of our own, so that `synced` is a fact and not a guess about a watch."""
        for resource in self._served:
            await self._fill(resource)
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 50, 1000)
        self.synced.set()
        log.info("caches are complete", extra={"objects": sum(map(len, self.caches.values()))})

    async def _fill(self, resource: Resource, *, patient: bool = True) -> None:
        for obj in await self._list(resource, patient=patient):
            self._take(resource, obj)
        self.caches[resource].synced = True

    async def _list(self, resource: Resource, *, patient: bool) -> list[Json]:
        namespaces = (self.settings.namespaces or (None,)) if resource.namespaced else (None,)
        found: list[Json] = []
        for namespace in namespaces:
            while True:
                try:
                    found += await self._plain.list(resource, namespace, labels=SELECTORS.get(resource, ""))
                    break
                except (Transient, ApiError) as error:
                    if not patient:
                        raise
                    # A refusal too: rights are granted late, and what was not listed is what `readyz` says.
                    log.warning("cannot list %s: %s", resource.plural, error)
                    await asyncio.sleep(CRD_WAIT_SECONDS)
        return found

    def _on_event(self, resource: Resource, kind: str | None, obj: Json) -> None:
        """An event of a watch; a listed object (no kind) may mean that deletions were missed."""
        if kind is None and self.synced.is_set() and resource not in self._listed_again:
            self._listed_again.add(resource)
            self._sweep_asked.set()
        if kind == "DELETED":
            self._forget(resource, obj)
        else:
            self._take(resource, obj)

    def _take(self, resource: Resource, obj: Json) -> None:
        self.caches[resource].put({"apiVersion": resource.api_version, "kind": resource.kind, **obj})

    def _changed(self, resource: Resource, obj: Json) -> None:
        if resource is ROLLOUTS:
            self.references.put(obj)
        self._ask(resource, obj)

    def _forget(self, resource: Resource, obj: Json) -> None:
        self.caches[resource].drop(obj)
        self._ask(resource, obj)
        if resource is ROLLOUTS:
            self.references.drop((obj["metadata"]["namespace"], obj["metadata"]["name"]))

    def _ask(self, resource: Resource, obj: Json) -> None:
        if not self._acting:
            return
        for work in work_for(self.caches, self.references, resource, obj):
            if work[0] in self._controllers:
                self.queue.add(work, later=nobody_waits(resource, work))

    def _enqueue(self, resource: Resource, key: Key, *, later: bool = False) -> None:
        if self._acting and resource in self._controllers:
            self.queue.add((resource, key), later=later)

    async def _sweep_forever(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self.settings.sweep_seconds):
                    await self._sweep_asked.wait()
                await asyncio.sleep(1.0)  # A relist tells all kinds within moments; one sweep serves them all.
            except TimeoutError:
                log.debug("a sweep is due")
            self._sweep_asked.clear()
            self._listed_again.clear()
            await self._look_for_kinds()
            await self._sweep()

    async def _sweep(self) -> None:
        for resource in self._served:
            try:
                ghosts = await sweep(
                    self._plain,
                    resource,
                    self.caches[resource],
                    self.settings.namespaces,
                    SELECTORS.get(resource, ""),
                    forget=partial(self._forget, resource),
                    take=partial(self._take, resource),
                )
            except CoalmineError as error:
                log.warning("cannot sweep %s: %s", resource.plural, error)
                continue
            self.metrics.ghosts.labels(resource.kind).inc(ghosts)

    async def _lead_forever(self) -> None:
        """Work while the Lease is ours; when it is lost, stop at once and stand by again."""
        await self.synced.wait()
        while True:
            self._elector = self._renewed_elector()
            async with asyncio.TaskGroup() as tasks:
                election = tasks.create_task(self._elector.run())
                await self._elector.leading.wait()
                log.info("leading", extra={"identity": self._elector.identity})
                await self._begin()
                self._acting = True
                self._ask_for_everything()
                work = [tasks.create_task(self.queue.run_deadlines()), tasks.create_task(self._recorder.run())]
                work += [tasks.create_task(self._worker(self.queue.get)) for _ in range(self.settings.workers)]
                work.append(tasks.create_task(self._worker(self.queue.get_later)))
                try:
                    await self._elector.lost.wait()
                    log.warning("the Lease is lost; standing by")
                finally:
                    # Whoever is told to end has no turn under way any more when the election gives the Lease up.
                    self._acting = False
                    for task in work:
                        task.cancel()
                    await asyncio.wait(work, timeout=TURNS_END_SECONDS_MAX)
                election.cancel()

    def _renewed_elector(self) -> Elector:
        """A fresh start of the election under the same fence object."""
        self._elector.reset()
        return self._elector

    def _ask_for_everything(self) -> None:
        for resource in self._controllers:
            for key in self.caches[resource].keys():  # noqa: SIM118  Cache is no mapping
                self.queue.add((resource, key))

    async def _worker(self, get: Callable[[], Awaitable[Work]]) -> None:
        while True:
            work = await get()
            try:
                await self._turn(work)
            finally:
                self.queue.done(work)

    async def _turn(self, work: Work) -> None:
        """One turn; whatever goes wrong is told, and tried again later."""
        resource, key = work
        about = f"{resource.kind}/{'/'.join(part for part in key if part)}"
        try:
            with self.metrics.turns.labels(resource.kind).time():
                wake_at = await self._controllers[resource].reconcile(key)
        except Conflict as conflict:
            log.debug("decided on old facts, again: %s", conflict, extra={"object": about})
            self.queue.retry(work)
        except LeadershipLost:
            # A late renewal may still succeed, and then nobody else would ask for this turn again.
            log.debug("not the leader any more", extra={"object": about})
            self.queue.retry(work)
        except CoalmineError as error:
            self._failed(work, about, error)
        except Exception as error:
            log.exception("a turn failed", extra={"object": about})
            self._failed(work, about, error, told=True)
        else:
            self.queue.succeeded(work)
            self.queue.wake(work, wake_at)

    def _failed(self, work: Work, about: str, error: Exception, *, told: bool = False) -> None:
        self.metrics.errors.labels(work[0].kind, type(error).__name__).inc()
        delay = self.queue.retry(work)
        if not told:
            severity = logging.ERROR if isinstance(error, ApiError) else logging.WARNING
            log.log(severity, "%s; again in %.1f s", error, delay, extra={"object": about})

    def _alive(self) -> str | None:
        """A leader whose Lease ran out without anybody noticing does no work, so it is not alive."""
        if self.synced.is_set() and self._elector.leading.is_set() and not self._elector.is_leader():
            return "the Lease could not be renewed in time"
        return None

    def _ready(self) -> str | None:
        missing = [resource.kind for resource in self._served or REQUIRED if not self.caches[resource].synced]
        return f"caches are not complete: {', '.join(missing)}" if missing else None

    def _refresh(self) -> None:
        self.metrics.leader.set(1 if self._elector.is_leader() else 0)
        self.metrics.queue_depth.set(len(self.queue))
        self.metrics.tasks.set(len(asyncio.all_tasks()))
        for resource, cache in self.caches.items():
            self.metrics.cached.labels(resource.kind).set(len(cache))
