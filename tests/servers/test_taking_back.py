"""A planned revert carried out against a real Git host, with real renders: every way it can end."""

import asyncio
import base64
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from rollout.api.application import ApplicationSource
from rollout.api.gitrepository import GitRepositorySpec
from rollout.controllers.gitjobs import RenderCache, RepositoryState, fetch_job, render_job, renderer, revert_job
from rollout.domain.sync.digest import rollout_template, template_digest
from rollout.domain.sync.message import FAILED_DIGEST, RESTORED_DIGEST, REVERT_ID, REVERT_OF
from rollout.domain.sync.objects import Rendered, RenderFailure
from rollout.domain.sync.plan import (
    AlreadyReverted,
    Blocked,
    Pushed,
    RevertOutcome,
    RevertPlan,
    Superseded,
    TryAgain,
    revert_id,
)
from rollout.git.credentials import Credentials
from rollout.git.mirror import Remote, normalised_url
from rollout.git.pool import GitPool
from rollout.git.signing import SigningKey, is_signed_by, signing_key_from_secret
from rollout.git.taking_back import Surroundings, Writing
from rollout.sandbox.githost import Account, GitHost
from tests.support.git_work import Work, bare_head, bare_log, bare_show
from tests.support.proxy import Proxy

BOT = Account("bot", "secret", write=True)
SOURCE = msgspec.convert({"repositoryRef": {"name": "shop"}, "path": "apps/web"}, ApplicationSource)
WEB, SIBLING = "apps/web/rollout.yaml", "apps/api/rollout.yaml"
AUTHOR = ("Coalmine", "coalmine@acme.example")


def manifest(image: str, *, name: str = "web", replicas: int = 2, extra: str = "") -> str:
    return f"""apiVersion: coalmine.dev/v1alpha1
kind: Rollout
metadata:
  name: {name}
spec:
  replicas: {replicas}
  # These lines keep replicas and the image
  # apart, as in manifests of real size.
  selector:
    matchLabels:
      app: {name}
  template:
    metadata:
      labels:
        app: {name}
    spec:
      containers:
      - name: {name}
        image: {image}
{extra}"""


class Bench:
    """A host, a person's clone, and a leader of ours."""

    def __init__(self, folder: Path, host: GitHost, key: SigningKey | None = None) -> None:
        self.folder, self.host, self.key = folder, host, key
        self.bare = host.create("shop")
        self.work = Work(self.bare, folder / "work")
        self.url = host.url_of("shop")
        self.shared: frozenset[str] = frozenset()
        self.shared_folders: tuple[str, ...] = ()
        self.wanted: Callable[[], bool] = lambda: True
        self.password = BOT.password

    @property
    def spec(self) -> GitRepositorySpec:
        return msgspec.convert({"url": self.url, "ref": {"branch": "main"}, "timeout": "30s"}, GitRepositorySpec)

    def commit(self, message: str, files: dict[str, str], **options: list[str]) -> str:
        return self.work.commit(message, files, **options)

    async def take_back(
        self, good: str, bad: str, leader: str = "leader", source: ApplicationSource = SOURCE
    ) -> RevertOutcome:
        async with GitPool(self.folder / leader) as pool:
            await fetch_job(pool, self.spec, Credentials("bot", "secret"), RepositoryState())
            call = renderer(pool.mirror(self.url), RenderCache(), source, "shop")
            plan = await pool.run(lambda: self.plan(call, good, bad))
            remote = Remote(self.url, Credentials("bot", self.password), 30)
            around = Surroundings(call, self.shared, self.wanted, self.shared_folders)
            return await revert_job(pool, plan, Writing(remote, AUTHOR, self.key), around)

    def plan(self, call: Callable[[str], Rendered], good: str, bad: str) -> RevertPlan:
        healthy, failed = (template_digest(rollout_template(call(c).rollouts[-1].obj)) for c in (good, bad))
        identity = revert_id(normalised_url(self.url), "main", "apps/web", "shop/web", failed, bad)
        return RevertPlan(
            identity, "main", "shop", "web", "uid-1", good, bad, failed, healthy, "web:2", "errors doubled",
            "web-7", 25, "2026-11-22T10:21:30Z",
        )  # fmt: skip


def run(tmp_path: Path, story: Callable[[Bench], object], key: SigningKey | None = None) -> None:
    async def scene() -> None:
        async with GitHost(tmp_path / "srv", [BOT]) as host:
            result = story(Bench(tmp_path, host, key))
            assert asyncio.iscoroutine(result)
            await result

    asyncio.run(scene())


