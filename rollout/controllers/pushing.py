"""The push of a revert: what must be known before it, what is asked right before it, and with which Secrets."""

import logging
from collections.abc import Callable

import msgspec

from rollout.api.application import Application
from rollout.api.gitrepository import GitRepository
from rollout.controllers.context import Context
from rollout.controllers.gitjobs import remote_of, renderer, revert_job
from rollout.controllers.sharing import sharing
from rollout.controllers.workshop import GitWorkshop, Memory, fault, read_secret
from rollout.domain.sync.plan import RevertPlan, TryAgain
from rollout.domain.sync.reverting import is_wanted
from rollout.errors import CoalmineError, InvalidSpec
from rollout.git.credentials import credentials_from_secret
from rollout.git.mirror import normalised_url
from rollout.git.signing import signing_key_from_secret
from rollout.git.taking_back import Surroundings, Writing
from rollout.kube.cache import Key
from rollout.kube.resources import APPLICATIONS, GIT_REPOSITORIES

log = logging.getLogger("coalmine.jobs")


class Pusher:
    """Takes changes back in Git.

    Args:
        context: client, caches, clock.
        workshop: mirrors and memory.
        fence: raises LeadershipLost where this replica may not write.
    """

    def __init__(self, context: Context, workshop: GitWorkshop, fence: Callable[[], object]) -> None:
        self._context, self._workshop, self._fence = context, workshop, fence

    async def take_back(
        self, key: Key, application: Application, memory: Memory, repository: GitRepository, plan: RevertPlan
    ) -> None:
        """Carry a plan out, and put what came of it into the memory."""
        url = normalised_url(repository.spec.url)
        others = sharing(self._context, self._workshop, key, url, plan.branch)
        if others.unknown:
            names = ", ".join(others.unknown[:5])
            words = f"Application {names} was not rendered yet, so it may read the same files; mend or delete it"
            memory.outcomes[plan.id] = TryAgain("SharedFilesUnknown", words)
            return
        try:
            writing = await self._writing(key[0], repository)
        except CoalmineError as error:
            # A Secret that is created or mended later serves as well.
            reason = "InvalidSecret" if isinstance(error, InvalidSpec) else type(error).__name__
            memory.outcomes[plan.id] = TryAgain(reason, str(error))
            return
        namespace = application.spec.destination.namespace or application.metadata.namespace
        mirror = self._workshop.pool.mirror(repository.spec.url)
        call = renderer(mirror, self._workshop.renders, application.spec.source, namespace, memory.scopes)
        around = Surroundings(
            call, others.files, lambda: self.is_wanted(key, application, repository, plan), others.folders
        )
        try:
            memory.outcomes[plan.id] = await revert_job(self._workshop.pool, plan, writing, around)
        except Exception as error:  # Whatever it is, it is told, and tried again after a growing pause.
            log.exception("revert %s of %s/%s failed", plan.id, *key)
            memory.outcomes[plan.id] = TryAgain("InternalError", fault(error))
        self._workshop.hint((key[0], repository.metadata.name))

    def is_wanted(self, key: Key, application: Application, repository: GitRepository, plan: RevertPlan) -> bool:
        """The last question before a push: do we lead, may we write, and does the published status still want it?"""
        self._fence()
        live = self._context.caches[APPLICATIONS].get(key)
        host = self._context.caches[GIT_REPOSITORIES].get((key[0], repository.metadata.name))
        if live is None or host is None:
            return False
        now, there = msgspec.convert(live, Application), msgspec.convert(host, GitRepository)
        stopped = now.spec.suspend or now.spec.revert.mode == "None" or there.spec.suspend
        moved = now.metadata.uid != application.metadata.uid or now.metadata.deletion_timestamp is not None
        elsewhere = (there.spec.url, there.spec.ref.branch) != (repository.spec.url, plan.branch)
        if stopped or moved or elsewhere or there.spec.write is None:
            return False
        mine = (r for r in now.status.rollouts if r.revert is not None and r.revert.id == plan.id)
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
