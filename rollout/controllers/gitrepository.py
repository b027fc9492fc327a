"""The GitRepository's turns: observe, decide, publish, and fetch in the background."""

import logging
from functools import partial
from typing import Any

import msgspec

from rollout.api.application import Application
from rollout.api.gitrepository import GitRepository, GitRepositorySpec
from rollout.api.keys import NOTIFIED, REFRESH
from rollout.api.validate_git import validate_git_repository
from rollout.controllers.application_world import source_key
from rollout.controllers.context import Context, publish
from rollout.controllers.gitjobs import RepositoryState, carried, fetch_job
from rollout.controllers.notifications import receiver
from rollout.controllers.recent import push_refusal, reverts_last_hour
from rollout.controllers.workshop import BUSY_SECONDS, Fetched, GitWorkshop, fault, read_secret
from rollout.domain.sync.objects import Rendered
from rollout.domain.sync.repository import RepositoryWorld, decide_repository
from rollout.errors import CoalmineError, InvalidSpec
from rollout.git.credentials import ANONYMOUS, Credentials, credentials_from_secret
from rollout.git.mirror import normalised_url
from rollout.git.signing import signing_key_from_secret
from rollout.kube.cache import Key
from rollout.kube.resources import APPLICATIONS, GIT_REPOSITORIES

Json = dict[str, Any]
log = logging.getLogger("coalmine.jobs")