def test_the_bad_change_is_taken_back_once_signed_and_with_trailers(tmp_path: Path) -> None:
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    key = signing_key_from_secret({"identity": base64.b64encode(pem).decode()}, "x")

    async def story(bench: Bench) -> None:
        good = bench.commit("good", {WEB: manifest("web:1"), SIBLING: manifest("api:1", name="api")})
        bad = bench.commit("bad", {WEB: manifest("web:2"), SIBLING: manifest("api:2", name="api")})
        bench.commit("unrelated", {"docs/x": "1"})
        outcome = await bench.take_back(good, bad)
        assert outcome == Pushed(bare_head(bench.bare))
        assert bare_show(bench.bare, WEB) == manifest("web:1").strip()
        assert bare_show(bench.bare, SIBLING) == manifest("api:2", name="api").strip()
        assert bare_show(bench.bare, "docs/x") == "1"
        async with GitPool(bench.folder / "reader") as pool:
            state = await fetch_job(pool, bench.spec, Credentials("bot", "secret"), RepositoryState())
            mirror = pool.mirror(bench.url)
            entry = mirror.log(state.commit)[0]
            assert entry.subject == "revert(shop/web): web:2 failed at 25%"
            assert entry.values(REVERT_OF) == (f"{good}..{bad}", bad)
            assert len(entry.values(REVERT_ID)[0]) == 16
            assert entry.values("Rollout") == ("shop/web@uid-1",)
            assert entry.values("Rollout-Analysis") == ("web-7",)
            assert state.trailers[0].failed == entry.values(FAILED_DIGEST)
            assert entry.values(RESTORED_DIGEST) != entry.values(FAILED_DIGEST)
            assert is_signed_by(mirror, state.commit, key.allowed_signers(AUTHOR[1]))
        # Another leader, a later head, the same plan: nothing is written twice.
        bench.work.pull()
        bench.commit("later", {"docs/y": "1"})
        assert await bench.take_back(good, bad, "second leader") == outcome
        assert sum(subject.startswith("revert(") for subject in bare_log(bench.bare)) == 1

    run(tmp_path, story, key)


