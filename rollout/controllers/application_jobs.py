"""The slow work of Applications: render, apply, prune, revert. Results go to memory, and the key is queued again."""

import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Any

from rollout.api.application import Application
from rollout.api.gitrepository import GitRepository
from rollout.controllers.application_world import asked_refresh, essences, job_name, source_key
from rollout.controllers.context import Context
from rollout.controllers.gitjobs import render_job, take_over
from rollout.controllers.pushing import Pusher
from rollout.controllers.workshop import BUSY_SECONDS, GitWorkshop, Memory, fault
from rollout.domain.sync.objects import ObjectId, Rendered, RenderFailure
from rollout.domain.sync.plan import RevertPlan
from rollout.domain.sync.world import ApplyReport
from rollout.errors import CoalmineError, LeadershipLost, NotFound
from rollout.git.mirror import normalised_url
from rollout.kube.apply import apply_render
from rollout.kube.cache import Key
from rollout.kube.inventory import Owner
from rollout.kube.prune import prune_objects
from rollout.kube.resources import APPLICATIONS, ROLLOUTS, Resource

Json = dict[str, Any]

REST_SECONDS = 15.0
"""How long a job rests that broke off without a result."""

_AUTOSCALERS = Resource("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")

log = logging.getLogger("coalmine.jobs")


