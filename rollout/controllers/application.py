"""The Application's turns: observe from caches and memory, decide, publish, start jobs."""

from collections.abc import Callable
from typing import Any, assert_never

import msgspec

from rollout.api.application import Application
from rollout.api.gitrepository import GitRepository
from rollout.controllers.application_jobs import ApplicationJobs
from rollout.controllers.application_world import observe_application
from rollout.controllers.context import Context, publish
from rollout.controllers.workshop import GitWorkshop
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

    def __init__(self, context: Context, workshop: GitWorkshop, fence: Callable[[], None] = unfenced) -> None:
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
        memory = self._workshop.memory(key)
        for identity, _ in world.outcomes:
            memory.outcomes.pop(identity, None)
        for action in decision.actions:
            await self._perform(key, application, action)
        return decision.wake_at

    async def _perform(self, key: Key, application: Application, action: act.SyncAction) -> None:
        """Start a job, or write what is small enough for a turn."""
        repository = self._repository(key[0], application)
        match action:
            case act.ConsumeRelease():
                patch = {"metadata": {"annotations": {RELEASE: None}}}
                await self._merge(APPLICATIONS, key, patch)
            case act.RetryRollout(namespace, name):
                await self._merge(ROLLOUTS, (namespace, name), {"status": {"abort": False}}, subresource="status")
            case act.StartRender(commit):
                self._jobs.start_render(key, application, repository, commit)
            case act.StartApply(rendered, check_only):
                self._jobs.start_apply(key, application, rendered, check_only=check_only)
            case act.StartPrune(commit, objects):
                self._jobs.start_prune(key, application, commit, objects)
            case act.StartRevert(plan):
                self._jobs.start_revert(key, application, repository, plan)
            case _:
                assert_never(action)

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
