"""Jobs of Applications: none begins again without a pause, and none acts on what is not its own any more."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rollout.controllers import application_jobs
from rollout.controllers.application import ApplicationController
from rollout.controllers.application_jobs import REST_SECONDS
from rollout.controllers.background import Background
from rollout.controllers.gitrepository import GitRepositoryController
from rollout.controllers.workshop import Fetched
from rollout.domain.sync.actions import ConsumeRelease
from rollout.domain.sync.objects import ObjectId, Rendered, RenderedObject, RenderFailure
from rollout.errors import ApiUnavailable
from rollout.kube.resources import APPLICATIONS, GIT_REPOSITORIES
from tests.support.application_bench import (
    KEY,
    NORMAL,
    URL,
    A,
    B,
    Bench,
    Json,
    application,
    fetched,
    play,
    repository,
)


@pytest.mark.parametrize("what", ["nothing", "generation", "uid", "deleted", "gone", "commit", "unfetched"])
def test_a_deletion_is_wanted_only_while_everything_is_as_it_was(tmp_path: Path, what: str) -> None:
    def story(made: Bench) -> None:
        before = made.app()
        made.workshop.fetched[("shop", "shop")] = fetched(B if what == "commit" else A)
        live = application(version=2)
        if what == "generation":
            live["metadata"]["generation"] = 2
        elif what == "uid":
            live["metadata"]["uid"] = "another"
        elif what == "deleted":
            live["metadata"]["deletionTimestamp"] = "2026-11-26T10:00:00Z"
        made.put(APPLICATIONS, live)
        if what == "gone":
            made.context.caches[APPLICATIONS].drop(live)
        elif what == "unfetched":
            made.workshop.fetched.clear()
        assert made.jobs._may_prune(KEY, before, A) is (what == "nothing")

    play(tmp_path, story)


def test_a_job_that_broke_off_rests_and_is_asked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = 0

    async def breaks(*_: Any, **__: Any) -> None:
        nonlocal tries
        tries += 1
        raise RuntimeError("a fault of ours")

    async def story(made: Bench) -> None:
        monkeypatch.setattr(application_jobs, "apply_render", breaks)
        render = Rendered(A, (), frozenset(), "d", "d")
        assert made.jobs.start_apply(KEY, made.app(), render, check_only=False) is None
        await made.ended()
        assert made.asked == [(APPLICATIONS, KEY)]
        again = made.jobs.start_apply(KEY, made.app(), render, check_only=False)
        assert again == made.clock[0] + REST_SECONDS
        made.clock[0] += REST_SECONDS
        made.asked.clear()
        assert made.jobs.start_apply(KEY, made.app(), render, check_only=False) is None
        await made.ended()
        assert tries == 2

    play(tmp_path, story)


def test_a_tree_that_nobody_thought_of_is_told_and_looked_at_again_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def breaks(*_: Any) -> None:
        raise KeyError("hunter2")

    async def story(made: Bench) -> None:
        monkeypatch.setattr(application_jobs, "render_job", breaks)
        made.jobs.start_render(KEY, made.app(), made.repo(), A)
        await made.ended()
        report = made.workshop.memory(KEY, "u1").report
        assert isinstance(report, RenderFailure)
        assert (report.transient, report.at, "KeyError" in report.message) == (True, made.clock[0], True)
        assert "hunter2" not in report.message

    play(tmp_path, story)


def test_a_job_that_finds_no_place_is_asked_for_again(tmp_path: Path) -> None:
    async def story(made: Bench) -> None:
        async with Background(limit=0) as full:
            made.workshop.background = full
            again = made.jobs.start_render(KEY, made.app(), made.repo(), A)
            assert again is not None
            assert again > made.clock[0]
            controller = GitRepositoryController(made.context, made.workshop)
            made.workshop.hints.add(("shop", "shop"))
            told = await controller.reconcile(("shop", "shop"))
            assert told is not None
            assert told > made.clock[0]
            assert ("shop", "shop") in made.workshop.hints

    play(tmp_path, story)


def test_without_the_list_of_autoscalers_nothing_is_applied(tmp_path: Path) -> None:
    """Their numbers of pods would be reset to those in Git."""

    def down() -> list[Json]:
        raise ApiUnavailable("503 try later")

    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "shop"}}

    async def story(made: Bench) -> None:
        made.api.lists = down
        one = RenderedObject(ObjectId.of(obj), obj)
        made.jobs.start_apply(KEY, made.app(), Rendered(A, (one,), frozenset(), "d", "d"), check_only=False)
        await made.ended()
        report = made.workshop.memory(KEY, "u1").applied
        assert report is not None
        assert [words for _, words in report.failures] == ["autoscalers cannot be listed: 503 try later"]
        assert report.at == made.clock[0]

    play(tmp_path, story)


def test_results_of_a_deleted_application_are_not_those_of_its_successor(tmp_path: Path) -> None:
    async def story(made: Bench) -> None:
        released = asyncio.Event()

        async def slow(*_: Any) -> Rendered:
            await released.wait()
            return Rendered(A, (), frozenset({"old"}), "d", "d")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(application_jobs, "render_job", slow)
            made.jobs.start_render(KEY, made.app(), made.repo(), A)
            successor = made.workshop.memory(KEY, "u2")
            released.set()
            await made.ended()
        assert made.workshop.memory(KEY, "u2") is successor
        assert successor.report is None

    play(tmp_path, story)


def test_a_repository_made_anew_under_its_name_was_never_fetched(tmp_path: Path) -> None:
    def story(made: Bench) -> None:
        made.workshop.remember_fetch(("shop", "shop"), fetched(A))
        assert made.workshop.fetch_of(("shop", "shop"), "g1").state.commit == A
        assert made.workshop.fetch_of(("shop", "shop"), "g2") == Fetched("g2")

    play(tmp_path, story)


def test_the_mirror_goes_with_the_last_repository_of_its_url(tmp_path: Path) -> None:
    async def story(made: Bench) -> None:
        folder = made.workshop.pool.mirror(URL).directory
        folder.mkdir()
        for name in ("shop", "same"):
            made.workshop.remember_fetch(("shop", name), fetched(A))
        made.workshop.forget_repository(("shop", "same"))
        assert not made.workshop.background.is_running(f"drop {NORMAL}")
        made.workshop.remember_fetch(("shop", "shop"), replace(fetched(A), url="https://git.example.com/moved"))
        async with asyncio.timeout(120):
            while folder.exists():
                await asyncio.sleep(0.01)

    play(tmp_path, story)


@pytest.mark.parametrize(("written", "patches"), [("sha256:a", 1), ("sha256:a,sha256:b", 0)])
def test_a_release_that_was_written_meanwhile_stays_to_be_heard(tmp_path: Path, written: str, patches: int) -> None:
    async def story(made: Bench) -> None:
        live = application(version=2)
        live["metadata"]["annotations"] = {"coalmine.dev/release": "sha256:a"}
        made.put(APPLICATIONS, live)
        seen = made.app()
        newer = application(version=3)
        newer["metadata"]["annotations"] = {"coalmine.dev/release": written}
        made.put(APPLICATIONS, newer)
        controller = ApplicationController(made.context, made.workshop)
        await controller._perform(KEY, seen, ConsumeRelease())
        assert len(made.api.patches) == patches
        assert all(patch["metadata"]["resourceVersion"] == "3" for patch in made.api.patches)

    play(tmp_path, story)


def test_a_fault_of_ours_in_a_fetch_is_told_and_the_host_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def breaks(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    async def story(made: Bench) -> None:
        monkeypatch.setattr("rollout.controllers.gitrepository.fetch_job", breaks)
        controller = GitRepositoryController(made.context, made.workshop)
        host = repository(version=2, write=None)
        made.put(GIT_REPOSITORIES, host)
        await controller._fetch(("shop", "shop"), made.repo())
        state = made.workshop.fetch_of(("shop", "shop"), "g1").state
        assert (state.reason, state.transient, "No space left" in state.error) == ("InternalError", True, True)
        assert (GIT_REPOSITORIES, ("shop", "shop")) in made.asked

    play(tmp_path, story)
