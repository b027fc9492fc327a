"""A mirror and a real Git host in trouble: shared URLs, refs that follow each other, a killed fetch."""

import asyncio
import base64
import os
import shutil
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from rollout.api.gitrepository import GitRepositorySpec
from rollout.controllers.gitjobs import RepositoryState, fetch_job
from rollout.errors import GitError
from rollout.git import mirror as mirror_module
from rollout.git.credentials import ANONYMOUS, Credentials
from rollout.git.mirror import Mirror, Remote
from rollout.git.pool import GitPool
from rollout.git.signing import signing_key_from_secret
from rollout.git.upkeep import SECRETS_PREFIX
from rollout.git.writer import Signature, publish, write_commit
from rollout.sandbox.githost import Account, GitHost
from tests.support.git_work import Work

OURS = Credentials("bot", "secret")
DIGEST = f"sha256:{'0' * 64}"


class Bench:
    """A host, a person's clone, and our mirrors."""

    def __init__(self, folder: Path, host: GitHost, pool: GitPool) -> None:
        self.pool = pool
        self.work = Work(host.create("shop"), folder / "work")
        self.url = host.url_of("shop")

    async def fetch(
        self, credentials: Credentials = OURS, known: RepositoryState | None = None, **ref: str
    ) -> RepositoryState:
        spec = msgspec.convert({"url": self.url, "ref": ref, "timeout": "60s"}, GitRepositorySpec)
        return await fetch_job(self.pool, spec, credentials, known or RepositoryState())


def run(tmp_path: Path, story: Callable[[Bench], Awaitable[Any]]) -> None:
    async def scene() -> None:
        async with (
            GitHost(tmp_path / "srv", [Account("bot", "secret", write=True)]) as host,
            GitPool(tmp_path / "mirrors") as pool,
        ):
            await story(Bench(tmp_path, host, pool))

    asyncio.run(scene())


@pytest.mark.parametrize("stranger", [ANONYMOUS, Credentials("bot", "wrong")])
def test_a_commit_that_others_fetched_is_not_read_without_asking_the_host(
    tmp_path: Path, stranger: Credentials
) -> None:
    async def story(bench: Bench) -> None:
        commit = bench.work.commit("private", {"a": "1"})
        assert (await bench.fetch(branch="main")).commit == commit
        refused = await bench.fetch(stranger, commit=commit)
        assert (refused.commit, refused.reason) == ("", "Unauthorized")
        assert (await bench.fetch(commit=commit)).commit == commit

    run(tmp_path, story)


def test_a_branch_may_take_the_place_of_a_folder_of_branches(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        commit = bench.work.commit("one", {"a": "1"})
        for branch, old in (("release", ""), ("release/2", "release"), ("release", "release/2")):
            if old:
                bench.work.git("push", "-q", "origin", f":refs/heads/{old}")
            bench.work.git("push", "-q", "origin", f"HEAD:refs/heads/{branch}")
            state = await bench.fetch(branch=branch)
            assert (state.error, state.commit) == ("", commit)

    run(tmp_path, story)


def test_a_fetch_goes_on_after_one_that_was_killed(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        first = bench.work.commit("one", {"a": "1"})
        state = await bench.fetch(branch="main")
        directory = bench.pool.mirror(bench.url).directory
        refs = [path for path in (directory / "refs").rglob("*") if path.is_file()]
        assert [path.read_text().strip() for path in refs] == [first]
        for path in (*refs, directory / "packed-refs"):
            path.with_name(f"{path.name}.lock").touch()
        second = bench.work.commit("two", {"a": "2"})
        state = await bench.fetch(known=state, branch="main")
        assert (state.error, state.commit) == ("", second)

    run(tmp_path, story)


def test_a_repository_that_is_too_large_is_told_and_the_last_commit_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(bench: Bench) -> None:
        first = bench.work.commit("one", {"a": "1"})
        state = await bench.fetch(branch="main")
        monkeypatch.setattr(mirror_module, "MIRROR_BYTES_MAX", 1000)
        bench.work.commit("two", {"a": "x" * 5000, "b": "y" * 5000})
        state = await bench.fetch(known=state, branch="main")
        assert (state.commit, state.reason) == (first, "TooLarge")
        assert "the limit is 1000" in state.error

    run(tmp_path, story)


def test_trailers_are_digests_of_a_bounded_number_whoever_wrote_them(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        junk = "\n".join(f"Rollout-Release: {'x' * 1000}" for _ in range(50))
        many = "\n".join(f"Rollout-Failed-Digest: sha256:{n:064x}" for n in range(50))
        bench.work.commit(f"one\n\nRollout: shop/{'n' * 1000}@uid\n{junk}\nRollout-Release: {DIGEST}\n{many}\n")
        fact = (await bench.fetch(branch="main")).trailers[0]
        assert fact.released == (DIGEST,)
        assert len(fact.failed) == 20
        assert len(fact.rollout) < 400

    run(tmp_path, story)


def test_secrets_are_in_no_argument_no_variable_no_log_and_no_file_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Every git process, and ssh-keygen, writes down how it was started."""
    record, programs = tmp_path / "record", tmp_path / "bin"
    programs.mkdir()
    for name in ("git", "ssh-keygen"):
        real = shutil.which(name)
        program = programs / name
        program.write_text(f'#!/bin/sh\n{{ echo "# $0 $*"; env; }} >>{record}\nexec {real} "$@"\n')
        program.chmod(0o755)
    caplog.set_level("DEBUG")
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    key = signing_key_from_secret({"identity": base64.b64encode(pem).decode()}, "x")
    tokens = Credentials(bearer_token="token-of-ours"), Credentials(bearer_token="token-of-nobody")
    words: list[str] = []

    def push(mirror: Mirror, url: str, head: str, credentials: Credentials) -> None:
        signature = Signature("Coalmine", "c@example.com", "2026-11-22T10:21:30Z")
        commit = write_commit(mirror, mirror.tree_of(head), head, "signed", signature, key)
        try:
            words.append(str(publish(mirror, Remote(url, credentials), "main", commit, head)))
        except GitError as error:
            words.append(str(error))

    async def scene() -> None:
        account = Account("bot", "secret-of-ours", token="token-of-ours", write=True)
        async with GitHost(tmp_path / "srv", [account]) as host, GitPool(tmp_path / "mirrors") as pool:
            bench = Bench(tmp_path, host, pool)
            head = bench.work.commit("one", {"a": "1"})
            monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
            for credentials in (Credentials("bot", "secret-of-ours"), Credentials("bot", "secret-of-nobody"), *tokens):
                words.append(str(await bench.fetch(credentials, branch="main")))
                await pool.run(partial(push, pool.mirror(bench.url), bench.url, head, credentials))

    asyncio.run(scene())
    started = record.read_text()
    for name in (" fetch ", " push ", " ls-remote ", " commit-tree -S ", "ssh-keygen -Y sign"):
        assert name in started
    shown = started + "".join(words) + caplog.text
    basic = base64.b64encode(b"bot:secret-of-ours").decode()
    for secret in ("secret-of", "token-of", basic, "PRIVATE KEY"):
        assert secret not in shown
    assert sum("Unauthorized" in text or "refused our credentials" in text for text in words) == 4
    assert list((tmp_path / "mirrors").glob(f"{SECRETS_PREFIX}*")) == []
