"""Mirror, writer and signing against real smart HTTP: `git http-backend` behind the sandbox's Git host."""

import asyncio
import base64
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from rollout.errors import GitError, RemoteUnavailable
from rollout.git.credentials import Credentials
from rollout.git.errors import RevisionNotFound, Unauthorized
from rollout.git.mirror import Mirror, Remote
from rollout.git.signing import SigningKey, is_signed_by, signing_key_from_secret
from rollout.git.webhook import Delivery, verify
from rollout.git.writer import Published, Raced, Rejected, Signature, publish, write_commit
from rollout.sandbox.git_push_hook import Subscription
from rollout.sandbox.githost import Account, GitHost
from tests.support.git_work import Work, bare_head, bare_log

T = TypeVar("T")
BOT = Account("bot", "pa ss'w$rd", token="tok-123", write=True)
READER = Account("reader", "read")
WHEN = Signature("Coalmine", "coalmine@acme.example", "2026-11-22T10:21:30+00:00")


class Bench:
    """A host with one repository, a person's clone, and a mirror of ours."""

    def __init__(self, folder: Path, host: GitHost) -> None:
        self.folder, self.host = folder, host
        self.bare = host.create("shop")
        self.work = Work(self.bare, folder / "work")
        self.url = host.url_of("shop")
        self.mirror = Mirror.of(folder / "mirrors", self.url)

    def remote(self, username: str = "bot", password: str = BOT.password) -> Remote:
        return Remote(self.url, Credentials(username, password), timeout_seconds=30)

    def fetch(self) -> str:
        return self.mirror.fetch(self.remote(), "refs/heads/main")


def on_host(tmp_path: Path, story: Callable[[Bench], T]) -> T:
    """Run a blocking story in a thread while the host serves."""

    async def run() -> T:
        async with GitHost(tmp_path / "srv", [BOT, READER]) as host:
            return await asyncio.to_thread(story, Bench(tmp_path, host))

    return asyncio.run(run())


def signing_key() -> SigningKey:
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    return signing_key_from_secret({"identity": base64.b64encode(pem).decode()}, "spec.write.signing.secretRef")


def test_fetch_reads_what_was_pushed(tmp_path: Path) -> None:
    def story(bench: Bench) -> None:
        first = bench.work.commit("one", {"a/x.yaml": "1\n", "b/y.yaml": "2\n"})
        assert bench.mirror.ls_remote(bench.remote(), "refs/heads/main") == first
        assert bench.fetch() == first
        assert [entry.path for entry in bench.mirror.files(first)] == ["a/x.yaml", "b/y.yaml"]
        assert bench.mirror.read(bench.mirror.files(first, "a"), 100) == {"a/x.yaml": b"1\n"}
        second = bench.work.commit("two", {"b/y.yaml": "3\n"})
        assert bench.fetch() == second
        assert bench.mirror.changed_paths(first, second) == {"b/y.yaml"}

    on_host(tmp_path, story)


def test_a_clone_with_many_commits_of_its_own_can_fetch(tmp_path: Path) -> None:
    """Its request is longer than a kilobyte, so git packs it."""

    def story(bench: Bench) -> None:
        bench.work.commit("one", {"x": "1"})
        url = bench.url.replace("//", f"//{READER.username}:{READER.password}@")
        bench.work.git("clone", "-q", url, str(tmp_path / "other"))
        for number in range(200):
            bench.work.git("-C", str(tmp_path / "other"), "commit", "-q", "--allow-empty", "-m", str(number))
        second = bench.work.commit("two", {"x": "2"})
        bench.work.git("-C", str(tmp_path / "other"), "fetch", "-q", "origin", "main")
        assert bench.work.git("-C", str(tmp_path / "other"), "rev-parse", "FETCH_HEAD") == second

    on_host(tmp_path, story)


def test_a_bearer_token_works_and_is_in_no_message(tmp_path: Path) -> None:
    def story(bench: Bench) -> None:
        head = bench.work.commit("one", {"x": "1"})
        good = Remote(bench.url, Credentials(bearer_token="tok-123"))
        assert bench.mirror.ls_remote(good, "refs/heads/main") == head
        wrong = Remote(bench.url, Credentials(bearer_token="tok-WRONG"))
        with pytest.raises(Unauthorized) as caught:
            bench.mirror.ls_remote(wrong, "refs/heads/main")
        assert "tok-WRONG" not in str(caught.value)

    on_host(tmp_path, story)


def test_wrong_credentials_are_unauthorized_and_stay_secret(tmp_path: Path) -> None:
    def story(bench: Bench) -> None:
        bench.work.commit("one", {"x": "1"})
        with pytest.raises(Unauthorized, match="refused our credentials") as caught:
            bench.mirror.fetch(bench.remote(password="hunter2"), "refs/heads/main")
        assert "hunter2" not in str(caught.value)
        with pytest.raises(Unauthorized):
            bench.mirror.fetch(Remote(bench.url), "refs/heads/main")

    on_host(tmp_path, story)


