"""Notifications at a replica that stands by: what it asks of the API server, and when."""

import asyncio
import base64
import hashlib
import hmac
from pathlib import Path
from typing import Any

import pytest

from rollout.controllers.notifications import Notifications
from rollout.controllers.workshop import GitWorkshop
from rollout.errors import ApiUnavailable
from rollout.git.webhook import sign, webhook_path
from rollout.kube.cache import Cache
from rollout.kube.client import KubeClient

TOKEN, BODY = "a token", b"{}"
KEY = ("shop", "config")
PATH = webhook_path(*KEY, TOKEN)
RIGHT = {"x-signature": sign(BODY, TOKEN)}


class Api:
    """Counts what is asked of it; out of order while `broken`."""

    def __init__(self) -> None:
        self.reads, self.writes, self.broken = 0, 0, False

    async def get(self, *_: object) -> dict[str, Any]:
        self.reads += 1
        return {"data": {"token": base64.b64encode(TOKEN.encode()).decode()}}

    async def merge_patch(self, *_: object) -> dict[str, Any]:
        if self.broken:
            raise ApiUnavailable("503")
        self.writes += 1
        return {}


class Scene:
    """A standby with one repository, at a time that stands still but for what is waited."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.api, self.now = Api(), 1000.0
        repositories = Cache()
        metadata = {"namespace": KEY[0], "name": KEY[1], "uid": "u", "resourceVersion": "1"}
        hook = {"secretRef": {"name": "hook"}}
        spec = {"url": "https://git.example/x", "ref": {"branch": "main"}, "webhook": hook}
        repositories.put({"metadata": metadata, "spec": spec, "status": {"webhookPath": PATH}})
        workshop = GitWorkshop(folder, lambda: self.now, lambda _: None)
        client: KubeClient = self.api  # type: ignore[assignment]
        self.notifications = Notifications(workshop, repositories, client, lambda: False, lambda: self.now)
        monkeypatch.setattr(asyncio, "sleep", self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.now += max(seconds, 0.0)

    async def take(self, headers: dict[str, str] = RIGHT, path: str = PATH) -> int:
        return await self.notifications.take(path, headers, BODY)


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(tmp_path, monkeypatch)


async def _several(scene: Scene, count: int, headers: dict[str, str]) -> list[int]:
    return [await scene.take(headers) for _ in range(count)]


def test_the_leader_is_asked_once_a_second_about_a_repository(scene: Scene) -> None:
    assert asyncio.run(_several(scene, 5, RIGHT)) == [202] * 5
    assert (scene.api.writes, scene.now) == (5, 1004.0)


def test_unsigned_ones_cost_one_question_for_the_secret_and_no_write(scene: Scene) -> None:
    assert asyncio.run(_several(scene, 50, {"x-signature": "sha256=00"})) == [401] * 50
    assert (scene.api.reads, scene.api.writes) == (1, 0)


def test_a_secret_that_is_another_one_by_now_makes_the_old_path_unknown(scene: Scene) -> None:
    monkey = base64.b64encode(b"another token").decode()

    async def get(*_: object) -> dict[str, Any]:
        return {"data": {"token": monkey}}

    scene.api.get = get  # type: ignore[method-assign]
    assert asyncio.run(scene.take()) == 404
    assert asyncio.run(scene.take(path="/hooks/git/0")) == 404


def test_what_the_api_server_does_not_take_may_be_sent_again(scene: Scene) -> None:
    stamp, identity = str(int(scene.now)), "msg_1"
    signed = f"{identity}.{stamp}.".encode() + BODY
    signature = base64.b64encode(hmac.new(TOKEN.encode(), signed, hashlib.sha256).digest()).decode()
    headers = {"webhook-id": identity, "webhook-timestamp": stamp, "webhook-signature": f"v1,{signature}"}
    scene.api.broken = True
    assert asyncio.run(scene.take(headers)) == 503
    scene.api.broken = False
    assert asyncio.run(_several(scene, 3, headers)) == [202] * 3
    assert scene.api.writes == 1, "copies of it are no news"
