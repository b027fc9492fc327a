"""Notifications after a push, signed as the generic webhook wants them."""

import json
from dataclasses import dataclass, field

import aiohttp

from rollout.git.webhook import sign

_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Subscription:
    """Where pushes to one repository are announced."""

    repository: str
    url: str
    token: str = field(repr=False)


class PushNotifier:
    """Sends one POST a push and subscription; a receiver that is down misses it, and polls."""

    def __init__(self, subscriptions: tuple[Subscription, ...]) -> None:
        self._subscriptions = subscriptions

    def add(self, subscription: Subscription) -> None:
        """One more receiver."""
        self._subscriptions = (*self._subscriptions, subscription)

    async def pushed(self, repository: str) -> None:
        """Tell everybody who asked about this repository."""
        wanted = [s for s in self._subscriptions if s.repository == repository]
        if not wanted:
            return
        body = json.dumps({"repository": repository}).encode()
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            for subscription in wanted:
                await _send(session, subscription, body)


async def _send(session: aiohttp.ClientSession, subscription: Subscription, body: bytes) -> None:
    headers = {"X-Signature": sign(body, subscription.token), "Content-Type": "application/json"}
    try:
        async with session.post(subscription.url, data=body, headers=headers) as response:
            await response.read()
    except (aiohttp.ClientError, TimeoutError):
        return