def test_a_missing_branch_and_a_missing_repository_say_so(tmp_path: Path) -> None:
    def story(bench: Bench) -> None:
        bench.work.commit("one", {"x": "1"})
        with pytest.raises(RevisionNotFound, match="refs/heads/nope"):
            bench.mirror.ls_remote(bench.remote(), "refs/heads/nope")
        with pytest.raises(GitError):
            bench.mirror.fetch(bench.remote(), "refs/heads/nope")
        absent = Remote(bench.host.url_of("absent"), bench.remote().credentials)
        with pytest.raises(GitError):
            bench.mirror.ls_remote(absent, "refs/heads/main")

    on_host(tmp_path, story)


def test_a_host_that_is_down_is_unavailable(tmp_path: Path) -> None:
    def story(bench: Bench) -> str:
        bench.work.commit("one", {"x": "1"})
        bench.fetch()
        return bench.url

    url = on_host(tmp_path, story)
    with pytest.raises(RemoteUnavailable):
        Mirror.of(tmp_path / "mirrors", url).fetch(Remote(url), "refs/heads/main")


def test_a_host_that_never_answers_is_unavailable_after_the_timeout(tmp_path: Path) -> None:
    async def run() -> None:
        release = asyncio.Event()

        async def stall(_: web.Request) -> web.Response:
            await release.wait()
            return web.Response()

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", stall)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/slow.git"
        mirror = Mirror.of(tmp_path, url)
        try:
            with pytest.raises(RemoteUnavailable, match="longer than 1 s"):
                await asyncio.to_thread(mirror.ls_remote, Remote(url, timeout_seconds=1), "refs/heads/main")
        finally:
            release.set()
            await runner.cleanup()

    asyncio.run(run())


def test_redirects_are_not_followed_so_credentials_stay_on_their_host(tmp_path: Path) -> None:
    async def run() -> None:
        seen: list[str] = []

        async def redirect(request: web.Request) -> web.Response:
            raise web.HTTPFound(f"http://127.0.0.2:{port}{request.path_qs}")

        async def elsewhere(request: web.Request) -> web.Response:
            seen.append(request.headers.get("Authorization", ""))
            return web.Response(status=404)

        far, near = web.Application(), web.Application()
        far.router.add_route("*", "/{path:.*}", elsewhere)
        near.router.add_route("*", "/{path:.*}", redirect)
        runners = [web.AppRunner(far), web.AppRunner(near)]
        for runner, address in zip(runners, ("127.0.0.2", "127.0.0.1"), strict=True):
            await runner.setup()
            await web.TCPSite(runner, address, 0).start()
        port = runners[0].addresses[0][1]
        url = f"http://127.0.0.1:{runners[1].addresses[0][1]}/shop.git"
        remote = Remote(url, Credentials(bearer_token="tok"), timeout_seconds=10)
        with pytest.raises((GitError, RemoteUnavailable)):
            await asyncio.to_thread(Mirror.of(tmp_path, url).ls_remote, remote, "refs/heads/main")
        for runner in runners:
            await runner.cleanup()
        assert seen == []

    asyncio.run(run())


def test_a_push_moves_the_branch_and_its_repetition_changes_nothing(tmp_path: Path) -> None:
    def story(bench: Bench) -> None:
        head = bench.work.commit("one", {"x": "1"})
        bench.fetch()
        commit = write_commit(bench.mirror, bench.mirror.tree_of(head), head, "ours\n", WHEN)
        assert publish(bench.mirror, bench.remote(), "main", commit, head) == Published(commit)
        assert bare_head(bench.bare) == commit
        # A leader that crashed after the push tries again with the head it knew.
        assert isinstance(publish(bench.mirror, bench.remote(), "main", commit, head), Published | Raced)
        assert bare_head(bench.bare) == commit
        assert bare_log(bench.bare) == ["ours", "one"]

    on_host(tmp_path, story)


def test_a_branch_that_moved_is_a_race_and_nobody_is_overwritten(tmp_path: Path) -> None:
    def story(bench: Bench) -> None:
        head = bench.work.commit("one", {"x": "1"})
        bench.fetch()
        commit = write_commit(bench.mirror, bench.mirror.tree_of(head), head, "ours\n", WHEN)
        human = bench.work.commit("human was faster", {"y": "1"})
        assert isinstance(publish(bench.mirror, bench.remote(), "main", commit, head), Raced)
        assert bare_head(bench.bare) == human

    on_host(tmp_path, story)