def test_two_leaders_write_the_same_commit(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        good = bench.commit("good", {WEB: manifest("web:1")})
        bad = bench.commit("bad", {WEB: manifest("web:2")})
        first, second = await asyncio.gather(bench.take_back(good, bad, "one"), bench.take_back(good, bad, "two"))
        assert first == second == Pushed(bare_head(bench.bare))
        assert len(bare_log(bench.bare)) == 3

    run(tmp_path, story)


def test_a_branch_that_moves_under_the_push_is_built_upon_again(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        good = bench.commit("good", {WEB: manifest("web:1")})
        bad = bench.commit("bad", {WEB: manifest("web:2")})
        pushes = iter(["first", "second"])

        def race() -> bool:
            name = next(pushes, None)
            if name is not None:
                bench.work.pull()
                bench.commit(f"{name} human", {f"docs/{name}": "1"})
            return True

        bench.wanted = race
        assert await bench.take_back(good, bad) == Pushed(bare_head(bench.bare))
        assert bare_log(bench.bare)[1:] == ["second human", "first human", "bad", "good"]
        assert bare_show(bench.bare, "docs/second") == "1"

    run(tmp_path, story)


def test_a_person_who_reverted_first_is_recognised(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        good = bench.commit("good", {WEB: manifest("web:1")})
        bad = bench.commit("bad", {WEB: manifest("web:2")})
        bench.work.git("revert", "--no-edit", "HEAD")
        bench.work.push()
        head = bare_head(bench.bare)
        assert await bench.take_back(good, bad) == AlreadyReverted(head)
        assert bare_head(bench.bare) == head

    run(tmp_path, story)


def test_a_fix_forward_supersedes_the_revert(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        good = bench.commit("good", {WEB: manifest("web:1")})
        bad = bench.commit("bad", {WEB: manifest("web:2")})
        head = bench.commit("fix", {WEB: manifest("web:3")})
        assert isinstance(await bench.take_back(good, bad), Superseded)
        assert bare_head(bench.bare) == head

    run(tmp_path, story)


def test_a_rollout_that_was_deleted_or_moved_supersedes_the_revert(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        keep = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: keep}\n"
        good = bench.commit("good", {WEB: manifest("web:1"), "apps/web/keep.yaml": keep})
        bad = bench.commit("bad", {WEB: manifest("web:2")})
        (bench.work.folder / "apps/web2").mkdir()
        bench.work.git("mv", WEB, "apps/web2/rollout.yaml")
        head = bench.commit("move", {})
        assert isinstance(await bench.take_back(good, bad), Superseded)
        assert bare_head(bench.bare) == head

    run(tmp_path, story)


def test_an_edit_of_a_person_elsewhere_in_the_file_is_kept(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        good = bench.commit("good", {WEB: manifest("web:1")})
        bad = bench.commit("bad", {WEB: manifest("web:2")})
        bench.commit("scale", {WEB: manifest("web:2", replicas=9)})
        assert isinstance(await bench.take_back(good, bad), Pushed)
        assert bare_show(bench.bare, WEB) == manifest("web:1", replicas=9).strip()

    run(tmp_path, story)


def test_commits_between_good_and_bad_that_did_not_fail_are_kept(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        good = bench.commit("good", {WEB: manifest("web:1")})
        bench.commit("scale", {WEB: manifest("web:1", replicas=7)})
        first = bench.commit("bad", {WEB: manifest("web:2", replicas=7)})
        seen = bench.commit("more", {"apps/web/more.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: more}\n"})
        assert isinstance(await bench.take_back(good, seen), Pushed)
        assert bare_show(bench.bare, WEB) == manifest("web:1", replicas=7).strip()
        assert "name: more" in bare_show(bench.bare, "apps/web/more.yaml")
        assert first in bare_log(bench.bare, "%b")[0] or any(first in line for line in bare_log(bench.bare, "%b"))

    run(tmp_path, story)


def test_a_sibling_rollout_of_the_same_application_blocks_the_direct_push(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        both = {WEB: manifest("web:1"), "apps/web/api.yaml": manifest("api:1", name="api")}
        good = bench.commit("good", both)
        both = {WEB: manifest("web:2"), "apps/web/api.yaml": manifest("api:2", name="api")}
        bad = bench.commit("both", both)
        outcome = await bench.take_back(good, bad)
        assert isinstance(outcome, Blocked)
        assert outcome.reason == "OtherObjectsWouldChange"
        assert "Rollout shop/api" in outcome.message
        assert bare_head(bench.bare) == bad

    run(tmp_path, story)


def test_a_configuration_that_failed_is_taken_back_with_its_rollout(tmp_path: Path) -> None:
    config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: conf}\ndata: {mode: %s}\n"
    extra = "        envFrom: [{configMapRef: {name: conf}}]\n"

    async def story(bench: Bench) -> None:
        text = manifest("web:1", extra=extra)
        good = bench.commit("good", {WEB: text, "apps/web/conf.yaml": config % "fast"})
        bad = bench.commit("bad", {"apps/web/conf.yaml": config % "broken"})
        assert isinstance(await bench.take_back(good, bad), Pushed)
        assert bare_show(bench.bare, "apps/web/conf.yaml") == (config % "fast").strip()

    run(tmp_path, story)


def test_files_that_other_applications_read_are_not_touched(tmp_path: Path) -> None:
    source = msgspec.structs.replace(
        SOURCE, path="over/prod", kustomize=msgspec.convert({}, type(SOURCE).__annotations__["kustomize"])
    )
    base = {
        "base/kustomization.yaml": "resources: [rollout.yaml]\n",
        "over/prod/kustomization.yaml": "resources: [../../base]\n",
    }

    async def story(bench: Bench) -> None:
        good = bench.commit("good", {**base, "base/rollout.yaml": manifest("web:1")})
        bad = bench.commit("bad", {"base/rollout.yaml": manifest("web:2")})
        bench.shared = frozenset({"base/rollout.yaml"})
        outcome = await bench.take_back(good, bad, source=source)
        assert isinstance(outcome, Blocked)
        assert outcome.reason == "SharedFiles"
        bench.shared, bench.shared_folders = frozenset(), ("bas", "base")
        outcome = await bench.take_back(good, bad, source=source)
        assert isinstance(outcome, Blocked)
        assert outcome.reason == "SharedFiles"
        bench.shared_folders = ("bas", "other")
        assert isinstance(await bench.take_back(good, bad, source=source), Pushed)
        assert bare_show(bench.bare, "base/rollout.yaml") == manifest("web:1").strip()

    run(tmp_path, story)


def test_a_kustomize_overlay_is_taken_back(tmp_path: Path) -> None:
    source = msgspec.convert(
        {"repositoryRef": {"name": "shop"}, "path": "over/prod", "kustomize": {}}, ApplicationSource
    )
    overlay = "resources: [../../base]\nimages: [{name: web, newTag: '%s'}]\n"

    async def story(bench: Bench) -> None:
        base = {"base/kustomization.yaml": "resources: [rollout.yaml]\n", "base/rollout.yaml": manifest("web:0")}
        good = bench.commit("good", {**base, "over/prod/kustomization.yaml": overlay % "1"})
        bad = bench.commit("bad", {"over/prod/kustomization.yaml": overlay % "2"})
        assert isinstance(await bench.take_back(good, bad, source=source), Pushed)
        assert bare_show(bench.bare, "over/prod/kustomization.yaml") == (overlay % "1").strip()

    run(tmp_path, story)


def test_a_refusal_of_the_host_is_reported_in_its_words(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        good = bench.commit("good", {WEB: manifest("web:1")})
        bad = bench.commit("bad", {WEB: manifest("web:2")})
        bench.host.protect("shop", "main is protected: open a pull request")
        outcome = await bench.take_back(good, bad)
        assert isinstance(outcome, Blocked)
        assert (outcome.reason, "open a pull request" in outcome.message) == ("PushRejected", True)

    run(tmp_path, story)


def test_wrong_credentials_are_tried_again_and_stay_secret(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        good = bench.commit("good", {WEB: manifest("web:1")})
        bad = bench.commit("bad", {WEB: manifest("web:2")})
        bench.password = "hunter2"
        outcome = await bench.take_back(good, bad)
        assert isinstance(outcome, TryAgain)
        assert outcome.reason == "Unauthorized"
        assert "hunter2" not in outcome.message

    run(tmp_path, story)


@pytest.mark.parametrize("service", ["git-upload-pack", "git-receive-pack"])
@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b"<html>back soon</html>"), (200, b"\x00\xff" * 100), (404, b"no"), (500, b"oops"), (429, b"later")],
)
def test_a_host_that_answers_with_garbage_for_a_while_blocks_nothing(
    tmp_path: Path, service: str, status: int, body: bytes
) -> None:
    async def story(bench: Bench) -> None:
        good = await asyncio.to_thread(bench.commit, "good", {WEB: manifest("web:1")})
        bad = await asyncio.to_thread(bench.commit, "bad", {WEB: manifest("web:2")})
        async with Proxy(bench.host.url) as proxy:
            bench.url = f"{proxy.url}/shop.git"
            async with GitPool(bench.folder / "leader") as pool:
                state = await fetch_job(pool, bench.spec, Credentials("bot", "secret"), RepositoryState())
            assert state.commit == bad, "it is the revert that meets the garbage"
            proxy.answer(status, body, only=lambda request: request.query.get("service") == service)
            outcome = await bench.take_back(good, bad)
            assert isinstance(outcome, TryAgain)
            assert outcome.message
            assert bare_head(bench.bare) == bad
            proxy.forward()
            assert isinstance(await bench.take_back(good, bad), Pushed)

    run(tmp_path, story)


def test_a_release_right_before_the_push_stops_it(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        good = bench.commit("good", {WEB: manifest("web:1")})
        bad = bench.commit("bad", {WEB: manifest("web:2")})
        bench.wanted = lambda: False
        assert isinstance(await bench.take_back(good, bad), Superseded)
        assert bare_head(bench.bare) == bad

    run(tmp_path, story)


def test_a_broken_head_waits_to_be_mended_and_a_rewritten_branch_blocks(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        good = bench.commit("good", {WEB: manifest("web:1")})
        bad = bench.commit("bad", {WEB: manifest("web:2")})
        bench.commit("broken", {"apps/web/broken.yaml": "{{"})
        outcome = await bench.take_back(good, bad)
        assert isinstance(outcome, TryAgain)
        assert (outcome.reason, "apps/web/broken.yaml" in outcome.message) == ("HeadNotRenderable", True)
        await bench.take_back(good, bad, "knows both")
        bench.work.git("reset", "-q", "--hard", good)
        bench.work.git("commit", "-q", "--allow-empty", "-m", "other")
        bench.work.write(WEB, manifest("web:2"))
        bench.work.git("commit", "-q", "-am", "bad again")
        bench.work.git("push", "-q", "-f", "origin", "HEAD:refs/heads/main")
        outcome = await bench.take_back(good, bad, "knows both")
        assert isinstance(outcome, Blocked)
        assert outcome.reason == "HistoryRewritten"

    run(tmp_path, story)


def test_a_host_that_is_down_leaves_the_plan_to_be_tried_again(tmp_path: Path) -> None:
    async def scene() -> None:
        async with GitHost(tmp_path / "srv", [BOT]) as host:
            bench = Bench(tmp_path, host)
            good = await asyncio.to_thread(bench.commit, "good", {WEB: manifest("web:1")})
            bad = await asyncio.to_thread(bench.commit, "bad", {WEB: manifest("web:2")})
            async with GitPool(tmp_path / "leader") as pool:
                known = await fetch_job(pool, bench.spec, Credentials("bot", "secret"), RepositoryState())
        outcome = await bench.take_back(good, bad)
        assert isinstance(outcome, TryAgain)
        async with GitPool(tmp_path / "leader") as pool:
            state = await fetch_job(pool, bench.spec, Credentials("bot", "secret"), known)
            assert state == replace(known, error=state.error, reason="RemoteUnavailable", transient=True)
            assert isinstance(await render_job(pool, RenderCache(), bench.url, bad, SOURCE, "shop"), Rendered)
            gone = await render_job(pool, RenderCache(), bench.url, "f" * 40, SOURCE, "shop")
            assert isinstance(gone, RenderFailure)

    asyncio.run(scene())
