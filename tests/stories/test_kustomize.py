"""Kustomize as the source of an Application."""

from rollout.kube.resources import APPLICATIONS
from tests.stories.stage import Stage, manifests

OVERLAY = "apps/web/overlays/prod"
BASE = "apps/web/base"
KUSTOMIZATION = f"{OVERLAY}/kustomization.yaml"


def overlay(tag: str, replicas: int = 2) -> str:
    """The overlay names the version; the base does not know it."""
    return f"""\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [../../base]
images: [{{name: layered, newTag: "{tag}"}}]
patches:
- target: {{kind: Rollout, name: web}}
  patch: '[{{"op": "replace", "path": "/spec/replicas", "value": {replicas}}}]'
"""


def test_a_version_set_in_an_overlay_is_reverted_in_the_overlay_alone(stage: Stage) -> None:
    async def story() -> None:
        stage.image("layered:1")
        stage.image("layered:2")
        person = await stage.repository()
        good = person.push(
            "Deploy 1",
            {
                f"{BASE}/all.yaml": manifests(stage, "layered:base"),
                f"{BASE}/kustomization.yaml": "resources: [all.yaml]\n",
                KUSTOMIZATION: overlay("1"),
            },
        )
        revert = {"mode": "Auto", "triggers": ["AbortedByUser"]}
        await stage.application(OVERLAY, source={"kustomize": {}}, revert=revert)
        await stage.until_healthy("layered:1")
        assert len(await stage.pods("layered:1")) == 2
        person.push("Release 2 in production", {KUSTOMIZATION: overlay("2")})
        await stage.until_phase("Paused", "CanaryPauseStep")
        await stage.steer(abort=True)
        await stage.until_condition(APPLICATIONS, "web", "Reverted", "True", "Pushed")
        await stage.until_healthy("layered:1")
        (ours,) = stage.reverts(person)
        assert person.git("diff", "--name-only", f"{ours}^", ours) == KUSTOMIZATION
        assert person.git("rev-parse", f"{ours}^{{tree}}") == person.git("rev-parse", f"{good}^{{tree}}")

        person.push("Release 2 again", {KUSTOMIZATION: overlay("2", replicas=3)})
        await stage.until_condition(APPLICATIONS, "web", "Synced", "False", "RevisionQuarantined")
        assert (await stage.status())["phase"] == "Healthy"
        remote = overlay("1").replace("../../base", "github.com/somebody/base")
        person.push("Use a base of others", {KUSTOMIZATION: remote})
        refused = await stage.until_condition(APPLICATIONS, "web", "Synced", "False", "RenderFailed")
        assert "remote bases are refused" in refused["message"]
        assert KUSTOMIZATION in refused["message"]

    stage.play(story())
