"""The process dies before or after any of the git commands of a revert; whoever comes next, there is one revert."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rollout.controllers.gitjobs import RenderCache, RepositoryState, fetch_job, renderer, revert_job
from rollout.domain.sync.plan import Pushed, RevertPlan
from rollout.git.credentials import Credentials
from rollout.git.mirror import Remote
from rollout.git.plumbing import Answer, Plumbing
from rollout.git.pool import GitPool
from rollout.git.taking_back import Surroundings, Writing
from rollout.sandbox.githost import GitHost
from tests.servers.test_taking_back import AUTHOR, BOT, SOURCE, WEB, Bench, manifest
from tests.support.git_work import bare_head, bare_log, bare_show

COMMANDS_MIN = 10
Attempt = Callable[..., Answer]


class Died(BaseException):
    """Nothing in the program catches it, as nothing survives a SIGKILL."""


@dataclass
class Fate:
    """Lets git run, and ends the process at one command."""

    dies_at: int = -1
    before: bool = True
    commands: list[str] = field(default_factory=list)

    def over(self, attempt: Attempt) -> Attempt:
        """The same git, in the hands of fate."""

        def fated(git: Plumbing, *args: str, **more: Any) -> Answer:
            now = len(self.commands)
            self.commands.append(args[0])
            if self.before and now == self.dies_at:
                raise Died
            answer = attempt(git, *args, **more)
            if not self.before and now == self.dies_at:
                raise Died
            return answer

        return fated


def test_a_crash_at_any_command_leaves_one_revert(tmp_path: Path) -> None:
    async def scene() -> None:
        async with GitHost(tmp_path / "srv", [BOT]) as host:
            bench = Bench(tmp_path, host)
            good = bench.commit("good", {WEB: manifest("web:1")})
            bad = bench.commit("bad", {WEB: manifest("web:2")})
            async with GitPool(tmp_path / "leader") as pool, GitPool(tmp_path / "other") as other:
                for reader in (pool, other):
                    await fetch_job(reader, bench.spec, Credentials("bot", "secret"), RepositoryState())
                call = renderer(pool.mirror(bench.url), RenderCache(), SOURCE, "shop")
                plan = await pool.run(lambda: bench.plan(call, good, bad))
                whole = await _attempt(bench, pool, plan, Fate())
                assert len(whole.commands) >= COMMANDS_MIN
                assert whole.commands.count("push") == 1
                revert = bare_head(bench.bare)
                for number in range(len(whole.commands)):
                    for before in (True, False):
                        await asyncio.to_thread(bench.work.git, "push", "-q", "-f", "origin", f"{bad}:refs/heads/main")
                        await _dies(bench, pool, plan, Fate(number, before))
                        successor = (pool, other)[number % 2]
                        await _attempt(bench, successor, plan, Fate())
                        assert bare_head(bench.bare) == revert, f"{number}: {whole.commands[number]}"
                        assert bare_log(bench.bare)[1:] == ["bad", "good"]
                assert bare_show(bench.bare, WEB) == manifest("web:1").strip()

    asyncio.run(scene())


async def _dies(bench: Bench, pool: GitPool, plan: RevertPlan, fate: Fate) -> None:
    with pytest.raises(Died):
        await _attempt(bench, pool, plan, fate)


async def _attempt(bench: Bench, pool: GitPool, plan: RevertPlan, fate: Fate) -> Fate:
    """One process that carries the plan out, until its fate comes."""
    call = renderer(pool.mirror(bench.url), RenderCache(), SOURCE, "shop")
    remote = Remote(bench.url, Credentials("bot", bench.password), 60)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Plumbing, "attempt", fate.over(Plumbing.attempt))
        outcome = await revert_job(pool, plan, Writing(remote, AUTHOR), Surroundings(call))
    assert outcome == Pushed(bare_head(bench.bare))
    return fate
