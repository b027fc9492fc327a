"""A good release, a bad one and one that has failed before, through real controllers, a real gateway and a Git host."""

import time

from rollout.kube.resources import APPLICATIONS
from rollout.sandbox.demo.person import Person
from tests.cluster.box import Cluster
from tests.stories.stage import Stage, health_template, manifests

PATH = "apps/web"
FILE = f"{PATH}/all.yaml"
REQUESTS_MIN = 20_000
RATE = 500
REPLICAS = 4
ANALYSIS = "{templates: [{templateName: health}], comparison: {warmUp: 5s}}"
_WHILE = "{pause: {duration: 20s}}"
STEPS = f"[{{setWeight: 25}}, {_WHILE}, {{setWeight: 50}}, {_WHILE}, {{setWeight: 75}}, {{pause: {{}}}}]"
LAST_PAUSE = 5
REFUSAL = "Not allowed to push to protected branch main"


def declared(stage: Stage, image: str) -> dict[str, str]:
    """What Git says of one version."""
    return {FILE: manifests(stage, image, replicas=REPLICAS, analysis=ANALYSIS, steps=STEPS)}


async def deployed(stage: Stage, name: str) -> Person:
    """A first version that serves clients."""
    person = await stage.repository()
    person.push("Deploy 1", declared(stage, f"{name}:1") | {f"{PATH}/health.yaml": health_template(stage, "100%")})
    await stage.application()
    await stage.until_healthy(f"{name}:1")
    await stage.until_condition(APPLICATIONS, "web", "Synced", "True")
    await stage.clients(RATE)
    await stage.until_answered("1", RATE)
    return person


def test_no_request_fails_while_a_good_release_is_promoted(stage: Stage) -> None:
    async def story() -> None:
        for version in (1, 2):
            stage.image(f"good:{version}")
        person = await deployed(stage, "good")
        began = time.time()
        person.push("Release 2", declared(stage, "good:2"))
        await stage.until_phase("Paused", "CanaryPauseStep")

        async def enough() -> bool:
            return stage.answered_by("1", began) + stage.answered_by("2", began) >= REQUESTS_MIN

        async def at_the_last_pause() -> bool:
            status = await stage.status()
            return status["currentStepIndex"] == LAST_PAUSE and bool(status.get("pauseConditions"))

        await stage.until("it pauses for a person", at_the_last_pause)
        await stage.until(f"{REQUESTS_MIN} requests were answered", enough)
        await stage.steer(pauseConditions=None)
        await stage.until_healthy("good:2")
        await stage.until_answered("2", 3 * RATE)
        assert stage.answered_by("1", began) + stage.answered_by("2", began) >= REQUESTS_MIN
        assert stage.unanswered() == stage.errors_of("1") == stage.errors_of("2") == 0

    stage.play(story())


def test_a_bad_release_loses_its_traffic_and_is_reverted_at_the_host_and_stays_away(stage: Stage, box: Cluster) -> None:
    async def story() -> None:
        stage.image("bad:1")
        stage.image("bad:2", error_rate=0.5)
        person = await deployed(stage, "bad")
        bad = person.push("Release 2", declared(stage, "bad:2"))
        await stage.until_phase("Degraded", "RolloutAborted")
        await stage.until_weight(0)
        # Accepted is Contour's word: Envoy hears of it right after, and what was on its way is counted a second later.
        await stage.until_answered("1", 5 * RATE)
        answered = stage.answered_by("2")
        await stage.until_condition(APPLICATIONS, "web", "Reverted", "True", "Pushed")
        await stage.until_healthy("bad:1")
        await stage.until_answered("1", 5 * RATE)
        assert stage.answered_by("2") == answered > 0, "no request reaches the canary any more"
        assert stage.errors_of("1") == stage.unanswered() == 0

        commits = await box.git.call("GET", f"/repos/person/{stage.namespace}/commits?sha=main&limit=10")
        ours = [one["sha"] for one in commits if one["commit"]["author"]["name"] == "Coalmine"]
        assert [ours, bad] == [[commits[0]["sha"]], commits[0]["parents"][0]["sha"]]
        person.git("fetch", "--quiet", "origin", "main")
        stage.verify_signature(person, ours[0])

        before = {pod["metadata"]["name"] for pod in await stage.pods("bad:2")}
        person.push("Release 2 again", declared(stage, "bad:2") | {"docs.md": "changed\n"})
        await stage.until_condition(APPLICATIONS, "web", "Synced", "False", "RevisionQuarantined")
        assert {pod["metadata"]["name"] for pod in await stage.pods("bad:2")} <= before
        assert ((await stage.status())["phase"], await stage.weight()) == ("Healthy", 0)

    stage.play(story())


def test_a_protected_branch_blocks_the_revert_in_the_words_of_the_host(stage: Stage, box: Cluster) -> None:
    async def story() -> None:
        stage.image("held:1")
        stage.image("held:2", error_rate=0.5)
        person = await deployed(stage, "held")
        await box.git.protect(stage.namespace)
        person.push("Release 2", declared(stage, "held:2"))
        await stage.until_weight(0)
        blocked = await stage.until_condition(APPLICATIONS, "web", "Reverted", "False", "RevertBlocked")
        assert REFUSAL in blocked["message"]
        assert stage.reverts(person) == []
        await stage.until_condition(APPLICATIONS, "web", "Synced", "False", "RevisionQuarantined")
        assert (await stage.status())["abort"] is True

    stage.play(story())
