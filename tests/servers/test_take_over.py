"""A render is taken over by later commits that change nothing it read, and by no others: on a real repository."""

import asyncio
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from rollout.api.application import ApplicationSource
from rollout.api.gitrepository import GitRepositorySpec
from rollout.controllers.gitjobs import RenderCache, RepositoryState, fetch_job, render_job, take_over
from rollout.domain.sync.objects import Rendered
from rollout.git.credentials import ANONYMOUS
from rollout.git.pool import GitPool
from rollout.sandbox.githost import GitHost
from tests.support.git_work import Work

PLAIN, OVER, LINKED = "apps/plain", "apps/over", "apps/linked"
KINDS = {PLAIN: {}, OVER: {"kustomize": {}}, LINKED: {}}


def config(name: str, value: str = "1") -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{v: '{value}'}}\n"


FILES: dict[str, str | bytes] = {
    f"{PLAIN}/a.yaml": config("a"),
    f"{PLAIN}/deep/b.yaml": config("b"),
    f"{OVER}/kustomization.yaml": "resources: [../../base]\n",
    "base/kustomization.yaml": "resources: [c.yaml]\n",
    "base/c.yaml": config("c"),
    "shared/d.yaml": config("d"),
    "other/readme.txt": "nothing\n",
}


class Bench:
    """One repository, and the renders of its Applications."""

    def __init__(self, work: Work, url: str, pool: GitPool) -> None:
        self.work, self.url, self.pool, self.cache = work, url, pool, RenderCache()

    async def fetch(self) -> str:
        spec = msgspec.convert({"url": self.url, "ref": {"branch": "main"}, "timeout": "60s"}, GitRepositorySpec)
        return (await fetch_job(self.pool, spec, ANONYMOUS, RepositoryState())).commit

    async def render(self, commit: str, path: str) -> object:
        raw = {"repositoryRef": {"name": "shop"}, "path": path, **KINDS[path]}
        source = msgspec.convert(raw, ApplicationSource)
        return await render_job(self.pool, RenderCache(), self.url, commit, source, "shop")

    async def renders(self, commit: str) -> dict[str, Rendered]:
        found = {path: await self.render(commit, path) for path in KINDS}
        assert all(isinstance(one, Rendered) for one in found.values()), found
        return {path: one for path, one in found.items() if isinstance(one, Rendered)}

    async def take_over(self, earlier: Rendered, commit: str, path: str) -> Rendered | None:
        return await take_over(self.pool, self.cache, self.url, commit, earlier, path)


@pytest.mark.parametrize(
    ("path", "text", "anew"),
    [
        ("other/readme.txt", "more\n", set()),
        ("apps/plainer/a.yaml", config("x"), set()),
        (f"{PLAIN}/a.yaml", config("a", "2"), {PLAIN}),
        (f"{PLAIN}/deep/new.yaml", config("e"), {PLAIN}),
        (f"{PLAIN}/deep/b.yaml", None, {PLAIN}),
        ("base/c.yaml", config("c", "2"), {OVER}),
        ("base/Kustomization", "resources: []\n", {OVER}),
        (f"{OVER}/kustomization.yaml", "namePrefix: x-\nresources: [../../base]\n", {OVER}),
        ("shared/d.yaml", config("d", "2"), {LINKED}),
    ],
)
def test_a_render_is_taken_over_where_nothing_it_read_has_changed(
    tmp_path: Path, path: str, text: str | None, anew: set[str]
) -> None:
    async def story() -> None:
        async with GitHost(tmp_path / "srv") as host, GitPool(tmp_path / "mirrors") as pool:
            bench = Bench(Work(host.create("shop"), tmp_path / "work"), host.url_of("shop"), pool)
            (tmp_path / "work" / LINKED).mkdir(parents=True)
            (tmp_path / "work" / LINKED / "d.yaml").symlink_to("../../shared/d.yaml")
            bench.work.commit("one", FILES)
            before = await bench.renders(await bench.fetch())
            bench.work.commit("two", {path: text} if text else None, remove=[] if text else [path])
            commit = await bench.fetch()
            taken = {each: await bench.take_over(one, commit, each) for each, one in before.items()}
            assert {each for each, one in taken.items() if one is None} == anew
            for each, one in taken.items():
                if one is not None:
                    assert one == await bench.render(commit, each)

    asyncio.run(story())


def test_a_render_of_a_commit_that_is_not_here_any_more_is_not_taken_over(tmp_path: Path) -> None:
    async def story() -> None:
        async with GitHost(tmp_path / "srv") as host, GitPool(tmp_path / "mirrors") as pool:
            bench = Bench(Work(host.create("shop"), tmp_path / "work"), host.url_of("shop"), pool)
            bench.work.commit("one", {f"{PLAIN}/a.yaml": config("a")})
            commit = await bench.fetch()
            found = await bench.render(commit, PLAIN)
            assert isinstance(found, Rendered)
            assert await bench.take_over(found, commit, PLAIN) == found
            assert await bench.take_over(replace(found, commit="e" * 40), commit, PLAIN) is None

    asyncio.run(story())
