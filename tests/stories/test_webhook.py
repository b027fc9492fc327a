"""A push announced by a webhook, where polling would take an hour."""

import io

import aiohttp

from rollout.git.webhook import sign
from rollout.kube.resources import GIT_REPOSITORIES
from rollout.sandbox.demo.manifests import secret
from tests.stories.stage import Stage, manifests
from tests.support.proxy import Proxy

FILE = "apps/web/all.yaml"
TOKEN = "a token of this story"
BODY = b'{"ref": "refs/heads/main"}'


async def notify(stage: Stage, path: str, headers: dict[str, str], body: bytes = BODY) -> int:
    """Send a notification as a Git host does; returns the operator's HTTP status."""
    return await notify_at(stage.box.plan.ports["webhook"], path, headers, body)


async def notify_at(port: int, path: str, headers: dict[str, str], body: bytes = BODY) -> int:
    """The same to whichever replica listens there."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"http://127.0.0.1:{port}{path}", data=io.BytesIO(body), headers=headers) as response,
    ):
        return response.status


def test_a_wrong_signature_is_refused_and_asks_the_host_nothing_and_a_right_one_syncs_at_once(stage: Stage) -> None:
    async def story() -> None:
        stage.image("hook:1")
        stage.image("hook:2")
        async with Proxy(stage.box.git_url) as host:
            await stage.create(
                {**secret("hook", {"token": TOKEN}), "metadata": {"name": "hook", "namespace": stage.namespace}}
            )
            url = stage.repository_url(host.url)
            webhook = {"secretRef": {"name": "hook"}}
            # Suspended until there is something to fetch, so that the operator has no reason to look again for an hour.
            person = await stage.repository(write=False, url=url, interval="1h", webhook=webhook, suspend=True)
            person.push("Deploy 1", {FILE: manifests(stage, "hook:1", replicas=1, steps="[]")})
            await stage.patch(GIT_REPOSITORIES, "config", {"spec": {"suspend": False}})
            await stage.application()
            await stage.until_healthy("hook:1")
            path, right = await receiver(stage), {"X-Signature": sign(BODY, TOKEN)}
            assert TOKEN not in path

            person.push("Release 2", {FILE: manifests(stage, "hook:2", replicas=1, steps="[]")})
            asked = len(host.seen)
            for headers in ({}, {"X-Signature": sign(BODY, "another token")}, {"X-Signature": "sha256="}):
                assert await notify(stage, path, headers) == 401
            assert await notify(stage, path, right, BODY + b" ") == 401
            standard = {"webhook-id": "1", "webhook-timestamp": "1", "webhook-signature": "v1,aGVsbG8="}
            assert await notify(stage, path, standard) == 401
            assert await notify(stage, "/hooks/git/0123456789abcdef0123456789abcdef", right) == 404
            assert await notify(stage, path, right, bytes(2 * 1024 * 1024)) == 413

            await until_polled(stage, host, 3)
            looks = [request for request in host.seen[asked:] if f"/{stage.namespace}.git/" in request]
            assert looks == [], "none of these made the operator ask the host"

            assert await notify(stage, path, right) == 202
            await stage.until_healthy("hook:2")

    stage.play(story())


async def until_polled(stage: Stage, host: Proxy, times: int) -> None:
    """Wait until the operator has polled another repository: had it a hint about ours, it had looked there too."""
    other = f"{stage.namespace}-other"
    spec = {"url": f"{host.url}/{other}.git", "ref": {"branch": "main"}, "interval": "1s"}
    kind = {"apiVersion": GIT_REPOSITORIES.api_version, "kind": GIT_REPOSITORIES.kind}
    await stage.create({**kind, "metadata": {"name": "other"}, "spec": spec})

    async def polled() -> bool:
        return sum(f"/{other}.git/info/refs" in request for request in host.seen) >= times

    await stage.until("another repository was polled", polled)


async def receiver(stage: Stage) -> str:
    """Where the operator takes notifications of the repository."""

    async def known() -> str:
        repository = await stage.get(GIT_REPOSITORIES, "config")
        return str((repository.get("status") or {}).get("webhookPath") or "")

    path = await stage.until("the repository tells its webhook's path", known)
    return str(path)
