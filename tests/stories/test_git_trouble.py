"""The revert when Git is in trouble: the host, its rules, and people who push at the same time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from rollout.kube.resources import APPLICATIONS, CONFIG_MAPS, GIT_REPOSITORIES, SECRETS
from rollout.sandbox.demo.manifests import secret
from rollout.sandbox.demo.person import Person
from rollout.sandbox.git_cgi import GitBackend
from tests.stories.stage import Stage, health_template, manifests
from tests.support.proxy import Proxy

PATH, OTHER = "apps/web", "apps/other"
FILE = f"{PATH}/all.yaml"
ON_ABORT = {"mode": "Auto", "triggers": ["AbortedByUser"]}
REFUSAL = "main is protected: ask Grace for a review"


@dataclass
class Scene:
    """Version 1 of an application is out, and the operator reaches Git through a proxy."""

    stage: Stage
    host: Proxy
    person: Person
    name: str
    good: str

    def declare(self, version: int) -> dict[str, str]:
        return {FILE: manifests(self.stage, f"{self.name}:{version}", replicas=2)}

    async def release_and_abort(self, more: dict[str, str] | None = None) -> str:
        """Somebody releases version 2, sees that it is bad, and aborts it; returns the commit."""
        bad = self.person.push("Release 2", self.declare(2) | (more or {}))
        await self.stage.until_phase("Paused", "CanaryPauseStep")
        await self.stage.steer(abort=True)
        await self.stage.until_weight(0)
        return bad

    def tree(self, revision: str, path: str = PATH) -> str:
        return self.person.git("rev-parse", f"{revision}:{path}")

    def pushes(self) -> list[str]:
        """Packs that the operator sent to the host."""
        return [request for request in self.host.passed if request.endswith("/git-receive-pack")]


@asynccontextmanager
async def scene(stage: Stage, name: str, more: dict[str, str] | None = None) -> AsyncIterator[Scene]:
    """The scene of a story."""
    for version in (1, 2, 3):
        stage.image(f"{name}:{version}")
    async with Proxy(stage.box.git_url) as host:
        person = await stage.repository(url=stage.repository_url(host.url))
        it = Scene(stage, host, person, name, "")
        it.good = person.push("Deploy 1", it.declare(1) | {"README.md": "shop\n"} | (more or {}))
        await stage.application(revert=ON_ABORT)
        await stage.until_healthy(f"{name}:1")
        yield it


def writes(request: web.Request) -> bool:
    """Whether a request is part of a push."""
    return "git-receive-pack" in request.path_qs


def test_with_the_host_down_traffic_is_safe_at_once_and_the_revert_comes_when_it_is_back(stage: Stage) -> None:
    analysis = "{templates: [{templateName: health}], comparison: {warmUp: 2s}}"

    async def story() -> None:
        stage.image("lost:1")
        stage.image("lost:2", error_rate=1.0)
        async with Proxy(stage.box.git_url) as host:
            person = await stage.repository(url=stage.repository_url(host.url))
            declared = {FILE: manifests(stage, "lost:1", replicas=2, analysis=analysis)}
            good = person.push("Deploy 1", declared | {f"{PATH}/health.yaml": health_template(stage)})
            await stage.application()
            await stage.until_healthy("lost:1")
            await stage.clients()
            # Else the revert is pushed already where this waits too long between the release and the host's end.
            host.answer(503, b"maintenance", only=writes)
            person.push("Release 2", {FILE: manifests(stage, "lost:2", replicas=2, analysis=analysis)})

            async def served() -> bool:
                return stage.answered_by("2") > 0

            await stage.until("release 2 answers clients", served)
            await host.down()
            await stage.until_phase("Degraded", "RolloutAborted")
            waiting = await stage.until_condition(APPLICATIONS, "web", "Reverted", "False", "RemoteUnavailable")
            assert "trying again" in waiting["message"]
            assert await stage.weight() == 0
            await stage.until_answered("1", 200)
            answered = stage.answered_by("2")
            await stage.until_answered("1", 200)
            assert stage.answered_by("2") == answered, "no request reaches the canary any more"

            async def refused() -> bool:
                told = await stage.until_condition(APPLICATIONS, "web", "Reverted", "False", "RemoteUnavailable")
                return "503" not in told["message"]

            await stage.until("nobody listens any more", refused)
            await host.up()
            await stage.until_condition(APPLICATIONS, "web", "Reverted", "True")
            await stage.until_healthy("lost:1")
            (ours,) = stage.reverts(person)
            assert person.git("rev-parse", f"{ours}:{PATH}") == person.git("rev-parse", f"{good}:{PATH}")
            assert (stage.answered_by("2"), stage.unanswered()) == (answered, 0)

    stage.play(story())


def test_a_wrong_password_for_writing_is_told_and_the_revert_comes_when_the_secret_is_mended(stage: Stage) -> None:
    async def story() -> None:
        async with scene(stage, "password") as it:
            await stage.patch(SECRETS, "git-write", {"data": secret("", {"password": "wrong"})["data"]})
            await it.release_and_abort()
            refused = await stage.until_condition(APPLICATIONS, "web", "Reverted", "False", "Unauthorized")
            assert "the host refused our credentials" in refused["message"]
            assert "check the Secret" in refused["message"]
            assert "wrong" not in refused["message"]
            await stage.until_condition(GIT_REPOSITORIES, "config", "Writable", "False", "Unauthorized")
            assert stage.reverts(it.person) == []
            password = stage.box.plan.passwords["writer"]
            await stage.patch(SECRETS, "git-write", {"data": secret("", {"password": password})["data"]})
            await stage.until_condition(APPLICATIONS, "web", "Reverted", "True", "Pushed")
            await stage.until_condition(GIT_REPOSITORIES, "config", "Writable", "True")
            await stage.until_healthy("password:1")
            (ours,) = stage.reverts(it.person)
            assert it.tree(ours) == it.tree(it.good)

    stage.play(story())


def config(name: str, value: str) -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{value: {value}}}\n"


def test_a_revert_keeps_a_sibling_of_the_bad_commit_and_what_was_pushed_under_it(stage: Stage) -> None:
    async def story() -> None:
        sibling = f"{OTHER}/config.yaml"
        async with scene(stage, "race", {sibling: config("other", "one")}) as it:
            await stage.application(OTHER, "other")
            await stage.until_condition(APPLICATIONS, "other", "Synced", "True")
            under: list[str] = []

            async def somebody_else_pushes() -> None:
                under.append(it.person.push("Mend the docs", {"README.md": "a better shop\n"}))

            it.host.before("git-receive-pack", somebody_else_pushes)
            bad = await it.release_and_abort({sibling: config("other", "two"), "docs.md": "more\n"})
            await stage.until_condition(APPLICATIONS, "web", "Reverted", "True", "Pushed")
            await stage.until_healthy("race:1")
            (ours,) = stage.reverts(it.person)
            assert [it.person.git("rev-parse", f"{ours}^")] == under, "it is built on what came in between"
            assert it.person.git("rev-parse", f"{ours}^^") == bad
            assert len(it.pushes()) == 2, "the first one lost the race"
            assert it.tree(ours) == it.tree(it.good)
            assert it.person.git("diff", "--name-only", f"{ours}^", ours) == FILE
            other = await stage.get(CONFIG_MAPS, "other")
            assert other["data"] == {"value": "two"}
            await stage.until_condition(APPLICATIONS, "other", "Synced", "True")

    stage.play(story())


def test_a_rule_of_the_host_blocks_the_revert_in_its_own_words_and_the_version_stays_away(stage: Stage) -> None:
    async def story() -> None:
        async with scene(stage, "rule") as it:
            GitBackend(stage.box.repositories).install_refusing_hook(stage.namespace, REFUSAL, except_for="person")
            await it.release_and_abort()
            blocked = await stage.until_condition(APPLICATIONS, "web", "Reverted", "False", "RevertBlocked")
            assert f"PushRejected: the host refused the push: {REFUSAL}" in blocked["message"]
            assert stage.reverts(it.person) == []
            held = await stage.until_condition(APPLICATIONS, "web", "Synced", "False", "RevisionQuarantined")
            assert "this pod template failed" in held["message"]
            assert (await stage.weight(), len(it.pushes())) == (0, 1)

            it.person.push("Take 2 back by hand", it.declare(1))
            await stage.until_healthy("rule:1")
            assert len(it.pushes()) == 1

    stage.play(story())


def test_where_somebody_has_reverted_first_nothing_is_pushed(stage: Stage) -> None:
    async def story() -> None:
        async with scene(stage, "first") as it:
            it.host.answer(503, b"maintenance", only=writes)
            await it.release_and_abort()
            await stage.until_condition(APPLICATIONS, "web", "Reverted", "False", "RemoteUnavailable")
            it.person.git("revert", "--no-edit", "HEAD")
            it.person.git("push", "--quiet", "origin", "main")
            it.host.forward()
            await stage.until_condition(APPLICATIONS, "web", "Reverted", "True", "AlreadyReverted")
            await stage.until_healthy("first:1")
            assert (stage.reverts(it.person), it.pushes()) == ([], [])

    stage.play(story())


def test_where_somebody_has_fixed_forward_nothing_is_pushed_and_the_fix_is_rolled_out(stage: Stage) -> None:
    async def story() -> None:
        async with scene(stage, "fixed") as it:
            it.host.answer(503, b"maintenance", only=writes)
            await it.release_and_abort()
            await stage.until_condition(APPLICATIONS, "web", "Reverted", "False", "RemoteUnavailable")
            it.person.push("Release 3", it.declare(3))
            it.host.forward()
            superseded = await stage.until_condition(APPLICATIONS, "web", "Reverted", "False", "Superseded")
            assert "fixed forward" in superseded["message"]
            await stage.until_phase("Paused", "CanaryPauseStep")
            await stage.steer(pauseConditions=None)
            await stage.until_healthy("fixed:3")
            assert (stage.reverts(it.person), it.pushes()) == ([], [])

    stage.play(story())
