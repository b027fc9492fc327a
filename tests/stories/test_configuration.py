"""A release that changes nothing but configuration."""

from rollout.kube.resources import APPLICATIONS, CONFIG_MAPS
from tests.stories.stage import Stage, health_template, manifests

PATH = "apps/web"
FILE, SETTINGS = f"{PATH}/all.yaml", f"{PATH}/settings.yaml"


def settings(error_rate: str, latency_seconds: str = "0.002") -> str:
    """What the demo service reads from its environment."""
    return f"""\
apiVersion: v1
kind: ConfigMap
metadata: {{name: settings}}
data: {{ERROR_RATE: "{error_rate}", LATENCY_SECONDS: "{latency_seconds}"}}
"""


def test_a_failure_by_configuration_alone_restores_the_configuration_and_bans_no_image(stage: Stage) -> None:
    analysis = "{templates: [{templateName: health}], comparison: {warmUp: 2s}}"

    async def story() -> None:
        stage.image("config:1")
        person = await stage.repository()
        declared = manifests(stage, "config:1", replicas=2, analysis=analysis).replace(
            "image: config:1", "image: config:1\n        envFrom: [{configMapRef: {name: settings}}]"
        )
        good = person.push(
            "Deploy", {FILE: declared, SETTINGS: settings("0"), f"{PATH}/health.yaml": health_template(stage)}
        )
        await stage.application()
        stable = (await stage.until_healthy("config:1"))["stableRS"]
        await stage.clients()
        person.push("Change a setting", {SETTINGS: settings("1")})
        await stage.until_condition(APPLICATIONS, "web", "Reverted", "True", "Pushed")
        assert stage.errors_of("1") > 0, "the setting reached the canary's users"
        status = await stage.until_healthy("config:1")
        assert status["stableRS"] == stable
        (ours,) = stage.reverts(person)
        assert person.git("diff", "--name-only", f"{ours}^", ours) == SETTINGS
        assert person.git("rev-parse", f"{ours}^{{tree}}") == person.git("rev-parse", f"{good}^{{tree}}")
        record = (await stage.get(APPLICATIONS, "web"))["status"]["rollouts"][0]
        assert [entry.get("images", []) for entry in record["quarantine"]] == [[]]
        await stage.until_answered("1", 300)  # What was on its way when the weight fell is counted by now.
        errors = stage.errors_of("1")

        person.push("Change another setting", {SETTINGS: settings("0", "0.004")})
        await stage.until_phase("Paused", "CanaryPauseStep")
        await stage.steer(promoteFull=True)
        status = await stage.until_healthy("config:1")
        assert status["stableRS"] != stable
        assert stage.errors_of("1") == errors
        assert stage.unanswered() == 0
        await stage.until_condition(APPLICATIONS, "web", "Synced", "True")
        live = await stage.client.list(CONFIG_MAPS, stage.namespace)
        rates = {obj["data"]["ERROR_RATE"] for obj in live if "ERROR_RATE" in (obj.get("data") or {})}
        assert "0" in rates

    stage.play(story())