class GitRepositoryController:
    """One turn of a GitRepository."""

    resource = GIT_REPOSITORIES

    def __init__(self, context: Context, workshop: GitWorkshop) -> None:
        self._context, self._workshop = context, workshop

    async def reconcile(self, key: Key) -> float | None:
        """Take one turn; returns when to look again."""
        live = self._context.caches[GIT_REPOSITORIES].get(key)
        if live is None:
            self._workshop.forget_repository(key)
            return None
        try:
            repository = msgspec.convert(live, GitRepository)
        except msgspec.ValidationError:
            # The API server's schema refuses this; an object from before the CRD's last version may still be there.
            return None
        decision = decide_repository(self._observe(key, repository), self._context.now())
        await publish(self._context, GIT_REPOSITORIES, live, decision.status, decision.events)
        if decision.actions:
            if not self._workshop.background.start(f"fetch {key[0]}/{key[1]}", lambda: self._fetch(key, repository)):
                return self._context.now() + BUSY_SECONDS
            self._workshop.hints.discard(key)
        return decision.wake_at

    def _observe(self, key: Key, repository: GitRepository) -> RepositoryWorld:
        fetched = self._workshop.fetch_of(key, repository.metadata.uid)
        state = fetched.state
        return RepositoryWorld(
            repository,
            problems=tuple(str(problem) for problem in validate_git_repository(repository.spec)),
            commit=state.commit,
            label=state.label,
            error=state.error,
            reason=state.reason,
            transient=state.transient,
            tried_at=fetched.at,
            tried_generation=fetched.generation,
            hinted=key in self._workshop.hints or _hints(repository) != (fetched.refresh, fetched.notified),
            refresh_asked=_asked(repository),
            refresh_answered=fetched.refresh,
            fetching=self._workshop.background.is_running(f"fetch {key[0]}/{key[1]}"),
            webhook_path=fetched.webhook_path,
            write_problem=fetched.write_problem,
            write_refusal=push_refusal(self._context, key),
            reverts_last_hour=reverts_last_hour(self._context, key),
        )

    async def _fetch(self, key: Key, repository: GitRepository) -> None:
        """Read the Secrets, ask the host, remember, and let everybody who reads this repository look."""
        uid, generation = repository.metadata.uid, repository.metadata.generation
        spec, before = repository.spec, self._workshop.fetch_of(key, uid)
        state, path, token, problem = before.state, "", "", ""
        try:
            path, token = await receiver(self._context.client, key, spec)
            credentials = await self._credentials(key[0], spec)
            problem = await self._write_problem(key[0], spec)
            state = await fetch_job(self._workshop.pool, spec, credentials, before.state)
        except InvalidSpec as error:
            state = RepositoryState(state.commit, state.label, str(error), "InvalidSecret", trailers=state.trailers)
        except CoalmineError as error:
            state = RepositoryState(state.commit, state.label, str(error), type(error).__name__, True, state.trailers)
        except Exception as error:  # Whatever it is, the host is asked again, and the condition says what happened.
            log.exception("fetch %s/%s failed", *key)
            state = RepositoryState(state.commit, state.label, fault(error), "InternalError", True, state.trailers)
        changed = await self._changed(spec.url, before.state.commit, state.commit)
        now = self._context.now()
        url = normalised_url(spec.url)
        fetched = Fetched(uid, url, state, now, generation, path, token, problem, *_hints(repository))
        self._workshop.remember_fetch(key, fetched)
        self._context.enqueue(GIT_REPOSITORIES, key)
        if (state.commit, state.error) != (before.state.commit, before.state.error):
            self._tell_applications(key, fetched, before.state.commit, changed)

    async def _changed(self, url: str, old: str, new: str) -> frozenset[str] | None:
        """Paths that a fetch changed; None where that is not known."""
        if not old or not new or old == new:
            return None
        pool = self._workshop.pool
        try:
            return await pool.run(partial(self._workshop.renders.changed, pool.mirror(url), old, new))
        except Exception:  # Whatever it is, what was fetched is told; all of them look then.
            log.exception("cannot compare %s with %s", old[:7], new[:7])
            return None

    def _tell_applications(self, key: Key, fetched: Fetched, old: str, changed: frozenset[str] | None) -> None:
        """Those that the new commit touches look now; the others have nothing to render, and take it over later."""
        untouched: list[Key] = []
        for application in self._context.caches[APPLICATIONS].all(key[0]):
            if application["spec"]["source"]["repositoryRef"]["name"] == key[1]:
                theirs = (key[0], application["metadata"]["name"])
                if changed is not None and self._taken_over(application, fetched, old, changed):
                    untouched.append(theirs)
                else:
                    self._context.enqueue(APPLICATIONS, theirs)
        for theirs in untouched:
            self._context.enqueue_later(APPLICATIONS, theirs)

    def _taken_over(self, live: Json, fetched: Fetched, old: str, changed: frozenset[str]) -> bool:
        """Make an Application's render that of the new commit, where the commit changes nothing it read."""
        try:
            application = msgspec.convert(live, Application)
        except msgspec.ValidationError:
            return False
        metadata = application.metadata
        memory = self._workshop.memory((metadata.namespace, metadata.name), metadata.uid)
        report, of_this = memory.report, memory.source == source_key(application, fetched.url)
        if not of_this or not isinstance(report, Rendered) or report.commit != old:
            return False
        taken = carried(report, changed, application.spec.source.path, fetched.state.commit)
        if taken is None:
            return False
        memory.report = taken
        return True

    async def _credentials(self, namespace: str, spec: GitRepositorySpec) -> Credentials:
        if spec.secret_ref is None:
            return ANONYMOUS
        data = await read_secret(self._context.client, namespace, spec.secret_ref, "spec.secretRef")
        return credentials_from_secret(data, "spec.secretRef")

    async def _write_problem(self, namespace: str, spec: GitRepositorySpec) -> str:
        """Why writing would fail for its Secrets; empty when they are fine, or not asked for."""
        if spec.write is None:
            return ""
        try:
            field = "spec.write.secretRef"
            credentials_from_secret(
                await read_secret(self._context.client, namespace, spec.write.secret_ref, field), field
            )
            if spec.write.signing is not None:
                field = "spec.write.signing.secretRef"
                ref = spec.write.signing.secret_ref
                signing_key_from_secret(await read_secret(self._context.client, namespace, ref, field), field)
        except InvalidSpec as error:
            return str(error)
        return ""


def _asked(repository: GitRepository) -> str:
    """The annotation by which a person asks for a look at the host now; any new value will do."""
    return repository.metadata.annotations.get(REFRESH, "")


def _hints(repository: GitRepository) -> tuple[str, str]:
    """What people, and replicas that stand by, ask by annotations."""
    return _asked(repository), repository.metadata.annotations.get(NOTIFIED, "")
