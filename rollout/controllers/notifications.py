"""Git's notifications: verified, then told to whoever leads. A balancer may bring them to any replica.

Who leads asks the host itself. Who stands by asks the leader, by an annotation of the GitRepository: a hint decides
nothing, so this one write needs no Lease. (People's own annotation, `coalmine.dev/refresh`, has somebody who waits.)
"""

import asyncio
import logging
import uuid
from collections.abc import Callable

import msgspec

from rollout.api.gitrepository import GitRepositorySpec
from rollout.api.keys import NOTIFIED
from rollout.controllers.workshop import GitWorkshop, read_secret
from rollout.errors import CoalmineError, InvalidSpec
from rollout.git.credentials import decode_secret
from rollout.git.webhook import Delivery, ReplayGuard, verify, webhook_path
from rollout.kube.cache import Cache, Key, key_of
from rollout.kube.client import KubeClient
from rollout.kube.resources import GIT_REPOSITORIES

ASKED_AGAIN_SECONDS = 1.0
"""Signed copies must not make the API server busy: the leader is asked once in so many seconds about a repository."""
TOKEN_SECONDS = 10.0
"""Nor must unsigned ones: for so long a Secret is not read again."""

log = logging.getLogger("coalmine.notifications")

_HTTP_STATUS = {
    Delivery.ACCEPTED: 202,
    Delivery.TOO_LARGE: 413,
    Delivery.UNSIGNED: 401,
    Delivery.WRONG_SIGNATURE: 401,
    Delivery.TOO_OLD: 401,
}


async def receiver(client: KubeClient, key: Key, spec: GitRepositorySpec) -> tuple[str, str]:
    """Path and token of a repository's receiver; empty without one; raises InvalidSpec."""
    if spec.webhook is None:
        return "", ""
    field = "spec.webhook.secretRef"
    data = await read_secret(client, key[0], spec.webhook.secret_ref, field)
    token = decode_secret(data, field).get("token", "").strip()
    if not token:
        raise InvalidSpec(field, "the Secret has no key `token`", "add a random token")
    return webhook_path(*key, token), token


class Notifications:
    """Takes notifications.

    Args:
        workshop: what the leader has fetched, and whom it tells.
        repositories: the cache of GitRepositories, which every replica has.
        client: reads Secrets and writes the annotation, whoever leads.
        leads: whether this replica acts.
        now: epoch seconds.
    """

    def __init__(
        self,
        workshop: GitWorkshop,
        repositories: Cache,
        client: KubeClient,
        leads: Callable[[], bool],
        now: Callable[[], float],
    ) -> None:
        self._workshop, self._repositories, self._client = workshop, repositories, client
        self._leads, self._now = leads, now
        self._guard = ReplayGuard()
        self._tokens: dict[str, tuple[str, float]] = {}
        self._asking: set[Key] = set()
        self._asked: dict[Key, float] = {}

    async def take(self, path: str, headers: dict[str, str], body: bytes) -> int:
        """Take one notification: an HTTP status out; an accepted one makes its repository be fetched at once."""
        try:
            key, token = await self._known(path)
            if key is None:
                return 404
            delivery = verify(body, headers, token, self._now())
            if delivery is Delivery.ACCEPTED:
                await self._accept(key, path, headers.get("webhook-id", ""))
        except CoalmineError as error:
            log.warning("a notification is refused, since the API server does not answer: %s", error)
            return 503
        return _HTTP_STATUS[delivery]

    async def _accept(self, key: Key, path: str, identity: str) -> None:
        """Only a signed id tells a copy from a second push; other copies cost one question to the host a second."""
        theirs = f"{path} {identity}"  # One sender's ids are not another's.
        if identity and not self._guard.is_new(theirs, self._now()):
            return
        try:
            await self._tell(key)
        except BaseException:
            self._guard.forget(theirs)  # The sender may send it again.
            raise

    async def _known(self, path: str) -> tuple[Key | None, str]:
        """Whose receiver a path is, and its token: from memory where this replica leads, else from the cluster."""
        if self._leads():
            for key, fetched in self._workshop.fetched.items():
                if fetched.webhook_path == path:
                    return key, fetched.webhook_token
        for obj in self._repositories.all():
            if (obj.get("status") or {}).get("webhookPath") == path:
                token = await self._token(key_of(obj), obj.get("spec"), path)
                return (key_of(obj), token) if token else (None, "")
        return None, ""

    async def _token(self, key: Key, spec: object, path: str) -> str:
        """The token, where it still is the one that the path was made of; else none."""
        token, until = self._tokens.get(path, ("", 0.0))
        if self._now() >= until:
            token = await self._read_token(key, spec, path)
            self._tokens = {known: one for known, one in self._tokens.items() if self._now() < one[1]}
            self._tokens[path] = token, self._now() + TOKEN_SECONDS
        return token

    async def _read_token(self, key: Key, spec: object, path: str) -> str:
        try:
            told, token = await receiver(self._client, key, msgspec.convert(spec, GitRepositorySpec))
        except (InvalidSpec, msgspec.ValidationError):
            return ""
        return token if told == path else ""

    async def _tell(self, key: Key) -> None:
        if self._leads():
            self._workshop.hint(key)
        elif key not in self._asking:  # Else somebody is about to ask, later than this push.
            await self._ask_the_leader(key)

    async def _ask_the_leader(self, key: Key) -> None:
        self._asking.add(key)
        try:
            await asyncio.sleep(self._asked.get(key, 0.0) + ASKED_AGAIN_SECONDS - self._now())
        finally:
            self._asking.discard(key)
        recent = self._now() - ASKED_AGAIN_SECONDS
        self._asked = {known: at for known, at in self._asked.items() if at > recent} | {key: self._now()}
        patch = {"metadata": {"annotations": {NOTIFIED: uuid.uuid4().hex}}}  # Any new value will do.
        await self._client.merge_patch(GIT_REPOSITORIES, *key, patch)