def test_the_words_of_a_hook_are_reported(tmp_path: Path) -> None:
    def story(bench: Bench) -> None:
        head = bench.work.commit("one", {"x": "1"})
        bench.fetch()
        bench.host.protect("shop", "GH006: Protected branch update failed for refs/heads/main.")
        commit = write_commit(bench.mirror, bench.mirror.tree_of(head), head, "ours\n", WHEN)
        outcome = publish(bench.mirror, bench.remote(), "main", commit, head)
        assert isinstance(outcome, Rejected)
        assert "GH006: Protected branch update failed" in outcome.words
        assert bare_head(bench.bare) == head

    on_host(tmp_path, story)


def test_an_account_that_may_only_read_cannot_push(tmp_path: Path) -> None:
    def story(bench: Bench) -> None:
        head = bench.work.commit("one", {"x": "1"})
        bench.fetch()
        commit = write_commit(bench.mirror, bench.mirror.tree_of(head), head, "ours\n", WHEN)
        with pytest.raises(Unauthorized):
            publish(bench.mirror, bench.remote("reader", "read"), "main", commit, head)
        assert bare_head(bench.bare) == head

    on_host(tmp_path, story)


def test_two_clones_write_the_same_signed_commit(tmp_path: Path) -> None:
    def story(bench: Bench) -> None:
        head = bench.work.commit("one", {"x": "1"})
        key, ids = signing_key(), set()
        for name in ("first", "second"):
            mirror = Mirror(tmp_path / f"{name}.git")
            mirror.fetch(bench.remote(), "refs/heads/main")
            ids.add(write_commit(mirror, mirror.tree_of(head), head, "ours\n\nRollout-Revert-Id: 1\n", WHEN, key))
        assert len(ids) == 1
        commit = ids.pop()
        assert is_signed_by(mirror, commit, key.allowed_signers(WHEN.email))
        assert not is_signed_by(mirror, commit, signing_key().allowed_signers(WHEN.email))
        assert not is_signed_by(mirror, head, key.allowed_signers(WHEN.email))

    on_host(tmp_path, story)


def test_trailers_are_read_back(tmp_path: Path) -> None:
    def story(bench: Bench) -> None:
        first = bench.work.commit("one", {"x": "1"})
        bench.work.commit("two\n\nbody\n\nRollout-Revert-Id: abc\nRollout-Failed-Digest: sha256:bb", {"x": "2"})
        head = bench.fetch()
        entries = bench.mirror.log(head, after=first)
        assert [entry.values("Rollout-Revert-Id") for entry in entries] == [("abc",)]
        assert entries[0].values("Rollout-Failed-Digest") == ("sha256:bb",)
        assert [entry.subject for entry in bench.mirror.log(head)] == ["two", "one"]

    on_host(tmp_path, story)


def test_a_push_is_announced_with_a_signature(tmp_path: Path) -> None:
    async def run() -> None:
        heard: asyncio.Queue[tuple[bytes, dict[str, str]]] = asyncio.Queue(8)

        async def receive(request: web.Request) -> web.Response:
            await heard.put((await request.read(), dict(request.headers)))
            return web.Response()

        app = web.Application()
        app.router.add_post("/hook", receive)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        hook = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        async with GitHost(tmp_path / "srv", notify=[Subscription("shop", hook, "tok")]) as host:
            bare = host.create("shop")
            work = await asyncio.to_thread(Work, bare, tmp_path / "work")
            work.git("remote", "set-url", "origin", host.url_of("shop"))
            await asyncio.to_thread(work.commit, "one", {"x": "1"})
            body, headers = await asyncio.wait_for(heard.get(), 30)
        await runner.cleanup()
        assert verify(body, headers, "tok", 0) is Delivery.ACCEPTED
        assert verify(body, headers, "other", 0) is Delivery.WRONG_SIGNATURE

    asyncio.run(run())


def test_the_host_runs_as_a_program_of_its_own(tmp_path: Path) -> None:
    accounts = tmp_path / "accounts"
    accounts.write_text("ann:pw:rw\nbob:pw:ro\n")
    bare = GitHost(tmp_path / "srv").create("shop")
    command = [sys.executable, "-m", "rollout.sandbox.githost", str(tmp_path / "srv"), "--accounts", str(accounts)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = f"{process.stdout.readline().strip()}/shop.git"
            work = Work(bare, tmp_path / "work")
            work.git("remote", "set-url", "origin", url.replace("//", "//ann:pw@"))
            head = work.commit("one", {"x": "1"})
            mirror = Mirror.of(tmp_path / "mirrors", url)
            assert mirror.ls_remote(Remote(url, Credentials("bob", "pw")), "refs/heads/main") == head
        finally:
            process.terminate()
            process.wait(20)
