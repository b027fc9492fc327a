"""Push notifications: verified, then used only as a hint to look at the host now. Pure.

Two forms are accepted: `X-Signature` or `X-Hub-Signature-256: sha256=<hex HMAC-SHA256 of the body>`, and Standard
Webhooks (`webhook-id`, `webhook-timestamp`, `webhook-signature: v1,<base64>`).
"""

import base64
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Mapping
from enum import StrEnum

BODY_BYTES_MAX = 1024 * 1024
REPLAY_WINDOW_SECONDS = 300
_REMEMBERED_MAX = 4096


class Delivery(StrEnum):
    """What a notification is worth."""

    ACCEPTED = "Accepted"
    TOO_LARGE = "TooLarge"
    UNSIGNED = "Unsigned"
    WRONG_SIGNATURE = "WrongSignature"
    TOO_OLD = "TooOld"


def webhook_path(namespace: str, name: str, token: str) -> str:
    """Path of the receiver of one repository; without the token nobody can guess it."""
    digest = hmac.new(token.encode(), f"{namespace}/{name}".encode(), hashlib.sha256).hexdigest()
    return f"/hooks/git/{digest[:32]}"


def verify(body: bytes, headers: Mapping[str, str], token: str, now_seconds: float) -> Delivery:
    """Judge one notification.

    Args:
        body: the raw body, before any parsing.
        headers: names in any case.
        token: the shared secret.
        now_seconds: Unix time.
    """
    if len(body) > BODY_BYTES_MAX:
        return Delivery.TOO_LARGE
    lowered = {name.lower(): value for name, value in headers.items()}
    if "webhook-signature" in lowered:
        return _verify_standard(body, lowered, token, now_seconds)
    given = lowered.get("x-signature") or lowered.get("x-hub-signature-256")
    if not given or not token:
        return Delivery.UNSIGNED
    wanted = "sha256=" + hmac.new(token.encode(), body, hashlib.sha256).hexdigest()
    return Delivery.ACCEPTED if _equal(given, wanted) else Delivery.WRONG_SIGNATURE


def sign(body: bytes, token: str) -> str:
    """The value of `X-Signature` for a body."""
    return "sha256=" + hmac.new(token.encode(), body, hashlib.sha256).hexdigest()


def _verify_standard(body: bytes, headers: Mapping[str, str], token: str, now_seconds: float) -> Delivery:
    """Check `<id>.<timestamp>.<body>`; the timestamp is signed, so an old copy is worth nothing."""
    stamp, identity = headers.get("webhook-timestamp", ""), headers.get("webhook-id", "")
    if not stamp.isascii() or not stamp.isdigit() or not token:
        return Delivery.UNSIGNED
    signed = _bytes(f"{identity}.{stamp}.") + body
    wanted = base64.b64encode(hmac.new(token.encode(), signed, hashlib.sha256).digest()).decode()
    given = (part.partition(",") for part in headers["webhook-signature"].split()[:8])
    if not any(version == "v1" and _equal(value, wanted) for version, _, value in given):
        return Delivery.WRONG_SIGNATURE
    fresh = abs(now_seconds - int(stamp[:15])) <= REPLAY_WINDOW_SECONDS
    return Delivery.ACCEPTED if fresh else Delivery.TOO_OLD


def _equal(given: str, wanted: str) -> bool:
    return hmac.compare_digest(_bytes(given), wanted.encode())


class ReplayGuard:
    """Remembers the signed ids of five minutes, at most 4096, so that a copy does not make us fetch again."""

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, float] = OrderedDict()

    def knows(self, identity: str, now_seconds: float) -> bool:
        """Whether an id was remembered within the window."""
        while self._seen and next(iter(self._seen.values())) < now_seconds - REPLAY_WINDOW_SECONDS:
            self._seen.popitem(last=False)
        return _digest(identity) in self._seen

    def remember(self, identity: str, now_seconds: float) -> None:
        """What an id announced is done: the next one is a copy."""
        self._seen[_digest(identity)] = now_seconds
        if len(self._seen) > _REMEMBERED_MAX:
            self._seen.popitem(last=False)


def _digest(identity: str) -> bytes:
    return hashlib.sha256(_bytes(identity)).digest()


def _bytes(header: str) -> bytes:
    """A header as it was sent: what is not UTF-8 in it came as lone surrogates."""
    return header.encode("utf-8", "surrogateescape")
