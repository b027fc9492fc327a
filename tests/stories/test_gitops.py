"""From a push to the cluster, and from a failure back into Git."""

from rollout.kube.resources import APPLICATIONS, CONFIG_MAPS, HTTP_ROUTES
from tests.stories.stage import Stage, manifests

PATH = "apps/web"
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra}\ndata: {a: b}\n"


def test_an_aborted_release_is_reverted_in_git_once_and_stays_away(stage: Stage) -> None:
    async def story() -> None:
        stage.image("git:1")
        stage.image("git:2")
        person = await stage.repository()
        good = person.push("Deploy 1", {f"{PATH}/all.yaml": manifests(stage, "git:1"), "README.md": "shop\n"})
        tree = person.git("rev-parse", f"{good}:{PATH}")
        await stage.application(revert={"mode": "Auto", "triggers": ["AbortedByUser"]})
        await stage.until_healthy("git:1")
        person.push("Release 2", {f"{PATH}/all.yaml": manifests(stage, "git:2")})
        await stage.until_phase("Paused", "CanaryPauseStep")
        await stage.steer(abort=True)
        await stage.until_weight(0)
        await stage.until_condition(APPLICATIONS, "web", "Reverted", "True")
        await stage.until_healthy("git:1")
        person.git("fetch", "--quiet", "origin", "main")
        ours = person.git("log", "--format=%H", "--author=Coalmine", "origin/main").split()
        assert len(ours) == 1
        assert person.git("rev-parse", f"origin/main:{PATH}") == tree
        message = person.git("log", "-1", "--format=%B", ours[0])
        assert "Rollout-Revert-Id:" in message
        assert "Rollout-Failed-Digest:" in message
        assert person.git("cat-file", "commit", ours[0]).count("BEGIN SSH SIGNATURE") == 1

        before = {pod["metadata"]["name"] for pod in await stage.pods("git:2")}
        again = manifests(stage, "git:2", steps="[{setWeight: 25}, {pause: {}}]")
        person.push("Release 2 again", {f"{PATH}/all.yaml": again})
        await stage.until_condition(APPLICATIONS, "web", "Synced", "False", "RevisionQuarantined")
        assert {pod["metadata"]["name"] for pod in await stage.pods("git:2")} <= before
        assert (await stage.status())["phase"] == "Healthy"

    stage.play(story())


def test_drift_of_a_route_in_the_middle_of_a_canary_is_repaired_and_the_weight_is_kept(stage: Stage) -> None:
    async def story() -> None:
        stage.image("drift:1")
        stage.image("drift:2")
        person = await stage.repository(write=False)
        person.push("Deploy 1", {f"{PATH}/all.yaml": manifests(stage, "drift:1")})
        await stage.application()
        await stage.until_healthy("drift:1")
        person.push("Release 2", {f"{PATH}/all.yaml": manifests(stage, "drift:2")})
        await stage.until_phase("Paused", "CanaryPauseStep")
        await stage.until_weight(50)
        await stage.patch(HTTP_ROUTES, "web", {"spec": {"hostnames": ["elsewhere.localhost"]}})

        async def repaired() -> bool:
            live = await stage.get(HTTP_ROUTES, "web")
            return bool(live["spec"]["hostnames"] == [stage.host])

        await stage.until("the hostname is repaired", repaired)
        assert await stage.weight() == 50, "the repair leaves the weight alone"
        status = await stage.status()
        assert (status["phase"], status["currentStepIndex"]) == ("Paused", 1)

    stage.play(story())


def test_a_removed_file_is_pruned_and_a_broken_one_prunes_nothing(stage: Stage) -> None:
    async def story() -> None:
        stage.image("prune:1")
        person = await stage.repository(write=False)
        files = {f"{PATH}/all.yaml": manifests(stage, "prune:1"), f"{PATH}/extra.yaml": CONFIG}
        person.push("Deploy", files)
        await stage.application()
        await stage.until_healthy("prune:1")
        assert await stage.get(CONFIG_MAPS, "extra")
        person.push("Break it", {f"{PATH}/all.yaml": "a: [unclosed\n"})
        broken = await stage.until_condition(APPLICATIONS, "web", "Synced", "False")
        assert "all.yaml" in broken["message"]
        assert await stage.get(CONFIG_MAPS, "extra")
        assert (await stage.status())["phase"] == "Healthy"
        (person.clone / PATH / "extra.yaml").unlink()
        person.git("add", "--all")
        person.push("Mend it, without the extra", {f"{PATH}/all.yaml": manifests(stage, "prune:1")})

        async def pruned() -> bool:
            return not await stage.get(CONFIG_MAPS, "extra")

        await stage.until_condition(APPLICATIONS, "web", "Synced", "True")
        await stage.until("the removed file is pruned", pruned)
        assert (await stage.status())["phase"] == "Healthy"

    stage.play(story())
