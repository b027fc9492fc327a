"""Jobs of Applications: what they may still do right before they do it, and that none begins again without a pause."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rollout.api.application import Application
from rollout.api.gitrepository import GitRepository
from rollout.controllers import application_jobs
from rollout.controllers.application import ApplicationController
from rollout.controllers.application_jobs import REST_SECONDS, ApplicationJobs
from rollout.controllers.background import Background
from rollout.controllers.context import Context
from rollout.controllers.gitjobs import RepositoryState
from rollout.controllers.gitrepository import GitRepositoryController
from rollout.controllers.sharing import Sharing, sharing
from rollout.controllers.workshop import Fetched, GitWorkshop
from rollout.domain.sync.actions import ConsumeRelease
from rollout.domain.sync.objects import ObjectId, Rendered, RenderedObject
from rollout.domain.sync.plan import Blocked, RevertPlan, TryAgain
from rollout.errors import ApiUnavailable, LeadershipLost
from rollout.kube.cache import Cache
from rollout.kube.resources import APPLICATIONS, GIT_REPOSITORIES, REPLICA_SETS, ROLLOUTS, Resource

Json = dict[str, Any]
URL = "https://git.example.com/shop.git"
NORMAL = "https://git.example.com/shop"
KEY = ("shop", "web")
A, B = "a" * 40, "b" * 40
PLAN = RevertPlan("1234", "main", "shop", "web", "u", A, B, "sha256:bad", "sha256:good", "web:2", "", "", 25, "")


def application(name: str = "web", *, uid: str = "u1", version: int = 1, **spec: Any) -> Json:
    source = {"repositoryRef": {"name": "shop"}, "path": f"apps/{name}", **spec.pop("source", {})}
    revert = {"id": PLAN.id, "phase": "Planned", "templateDigest": "sha256:bad"}
    record = {"namespace": "shop", "name": name, "revert": revert, "quarantine": [{"templateDigest": "sha256:bad"}]}
    metadata = {"name": name, "namespace": "shop", "uid": uid, "resourceVersion": str(version), "generation": 1}
    return {"metadata": metadata, "spec": {"source": source, **spec}, "status": {"rollouts": [record]}}


def repository(name: str = "shop", *, uid: str = "g1", version: int = 1, **spec: Any) -> Json:
    whole = {"url": URL, "ref": {"branch": "main"}, "write": {"secretRef": {"name": "write"}}, **spec}
    metadata = {"name": name, "namespace": "shop", "uid": uid, "resourceVersion": str(version), "generation": 1}
    return {"metadata": metadata, "spec": {k: v for k, v in whole.items() if v is not None}}


@dataclass
class Api:
    """An API server of which only what a test says answers."""

    patches: list[Json] = field(default_factory=list)
    lists: Callable[[], list[Json]] = list

    async def list(self, _: Resource, __: str) -> list[Json]:
        return self.lists()

    async def get(self, *_: Any) -> Json | None:
        return None

    async def merge_patch(self, _: Resource, namespace: str, name: str, patch: Json, subresource: str = "") -> Json:
        self.patches.append(patch)
        metadata = {"name": name, "namespace": namespace, "uid": "u1", "resourceVersion": "99"}
        return {"metadata": metadata, "subresource": subresource}


@dataclass
class Bench:
    """Caches, a clock, and the jobs."""

    workshop: GitWorkshop
    jobs: ApplicationJobs
    context: Context
    api: Api
    asked: list[tuple[Resource, Any]]
    clock: list[float]
    fence: list[Exception]

    def put(self, resource: Resource, *objects: Json) -> None:
        for obj in objects:
            self.context.caches[resource].put(obj)

    def app(self) -> Application:
        return msgspec.convert(self.context.caches[APPLICATIONS].get(KEY), Application)

    def repo(self) -> GitRepository:
        return msgspec.convert(self.context.caches[GIT_REPOSITORIES].get(("shop", "shop")), GitRepository)

    async def ended(self) -> None:
        async with asyncio.timeout(120):
            while not self.asked:
                await asyncio.sleep(0)
            while self.workshop.background.is_running(f"render {'/'.join(KEY)}"):
                await asyncio.sleep(0)


@asynccontextmanager
async def bench(folder: Path) -> AsyncIterator[Bench]:
    clock, asked, api = [1000.0], [], Api()
    fence: list[Exception] = []

    def check() -> None:
        if fence:
            raise fence[0]

    caches = {resource: Cache() for resource in (APPLICATIONS, GIT_REPOSITORIES, ROLLOUTS, REPLICA_SETS)}
    context = Context(api, caches, lambda: clock[0], None, lambda r, k: asked.append((r, k)))  # type: ignore[arg-type]
    async with GitWorkshop(folder / "git", lambda: clock[0], lambda _: None) as workshop:
        made = Bench(workshop, ApplicationJobs(context, workshop, check), context, api, asked, clock, fence)
        made.put(APPLICATIONS, application())
        made.put(GIT_REPOSITORIES, repository())
        yield made


def play(folder: Path, story: Callable[[Bench], Any]) -> None:
    async def scene() -> None:
        async with bench(folder) as made:
            result = story(made)
            if asyncio.iscoroutine(result):
                await result

    asyncio.run(scene())


def test_a_push_is_wanted_while_nothing_has_changed(tmp_path: Path) -> None:
    def story(made: Bench) -> None:
        assert made.jobs._is_wanted(KEY, made.app(), made.repo(), PLAN)

    play(tmp_path, story)


@pytest.mark.parametrize(
    "changed",
    [
        {"suspend": True},
        {"revert": {"mode": "None"}},
        {"uid": "another"},
        {"metadata": {"deletionTimestamp": "2026-11-26T10:00:00Z"}},
        {"status": {"rollouts": []}},
        {"status": "released"},
        {"status": "settled"},
    ],
)
def test_a_push_is_not_wanted_once_its_application_says_otherwise(tmp_path: Path, changed: Json) -> None:
    def story(made: Bench) -> None:
        before, host = made.app(), made.repo()
        status, metadata = changed.get("status"), changed.get("metadata", {})
        live = application(version=2, **{k: v for k, v in changed.items() if k not in {"status", "metadata"}})
        live["metadata"] |= metadata
        if isinstance(status, dict):
            live["status"] = status
        elif status == "released":
            live["status"]["rollouts"][0]["quarantine"][0]["releasedAt"] = "2026-11-26T10:00:00Z"
        elif status == "settled":
            live["status"]["rollouts"][0]["revert"]["phase"] = "Superseded"
        made.put(APPLICATIONS, live)
        assert not made.jobs._is_wanted(KEY, before, host, PLAN)

    play(tmp_path, story)


@pytest.mark.parametrize(
    "changed",
    [{"write": None}, {"suspend": True}, {"url": "https://other.example.com/x"}, {"ref": {"branch": "next"}}],
)
def test_a_push_is_not_wanted_once_its_repository_says_otherwise(tmp_path: Path, changed: Json) -> None:
    def story(made: Bench) -> None:
        host = made.repo()
        made.put(GIT_REPOSITORIES, repository(version=2, **changed))
        assert not made.jobs._is_wanted(KEY, made.app(), host, PLAN)

    play(tmp_path, story)


def test_a_push_asks_the_fence(tmp_path: Path) -> None:
    def story(made: Bench) -> None:
        made.fence.append(LeadershipLost("somebody else leads"))
        with pytest.raises(LeadershipLost):
            made.jobs._is_wanted(KEY, made.app(), made.repo(), PLAN)

    play(tmp_path, story)


def fetched(commit: str, uid: str = "g1") -> Fetched:
    return Fetched(uid, RepositoryState(commit, f"main@sha1:{commit}"))


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


def test_files_of_others_are_those_of_their_last_render_on_the_same_branch(tmp_path: Path) -> None:
    def story(made: Bench) -> None:
        made.put(GIT_REPOSITORIES, repository("next", uid="g2", ref={"branch": "next"}))
        made.put(GIT_REPOSITORIES, repository("same", uid="g3", url=f"{NORMAL}/"))
        others = {"api": "same", "staging": "next", "lost": "missing"}
        for name, ref in others.items():
            made.put(APPLICATIONS, application(name, uid=name, source={"repositoryRef": {"name": ref}}))
            made.workshop.memory(("shop", name), name).closure = (NORMAL, frozenset({f"read/by/{name}"}))
        assert sharing(made.context, made.workshop, KEY, NORMAL, "main") == Sharing(frozenset({"read/by/api"}))

    play(tmp_path, story)


def test_after_a_restart_nothing_is_concluded_from_renders_that_are_not_there(tmp_path: Path) -> None:
    def story(made: Bench) -> None:
        made.put(APPLICATIONS, application("api", uid="u2"))
        made.put(APPLICATIONS, application("over", uid="u3", source={"kustomize": {}}))
        found = sharing(made.context, made.workshop, KEY, NORMAL, "main")
        assert found == Sharing(folders=("apps/api",), unknown=("shop/over",))

    play(tmp_path, story)


def test_a_revert_waits_until_it_is_known_what_others_read(tmp_path: Path) -> None:
    async def story(made: Bench) -> None:
        made.put(APPLICATIONS, application("over", uid="u3", source={"kustomize": {}}))
        made.jobs.start_revert(KEY, made.app(), made.repo(), PLAN)
        await made.ended()
        outcome = made.workshop.memory(KEY, "u1").outcomes[PLAN.id]
        assert isinstance(outcome, TryAgain)
        assert outcome.reason == "SharedFilesUnknown"
        assert "shop/over" in outcome.message

    play(tmp_path, story)


def test_a_secret_that_is_missing_may_be_created_later(tmp_path: Path) -> None:
    async def story(made: Bench) -> None:
        made.jobs.start_revert(KEY, made.app(), made.repo(), PLAN)
        await made.ended()
        outcome = made.workshop.memory(KEY, "u1").outcomes[PLAN.id]
        assert not isinstance(outcome, Blocked)
        assert isinstance(outcome, TryAgain)
        assert (outcome.reason, "Secret write does not exist" in outcome.message) == ("InvalidSecret", True)

    play(tmp_path, story)


def test_a_job_that_broke_off_rests_and_is_asked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = 0

    async def breaks(*_: Any) -> None:
        nonlocal tries
        tries += 1
        raise RuntimeError("a fault of ours")

    async def story(made: Bench) -> None:
        monkeypatch.setattr(application_jobs, "render_job", breaks)
        assert made.jobs.start_render(KEY, made.app(), made.repo(), A) is None
        await made.ended()
        assert made.asked == [(APPLICATIONS, KEY)]
        assert made.jobs.start_render(KEY, made.app(), made.repo(), A) == made.clock[0] + REST_SECONDS
        made.clock[0] += REST_SECONDS
        made.asked.clear()
        assert made.jobs.start_render(KEY, made.app(), made.repo(), A) is None
        await made.ended()
        assert tries == 2

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
