"""The Application's turns: observe from caches and memory, decide, publish, start jobs."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, assert_never

import msgspec

from rollout.api.application import Application
from rollout.api.gitrepository import GitRepository
from rollout.controllers.application_jobs import ApplicationJobs
from rollout.controllers.application_world import observe_application
from rollout.controllers.context import Context, publish
from rollout.controllers.workshop import GitWorkshop
from rollout.domain.decision import earliest
from rollout.domain.sync import actions as act
from rollout.domain.sync.application import RELEASE, decide
from rollout.errors import Conflict
from rollout.kube.cache import Key
from rollout.kube.client import unfenced
from rollout.kube.resources import APPLICATIONS, GIT_REPOSITORIES, ROLLOUTS, Resource

Json = dict[str, Any]


class ApplicationController:
    """One turn of an Application.

    Args:
        context: client, caches, clock.
        workshop: mirrors, jobs and their results.
        fence: raises LeadershipLost where this replica may not write; asked right before a push.
    """

    resource = APPLICATIONS

    def __init__(self, context: Context, workshop: GitWorkshop, fence: Callable[[], object] = unfenced) -> None:
        self._context, self._workshop = context, workshop
        self._jobs = ApplicationJobs(context, workshop, fence)
        self.digests: dict[tuple[str, str], dict[str, str]] = {}

    async def reconcile(self, key: Key) -> float | None:
        """Take one turn; returns when to look again."""
        live = self._context.caches[APPLICATIONS].get(key)
        if live is None:
            self._workshop.memories.pop(key, None)
            return None
        try:
            application = msgspec.convert(live, Application)
        except msgspec.ValidationError:
            # The API server's schema refuses this; an object from before the CRD's last version may still be there.
            return None
        world = observe_application(self._context, self._workshop, application, self.digests)
        decision = decide(world, self._context.now())
        await publish(self._context, APPLICATIONS, live, decision.status, decision.events)
        memory = self._workshop.memory(key, application.metadata.uid)
        for identity, _ in world.outcomes:
            memory.outcomes.pop(identity, None)
        if world.pruned is not None and memory.pruned is world.pruned:
            # Its objects have left the published inventory; one that comes back is a new one.
            memory.pruned = replace(world.pruned, gone=frozenset())
        later = [await self._perform(key, application, action) for action in decision.actions]
        return earliest(decision.wake_at, *later)

    async def _perform(self, key: Key, application: Application, action: act.SyncAction) -> float | None:
        """Start a job, or write what is small enough for a turn; returns when to try again what was not started."""
        repository = self._repository(key[0], application)
        match action:
            case act.ConsumeRelease():
                await self._consume(key, application)
            case act.RetryRollout(namespace, name):
                await self._merge(ROLLOUTS, (namespace, name), {"status": {"abort": False}}, subresource="status")
            case act.StartRender(commit):
                return self._jobs.start_render(key, application, repository, commit)
            case act.StartApply(rendered, check_only):
                return self._jobs.start_apply(key, application, rendered, check_only=check_only)
            case act.StartPrune(commit, objects):
                return self._jobs.start_prune(key, application, commit, objects)
            case act.StartRevert(plan):
                return self._jobs.start_revert(key, application, repository, plan)
            case _:
                assert_never(action)
        return None

    async def _consume(self, key: Key, application: Application) -> None:
        """Remove the annotation that was heard; one that was written since then stays to be heard."""
        live = self._context.caches[APPLICATIONS].get(key)
        heard = application.metadata.annotations.get(RELEASE)
        if live is None or (live["metadata"].get("annotations") or {}).get(RELEASE) != heard:
            return
        version = live["metadata"]["resourceVersion"]
        patch = {"metadata": {"resourceVersion": version, "annotations": {RELEASE: None}}}
        await self._merge(APPLICATIONS, key, patch)

    def _repository(self, namespace: str, application: Application) -> GitRepository | None:
        live = self._context.caches[GIT_REPOSITORIES].get((namespace, application.spec.source.repository_ref.name))
        return None if live is None else msgspec.convert(live, GitRepository)

    async def _merge(self, resource: Resource, key: Key, patch: Json, subresource: str = "") -> None:
        try:
            answer = await self._context.client.merge_patch(resource, *key, patch, subresource=subresource)
        except Conflict:
            self._context.enqueue(APPLICATIONS, key)
            return
        self._context.caches[resource].put(answer)
