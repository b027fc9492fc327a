"""One application that uses what the other stories do not, so that the API server writes down every right."""

import pytest

from rollout.kube.resources import (
    ANALYSIS_RUNS,
    ANALYSIS_TEMPLATES,
    APPLICATIONS,
    CONFIG_MAPS,
    FAILURE_MODELS,
    HTTP_ROUTES,
    REPLICA_SETS,
    ROLLOUTS,
    SERVICES,
)
from tests.cluster.binaries import MINORS
from tests.stories.stage import BACKGROUND, Stage, health_template, manifests, rollout_manifest, route

pytestmark = pytest.mark.parametrize("box", MINORS[:1], indirect=True)

PATH = "apps/web"
CANARY = "canaryMetadata: {labels: {role: canary}}"
LIMITS = "revisionHistoryLimit: 1\n  analysis: {successfulRunHistoryLimit: 0, unsuccessfulRunHistoryLimit: 0}"
EXTRAS = (ROLLOUTS, ANALYSIS_TEMPLATES, CONFIG_MAPS, SERVICES, HTTP_ROUTES)


def declared(stage: Stage, image: str) -> dict[str, str]:
    text = manifests(stage, image, replicas=2, analysis=BACKGROUND, canary=CANARY, more=LIMITS)
    return {f"{PATH}/all.yaml": text, f"{PATH}/health.yaml": health_template(stage)}


def extras(stage: Stage) -> str:
    """An object more of each kind that Applications may apply here."""
    rollout = rollout_manifest(stage, "all:1", replicas=1, routed=False).replace("app: web", "app: extra")
    service = "apiVersion: v1\nkind: Service\nspec: {selector: {app: extra}, ports: [{port: 80, targetPort: 8080}]}\n"
    config = "apiVersion: v1\nkind: ConfigMap\ndata: {a: b}\n"
    named = [rollout, health_template(stage), route(stage).replace(stage.host, f"extra.{stage.host}")]
    renamed = [one.replace("metadata: {name: web}", "metadata: {name: extra}") for one in named]
    renamed[1] = renamed[1].replace("metadata: {name: health}", "metadata: {name: extra}")
    return "---\n".join([*renamed, *(f"metadata: {{name: extra}}\n{one}" for one in (service, config))])


def test_an_application_grows_goes_on_and_shrinks(stage: Stage) -> None:
    async def story() -> None:
        for version in (1, 2, 3, 4):
            stage.image(f"all:{version}")
        person = await stage.repository()
        person.push("Deploy 1", declared(stage, "all:1") | {f"{PATH}/extras.yaml": extras(stage)})
        await stage.application()
        await stage.until_healthy("all:1")
        await stage.until_healthy("all:1", "extra")
        await stage.clients()
        learned = {"rolloutRef": {"name": "web"}, "window": "30s", "metrics": []}
        kind = {"apiVersion": FAILURE_MODELS.api_version, "kind": FAILURE_MODELS.kind}
        await stage.client.create(
            FAILURE_MODELS, {**kind, "metadata": {"name": "web", "namespace": stage.namespace}, "spec": learned}
        )
        for version in (2, 3, 4):
            person.push(f"Release {version}", declared(stage, f"all:{version}"))
            await stage.until_phase("Paused", "CanaryPauseStep")
            (canary,) = await stage.pods(f"all:{version}")
            assert canary["metadata"]["labels"]["role"] == "canary"
            await stage.until_answered(str(version), 300)
            await stage.steer(pauseConditions=None)
            await stage.until_healthy(f"all:{version}")

        async def forgotten() -> bool:
            sets = await stage.client.list(REPLICA_SETS, stage.namespace, labels="app=web")
            runs = await stage.client.list(ANALYSIS_RUNS, stage.namespace)
            return len(sets) == 2 and len(runs) == 1

        await stage.until("all but the last revision and run are deleted", forgotten)
        assert (await stage.get(FAILURE_MODELS, "web"))["status"]["phase"]
        person.git("rm", "--quiet", f"{PATH}/extras.yaml")
        fewer = person.push("Shrink", {"README.md": "less\n"})
        # Half of an application at once is more than a slip may take.
        await stage.until_condition(APPLICATIONS, "web", "Ready", "False", "PruneHeld")
        confirmed = {"coalmine.dev/confirm-prune": fewer[:12]}
        await stage.patch(APPLICATIONS, "web", {"metadata": {"annotations": confirmed}})

        async def pruned() -> bool:
            return not any([await stage.get(kind, "extra") for kind in EXTRAS])

        await stage.until("what Git does not declare any more is gone", pruned)
        await stage.until_condition(APPLICATIONS, "web", "Synced", "True")
        assert stage.unanswered() == 0

    stage.play(story())
