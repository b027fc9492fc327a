"""The slow work of Applications: render, apply, prune, revert. Results go to memory, and the key is queued again."""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from rollout.api.application import Application
from rollout.api.gitrepository import GitRepository
from rollout.controllers.application_world import asked_refresh, essences, job_name, shared_paths
from rollout.controllers.context import Context
from rollout.controllers.gitjobs import remote_of, render_job, renderer, revert_job
from rollout.controllers.workshop import GitWorkshop, read_secret
from rollout.domain.sync.objects import ObjectId, Rendered
from rollout.domain.sync.plan import Blocked, RevertPlan, TryAgain
from rollout.domain.sync.reverting import is_wanted
from rollout.errors import ApiError, CoalmineError, InvalidSpec
from rollout.git.credentials import credentials_from_secret
from rollout.git.mirror import normalised_url
from rollout.git.signing import signing_key_from_secret
from rollout.git.taking_back import Surroundings, Writing
from rollout.kube.apply import apply_render
from rollout.kube.cache import Key
from rollout.kube.inventory import Owner
from rollout.kube.prune import prune_objects
from rollout.kube.resources import APPLICATIONS, ROLLOUTS, Resource

Json = dict[str, Any]

_AUTOSCALERS = Resource("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")


class ApplicationJobs:
    """Starts jobs; each is named, and there is one of a name at a time.

    Args:
        context: client, caches, clock.
        workshop: mirrors and memory.
        fence: raises LeadershipLost where this replica may not write.
    """

    def __init__(self, context: Context, workshop: GitWorkshop, fence: Callable[[], None]) -> None:
        self._context, self._workshop, self._fence = context, workshop, fence

    def start_render(self, key: Key, application: Application, repository: GitRepository | None, commit: str) -> None:
        """Render a commit."""
        if repository is not None:
            url = repository.spec.url
            self._start(key, "render", lambda: self._render(key, application, url, commit))

    def start_apply(self, key: Key, application: Application, rendered: Rendered, *, check_only: bool) -> None:
        """Bring the cluster in line; what changes from now on asks for another pass."""
        memory = self._workshop.memory(key)
        memory.essences, memory.refresh = essences(self._context, application), asked_refresh(application)
        self._start(key, "apply", lambda: self._apply(key, rendered, check_only=check_only))

    def start_prune(self, key: Key, application: Application, commit: str, objects: Iterable[ObjectId]) -> None:
        """Delete what is no longer declared."""
        versions = {entry.id: entry.v for entry in application.status.inventory.entries}
        wanted = [(i, versions.get(str(i), "v1")) for i in objects]
        self._start(key, "prune", lambda: self._prune(key, wanted, commit))

    def start_revert(
        self, key: Key, application: Application, repository: GitRepository | None, plan: RevertPlan
    ) -> None:
        """Take a change back in Git."""
        if repository is not None:
            self._start(key, plan.id, lambda: self._revert(key, application, repository, plan))

    def _start(self, key: Key, job: str, work: Callable[[], Any]) -> None:
        async def then_look() -> None:
            try:
                await work()
            finally:
                self._context.enqueue(APPLICATIONS, key)

        self._workshop.background.start(job_name(key, job), then_look)

    async def _render(self, key: Key, application: Application, url: str, commit: str) -> None:
        """Render, then ask discovery for scopes; a kind without namespaces makes it render again."""
        memory, source = self._workshop.memory(key), application.spec.source
        namespace = application.spec.destination.namespace or application.metadata.namespace
        pool, cache = self._workshop.pool, self._workshop.renders
        report = await render_job(pool, cache, url, commit, source, namespace, memory.scopes)
        if isinstance(report, Rendered):
            scopes = await self._scopes(report)
            if any(memory.scopes.get(kind) is not scope for kind, scope in scopes.items()):
                memory.scopes = {**memory.scopes, **scopes}
                report = await render_job(pool, cache, url, commit, source, namespace, memory.scopes)
        if isinstance(report, Rendered):
            memory.closure = (normalised_url(url), report.closure)
        memory.report = report

    async def _scopes(self, rendered: Rendered) -> dict[tuple[str, str], bool]:
        """What discovery says of the rendered kinds; unknown ones are left to the applier."""
        kinds = {(o.obj["apiVersion"], o.id.kind) for o in rendered.objects}
        try:
            served = {kind: await self._context.client.discover(*kind) for kind in sorted(kinds)}
        except CoalmineError:
            return {}
        return {kind: resource.namespaced for kind, resource in served.items() if resource is not None}

    async def _apply(self, key: Key, rendered: Rendered, *, check_only: bool) -> None:
        namespaces = {o.id.namespace for o in rendered.objects if o.id.namespace}
        others = [r for where in namespaces for r in self._context.caches[ROLLOUTS].all(where)]
        others = [{"apiVersion": ROLLOUTS.api_version, "kind": "Rollout", **r} for r in others]
        for where in sorted(namespaces):
            others += await self._autoscalers(where)
        report = await apply_render(
            self._context.client, rendered, Owner(*key), now=self._context.now(), check_only=check_only, others=others
        )
        self._workshop.memory(key).applied = report

    async def _autoscalers(self, namespace: str) -> list[Json]:
        try:
            return await self._context.client.list(_AUTOSCALERS, namespace)
        except ApiError:
            return []  # This cluster does not serve autoscaling/v2, so nothing is scaled by it.

    async def _prune(self, key: Key, objects: list[tuple[ObjectId, str]], commit: str) -> None:
        self._workshop.memory(key).pruned = await prune_objects(self._context.client, objects, Owner(*key), commit)

    async def _revert(self, key: Key, application: Application, repository: GitRepository, plan: RevertPlan) -> None:
        memory = self._workshop.memory(key)
        try:
            writing = await self._writing(key[0], repository)
        except InvalidSpec as error:
            memory.outcomes[plan.id] = Blocked("InvalidSecret", str(error))
            return
        except CoalmineError as error:
            memory.outcomes[plan.id] = TryAgain(type(error).__name__, str(error))
            return
        namespace = application.spec.destination.namespace or application.metadata.namespace
        mirror = self._workshop.pool.mirror(repository.spec.url)
        call = renderer(mirror, self._workshop.renders, application.spec.source, namespace, memory.scopes)
        around = Surroundings(call, shared_paths(self._workshop, key), lambda: self._is_wanted(key, plan))
        memory.outcomes[plan.id] = await revert_job(self._workshop.pool, plan, writing, around)
        self._workshop.hint((key[0], repository.metadata.name))

    def _is_wanted(self, key: Key, plan: RevertPlan) -> bool:
        """The last question before a push: do we lead, and does the published status still want it?"""
        self._fence()
        live = self._context.caches[APPLICATIONS].get(key)
        if live is None:
            return False
        status = msgspec.convert(live, Application).status
        mine = (r for r in status.rollouts if r.revert is not None and r.revert.id == plan.id)
        return any(r.revert is not None and r.revert.phase == "Planned" and is_wanted(r) for r in mine)

    async def _writing(self, namespace: str, repository: GitRepository) -> Writing:
        """Credentials, author and key for a push; raises InvalidSpec where a Secret does not serve."""
        write = repository.spec.write
        if write is None:
            raise InvalidSpec("spec.write", "is missing", "add it to the GitRepository")
        field = "spec.write.secretRef"
        data = await read_secret(self._context.client, namespace, write.secret_ref, field)
        credentials = credentials_from_secret(data, field)
        key = None
        if write.signing is not None:
            field = "spec.write.signing.secretRef"
            data = await read_secret(self._context.client, namespace, write.signing.secret_ref, field)
            key = signing_key_from_secret(data, field)
        return Writing(remote_of(repository.spec, credentials), (write.author.name, write.author.email), key)
