"""The Git controllers through changes that no new commit announces, and with fewer places than jobs."""

import asyncio
from functools import partial
from pathlib import Path

import pytest

from rollout.controllers import workshop as workshop_module
from rollout.controllers.background import Background
from rollout.kube.resources import APPLICATIONS, CONFIG_MAPS, GIT_REPOSITORIES
from tests.servers.test_git_loop import CONFIG, SERVICE, WEB, Scene, manifest, run


async def applied(scene: Scene, name: str, generation: int = 1) -> None:
    """The Application once its spec of that generation is in sync."""

    def holds(obj: dict[str, object]) -> bool:
        status = obj["status"]
        assert isinstance(status, dict)
        synced = (c["reason"] for c in status.get("conditions") or [] if c["type"] == "Synced")
        return status.get("observedGeneration") == generation and next(synced, "") == "Applied"

    await scene.until(APPLICATIONS, name, holds)


def test_a_path_that_was_wrong_is_rendered_as_soon_as_it_is_corrected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(scene: Scene) -> None:
        await scene.push("one", {WEB: manifest("web:1"), "apps/api/conf.yaml": CONFIG})
        await scene.declare()
        await applied(scene, "web")
        for path in ("apps/wrong", "apps/api"):
            patch = {"spec": {"source": {"path": path}, "sync": {"prune": False}}}
            await scene.client.merge_patch(APPLICATIONS, "shop", "web", patch)
            if path == "apps/wrong":
                broken = await scene.condition("Synced", "RenderFailed")
                message = next(c["message"] for c in broken["status"]["conditions"] if c["type"] == "Synced")
                assert "apps/wrong: is not a folder of this commit" in message
        await applied(scene, "web", 3)
        assert await scene.get(CONFIG_MAPS, "conf") is not None

    run(tmp_path, monkeypatch, story)


def test_an_object_that_came_back_by_a_forced_push_is_pruned_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(scene: Scene) -> None:
        await scene.push("with", {WEB: manifest("web:1"), "apps/web/s.yaml": SERVICE, "apps/web/c.yaml": CONFIG})
        await scene.declare()
        await applied(scene, "web")
        without = await scene.push("without", remove=["apps/web/c.yaml"])
        await scene.until(APPLICATIONS, "web", lambda o: o["status"]["inventory"]["count"] == 2)
        again = await scene.push("with it again", {"apps/web/c.yaml": CONFIG})
        await scene.until(APPLICATIONS, "web", lambda o: o["status"]["appliedRevision"].endswith(again))
        assert await scene.get(CONFIG_MAPS, "conf") is not None
        for words in (("reset", "-q", "--hard", without), ("push", "-q", "-f", "origin", "HEAD:refs/heads/main")):
            await asyncio.to_thread(scene.work.git, *words)
        await scene.client.merge_patch(
            GIT_REPOSITORIES, "shop", "shop", {"metadata": {"annotations": {"coalmine.dev/refresh": "now"}}}
        )
        await scene.until(
            APPLICATIONS,
            "web",
            lambda o: o["status"]["appliedRevision"].endswith(without) and o["status"]["inventory"]["count"] == 2,
        )
        assert await scene.get(CONFIG_MAPS, "conf") is None

    run(tmp_path, monkeypatch, story)


def test_with_one_place_for_all_jobs_every_application_gets_its_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workshop_module, "Background", partial(Background, 1))

    async def story(scene: Scene) -> None:
        names = [f"app{number}" for number in range(4)]
        files = {f"apps/{name}/c.yaml": CONFIG.replace("name: conf", f"name: {name}") for name in names}
        await scene.push("one", {WEB: manifest("web:1"), **files})
        await scene.declare()
        spec = {"url": scene.host.url_of("shop"), "ref": {"branch": "main"}, "secretRef": {"name": "read"}}
        for name in names:
            await scene.create(GIT_REPOSITORIES, name, spec)
            source = {"repositoryRef": {"name": name}, "path": f"apps/{name}"}
            await scene.create(APPLICATIONS, name, {"source": source})
        for name in ("web", *names):
            await applied(scene, name)

    run(tmp_path, monkeypatch, story)
