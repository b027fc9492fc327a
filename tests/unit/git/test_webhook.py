"""Notifications are verified, and are worth no more than a look at the host."""

import base64
import hashlib
import hmac

import pytest

from rollout.git.webhook import BODY_BYTES_MAX, Delivery, ReplayGuard, sign, verify, webhook_path

BODY, TOKEN = b'{"ref": "refs/heads/main"}', "s3cret"


def standard(body: bytes, stamp: int, token: str = TOKEN) -> dict[str, str]:
    digest = hmac.new(token.encode(), f"id-1.{stamp}.".encode() + body, hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return {"webhook-id": "id-1", "webhook-timestamp": str(stamp), "webhook-signature": f"v1,AAAA {signature}"}


@pytest.mark.parametrize("name", ["X-Signature", "x-hub-signature-256", "X-HUB-SIGNATURE-256"])
def test_a_signed_body_is_accepted(name: str) -> None:
    assert verify(BODY, {name: sign(BODY, TOKEN)}, TOKEN, 0) is Delivery.ACCEPTED


@pytest.mark.parametrize(
    ("headers", "verdict"),
    [
        ({}, Delivery.UNSIGNED),
        ({"X-Signature": ""}, Delivery.UNSIGNED),
        ({"X-Signature": "sha256=00"}, Delivery.WRONG_SIGNATURE),
        ({"X-Signature": sign(BODY, "other")}, Delivery.WRONG_SIGNATURE),
        ({"X-Signature": sign(BODY + b" ", TOKEN)}, Delivery.WRONG_SIGNATURE),
        ({"X-Signature": sign(BODY, TOKEN).replace("sha256", "sha1")}, Delivery.WRONG_SIGNATURE),
        ({"X-Signature": "sha256=\udcff"}, Delivery.WRONG_SIGNATURE),
        (standard(BODY, 1000, "other"), Delivery.WRONG_SIGNATURE),
        ({**standard(BODY, 1000), "webhook-timestamp": "1e3"}, Delivery.UNSIGNED),
    ],
)
def test_anything_else_is_refused(headers: dict[str, str], verdict: Delivery) -> None:
    assert verify(BODY, headers, TOKEN, 1000) is verdict


def test_without_a_token_nothing_is_accepted() -> None:
    assert verify(BODY, {"X-Signature": sign(BODY, "")}, "", 0) is Delivery.UNSIGNED


def test_a_standard_webhook_is_accepted_only_within_five_minutes() -> None:
    assert verify(BODY, standard(BODY, 1000), TOKEN, 1200) is Delivery.ACCEPTED
    assert verify(BODY, standard(BODY, 1000), TOKEN, 1301) is Delivery.TOO_OLD
    assert verify(BODY, standard(BODY, 1000), TOKEN, 600) is Delivery.TOO_OLD


def test_a_huge_body_is_refused_before_it_is_read() -> None:
    assert verify(b"x" * (BODY_BYTES_MAX + 1), {}, TOKEN, 0) is Delivery.TOO_LARGE


def test_the_path_depends_on_the_token_and_the_object() -> None:
    paths = {webhook_path(*parts) for parts in [("a", "b", "t"), ("a", "b", "u"), ("a", "c", "t"), ("x", "b", "t")]}
    assert len(paths) == 4
    assert all(path.startswith("/hooks/git/") and TOKEN not in path for path in paths)


def test_a_copy_counts_once_and_the_memory_is_bounded() -> None:
    guard = ReplayGuard()
    assert not guard.knows("one", 0)
    guard.remember("one", 0)
    assert guard.knows("one", 299)
    assert not guard.knows("one", 301)
    for number in range(5000):
        assert not guard.knows(str(number), 302)
        guard.remember(str(number), 302)
    assert len(guard._seen) <= 4096
