"""Git's notifications: verified, then told to whoever leads. A balancer may bring them to any replica.

Who leads asks the host itself. Who stands by asks the leader, by an annotation of the GitRepository: a hint decides
nothing, so this write needs no Lease. (People's own annotation, `coalmine.dev/refresh`, has somebody who waits.)
"""

import asyncio
import logging
import time
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
"""Nor must unsigned ones: for so long a Secret is not read again; after an error for a second."""

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
        elapsed: seconds that only grow.
    """

    def __init__(
        self,
        workshop: GitWorkshop,
        repositories: Cache,
        client: KubeClient,
        leads: Callable[[], bool],
        now: Callable[[], float],
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._workshop, self._repositories, self._client = workshop, repositories, client
        self._leads, self._now, self._elapsed = leads, now, elapsed
        self._guard = ReplayGuard()
        self._tokens: dict[tuple[Key, str], tuple[asyncio.Task[str], float]] = {}
        self._asking: dict[Key, asyncio.Task[None]] = {}
        self._asked: dict[Key, float] = {}

    async def take(self, path: str, headers: dict[str, str], body: bytes) -> int:
        """Take one notification: an HTTP status out; an accepted one makes its repository be fetched at once."""
        if not self._repositories.synced:
            return 503
        try:
            key, token = await self._known(path)
            if key is None:
                return 404
            delivery = verify(body, headers, token, self._now())
            if delivery is Delivery.ACCEPTED:
                # Only a signed id tells a copy from a second push.
                identity = headers.get("webhook-id", "") if "webhook-signature" in headers else ""
                await self._accept(key, f"{path} {identity}" if identity else "")
        except CoalmineError as error:
            log.warning("a notification could not be passed on: %s", error)
            return 503
        return _HTTP_STATUS[delivery]

    async def _accept(self, key: Key, identity: str) -> None:
        """Tell whoever leads, but of no copy; what could not be told may be sent again."""
        if identity and self._guard.knows(identity, self._now()):
            return
        await self._tell(key)
        if identity:
            self._guard.remember(identity, self._now())

    async def _known(self, path: str) -> tuple[Key | None, str]:
        """Whose receiver a path is, and its token: from memory where this replica leads, else from the cluster."""
        if self._leads():
            for key, fetched in self._workshop.fetched.items():
                if fetched.webhook_path == path:
                    return key, fetched.webhook_token
        for obj in self._repositories.all():
            if (obj.get("status") or {}).get("webhookPath") == path:
                token = await self._token(key_of(obj), obj.get("spec"), path)
                if token:
                    return key_of(obj), token
        return None, ""

    async def _token(self, key: Key, spec: object, path: str) -> str:
        """The token, where it still is the one that the path was made of; else none; read once for all who ask."""
        known = self._tokens.get((key, path))
        if known is None or (known[0].done() and self._elapsed() >= known[1]):
            now = self._elapsed()
            self._tokens = {place: one for place, one in self._tokens.items() if now < one[1] or not one[0].done()}
            known = asyncio.ensure_future(self._read_token(key, spec, path)), now + TOKEN_SECONDS
            self._tokens[key, path] = known
        reading, until = known
        try:
            return await asyncio.shield(reading)
        except CoalmineError:
            self._tokens[key, path] = reading, min(until, self._elapsed() + ASKED_AGAIN_SECONDS)
            raise

    async def _read_token(self, key: Key, spec: object, path: str) -> str:
        try:
            told, token = await receiver(self._client, key, msgspec.convert(spec, GitRepositorySpec))
        except (InvalidSpec, msgspec.ValidationError):
            return ""
        return token if told == path else ""

    async def _tell(self, key: Key) -> None:
        if self._leads():
            self._workshop.hint(key)
            return
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.ensure_future(self._ask_the_leader(key))
        await asyncio.shield(asking)

    async def _ask_the_leader(self, key: Key) -> None:
        """Write the annotation. Who comes while this waits is served by it; who comes later may bring a later push."""
        try:
            await asyncio.sleep(self._asked.get(key, 0.0) + ASKED_AGAIN_SECONDS - self._elapsed())
        finally:
            del self._asking[key]
        recent = self._elapsed() - ASKED_AGAIN_SECONDS
        self._asked = {known: at for known, at in self._asked.items() if at > recent} | {key: self._elapsed()}
        patch = {"metadata": {"annotations": {NOTIFIED: uuid.uuid4().hex}}}  # Any new value will do.
        await self._client.merge_patch(GIT_REPOSITORIES, *key, patch)
