"""A mirror and a real Git host in trouble: shared URLs, refs that follow each other, a killed fetch."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rollout.api.gitrepository import GitRepositorySpec
from rollout.controllers.gitjobs import RepositoryState, fetch_job
from rollout.git import mirror as mirror_module
from rollout.git.credentials import ANONYMOUS, Credentials
from rollout.git.pool import GitPool
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
