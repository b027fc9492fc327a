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


async def _turns() -> None:
    """Let everybody else go on for a while."""
    ended = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(0.01, ended.set_result, None)
    await ended


class Scene:
    """A standby with one repository, at a time that stands still but for what is waited."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.api, self.now = Api(), 1000.0
        repositories = Cache()
        repositories.synced = True
        metadata = {"namespace": KEY[0], "name": KEY[1], "uid": "u", "resourceVersion": "1"}
        hook = {"secretRef": {"name": "hook"}}
        spec = {"url": "https://git.example/x", "ref": {"branch": "main"}, "webhook": hook}
        repositories.put({"metadata": metadata, "spec": spec, "status": {"webhookPath": PATH}})
        client: KubeClient = self.api  # type: ignore[assignment]
        self.repositories, self.hinted, self.leads = repositories, list[object](), False
        workshop = GitWorkshop(folder, lambda: self.now, self.hinted.append)
        self.notifications = Notifications(
            workshop, repositories, client, lambda: self.leads, lambda: self.now, lambda: self.now
        )
        monkeypatch.setattr("rollout.controllers.notifications.asyncio.sleep", self._sleep)

    async def _sleep(self, seconds: float) -> None:
        await _turns()
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


def standard(scene: Scene, identity: str) -> dict[str, str]:
    """The headers of Standard Webhooks."""
    stamp = str(int(scene.now))
    signed = f"{identity}.{stamp}.".encode() + BODY
    signature = base64.b64encode(hmac.new(TOKEN.encode(), signed, hashlib.sha256).digest()).decode()
    return {"webhook-id": identity, "webhook-timestamp": stamp, "webhook-signature": f"v1,{signature}"}


def test_what_the_api_server_does_not_take_may_be_sent_again(scene: Scene) -> None:
    headers = standard(scene, "msg_1")
    scene.api.broken = True
    assert asyncio.run(scene.take(headers)) == 503
    scene.api.broken = False
    assert asyncio.run(_several(scene, 3, headers)) == [202] * 3
    assert scene.api.writes == 1, "copies of it are no news"


def test_those_that_come_at_once_share_one_question_and_its_end(scene: Scene) -> None:
    async def at_once() -> list[int]:
        return await asyncio.gather(*(scene.take(standard(scene, f"msg_{n}")) for n in range(20)))

    scene.api.broken = True
    assert asyncio.run(at_once()) == [503] * 20, "nobody is told that a push was passed on which was not"
    scene.api.broken = False
    scene.now += 10
    assert asyncio.run(at_once()) == [202] * 20
    assert (scene.api.writes, scene.api.reads) == (1, 2)


def test_an_id_that_nobody_signed_is_not_believed(scene: Scene) -> None:
    forged = {**RIGHT, "webhook-id": "msg_1"}
    assert asyncio.run(scene.take(forged)) == 202
    assert asyncio.run(scene.take(standard(scene, "msg_1"))) == 202
    assert scene.api.writes == 2


def test_headers_that_are_no_text_are_refused(scene: Scene) -> None:
    odd = {"webhook-id": "\udcff", "webhook-timestamp": str(int(scene.now)), "webhook-signature": "v1,\udcff"}
    assert asyncio.run(scene.take(odd)) == 401
    assert asyncio.run(scene.take({"x-signature": "\udcff"})) == 401


def test_before_it_knows_the_repositories_it_asks_for_patience(scene: Scene) -> None:
    scene.repositories.synced = False
    assert asyncio.run(scene.take()) == 503


def test_the_leader_tells_itself(scene: Scene) -> None:
    scene.leads = True
    assert asyncio.run(scene.take()) == 202
    assert scene.hinted == [KEY]
    assert scene.api.writes == 0