class ApplicationJobs:
    """Starts jobs; each is named, and there is one of a name at a time.

    Args:
        context: client, caches, clock.
        workshop: mirrors and memory.
        fence: raises LeadershipLost where this replica may not write.
    """

    def __init__(self, context: Context, workshop: GitWorkshop, fence: Callable[[], object]) -> None:
        self._context, self._workshop = context, workshop
        self._pusher = Pusher(context, workshop, fence)

    def start_render(
        self, key: Key, application: Application, repository: GitRepository | None, commit: str
    ) -> float | None:
        """Render a commit; returns when to ask again where it cannot be started now, as all of these do."""
        if repository is None:
            return None
        url = repository.spec.url
        return self._start(key, application, "render", lambda memory: self._render(memory, application, url, commit))

    def start_apply(self, key: Key, application: Application, rendered: Rendered, *, check_only: bool) -> float | None:
        """Bring the cluster in line; what changes from now on asks for another pass."""
        memory = self._workshop.memory(key, application.metadata.uid)
        before, refresh = essences(self._context, application), asked_refresh(application)
        again = self._start(
            key, application, "apply", lambda memory: self._apply(key, memory, rendered, check_only=check_only)
        )
        if again is None:
            memory.essences, memory.refresh = before, refresh
        return again

    def start_prune(self, key: Key, application: Application, commit: str, objects: Iterable[ObjectId]) -> float | None:
        """Delete what is no longer declared."""
        versions = {entry.id: entry.v for entry in application.status.inventory.entries}
        wanted = [(i, versions.get(str(i), "v1")) for i in objects]
        return self._start(
            key, application, "prune", lambda memory: self._prune(key, application, memory, wanted, commit)
        )

    def start_revert(
        self, key: Key, application: Application, repository: GitRepository | None, plan: RevertPlan
    ) -> float | None:
        """Take a change back in Git."""
        if repository is None:
            return None
        return self._start(
            key, application, plan.id, lambda memory: self._pusher.take_back(key, application, memory, repository, plan)
        )

    def _start(
        self, key: Key, application: Application, job: str, work: Callable[[Memory], Awaitable[None]]
    ) -> float | None:
        """Start a job for this very Application: its results go to the memory it had when it began."""
        memory = self._workshop.memory(key, application.metadata.uid)
        now = self._context.now()
        if memory.rests.get(job, 0.0) > now:
            return memory.rests[job]

        async def then_look() -> None:
            try:
                await work(memory)
                memory.rests.pop(job, None)
            except Exception:
                # Without a result the next turn would begin it again at once.
                memory.rests[job] = self._context.now() + REST_SECONDS
                raise
            finally:
                self._context.enqueue(APPLICATIONS, key)

        return None if self._workshop.background.start(job_name(key, job), then_look) else now + BUSY_SECONDS

    async def _render(self, memory: Memory, application: Application, url: str, commit: str) -> None:
        """Render, then ask discovery for scopes; a kind without namespaces makes it render again."""
        source = application.spec.source
        namespace = application.spec.destination.namespace or application.metadata.namespace
        pool, cache = self._workshop.pool, self._workshop.renders
        known = memory.report if memory.source == source_key(application, normalised_url(url)) else None
        try:
            same = (
                await take_over(pool, cache, url, commit, known, source.path) if isinstance(known, Rendered) else None
            )
            report = same or await render_job(pool, cache, url, commit, source, namespace, memory.scopes)
        except Exception as error:  # Of a tree that we did not think of, the condition tells, and not only the log.
            log.exception("render of %s failed", commit)
            report = RenderFailure(commit, fault(error), transient=True)
        if isinstance(report, Rendered):
            scopes = await self._scopes(report)
            if any(memory.scopes.get(kind) is not scope for kind, scope in scopes.items()):
                memory.scopes = {**memory.scopes, **scopes}
                report = await render_job(pool, cache, url, commit, source, namespace, memory.scopes)
        if isinstance(report, Rendered):
            memory.closure = (normalised_url(url), report.closure)
        else:
            report = replace(report, at=self._context.now())
        memory.report, memory.source = report, source_key(application, normalised_url(url))

    async def _scopes(self, rendered: Rendered) -> dict[tuple[str, str], bool]:
        """What discovery says of the rendered kinds; unknown ones are left to the applier."""
        kinds = {(o.obj["apiVersion"], o.id.kind) for o in rendered.objects}
        try:
            served = {kind: await self._context.client.discover(*kind) for kind in sorted(kinds)}
        except CoalmineError:
            return {}
        return {kind: resource.namespaced for kind, resource in served.items() if resource is not None}

    async def _apply(self, key: Key, memory: Memory, rendered: Rendered, *, check_only: bool) -> None:
        namespaces = {o.id.namespace for o in rendered.objects if o.id.namespace}
        others = [r for where in namespaces for r in self._context.caches[ROLLOUTS].all(where)]
        others = [{"apiVersion": ROLLOUTS.api_version, "kind": "Rollout", **r} for r in others]
        client, now = self._context.client, self._context.now()
        for where in sorted(namespaces):
            try:
                others += await self._autoscalers(where)
            except LeadershipLost:
                raise
            except CoalmineError as error:
                # Without them their numbers of pods would be reset to those in Git.
                unread = ObjectId(_AUTOSCALERS.group, _AUTOSCALERS.kind, where, "")
                failures = ((unread, f"autoscalers cannot be listed: {error}"[:500]),)
                memory.applied = ApplyReport(rendered.commit, rendered.digest, now, check_only, failures)
                return
        memory.applied = await apply_render(
            client, rendered, Owner(*key), now=now, check_only=check_only, others=others
        )

    async def _autoscalers(self, namespace: str) -> list[Json]:
        try:
            return await self._context.client.list(_AUTOSCALERS, namespace)
        except NotFound:
            return []  # This cluster does not serve autoscaling/v2, so nothing is scaled by it.

    async def _prune(
        self,
        key: Key,
        application: Application,
        memory: Memory,
        objects: list[tuple[ObjectId, str]],
        commit: str,
    ) -> None:
        memory.pruned = await prune_objects(
            self._context.client,
            objects,
            Owner(*key),
            commit,
            wanted=lambda: self._may_prune(key, application, commit),
            now=self._context.now(),
        )

    def _may_prune(self, key: Key, application: Application, commit: str) -> bool:
        """The last question before a deletion: is the Application as it was, and its commit still the wanted one?"""
        live = self._context.caches[APPLICATIONS].get(key)
        if live is None or live["metadata"].get("deletionTimestamp"):
            return False
        metadata = application.metadata
        same = (live["metadata"].get("uid", ""), live["metadata"].get("generation", 0))
        repository = (key[0], application.spec.source.repository_ref.name)
        fetched = self._workshop.fetched.get(repository)
        wanted = fetched.state.commit if fetched is not None else ""
        return same == (metadata.uid, metadata.generation) and wanted == commit
