"""Services and routes that are not the Rollout's alone."""

import json
from typing import Any

from rollout.kube.resources import CONFIG_MAPS, HTTP_ROUTES, ROLLOUTS, SERVICES
from tests.stories.stage import Stage, manifests, rollout_manifest, services


async def owner_reference(stage: Stage, **more: Any) -> dict[str, Any]:
    """A reference to somebody else."""
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "gadget"}}
    owner = await stage.create(obj)
    uid = owner["metadata"]["uid"]
    return {"apiVersion": "v1", "kind": CONFIG_MAPS.kind, "name": "gadget", "uid": uid, **more}


def test_what_another_owner_controls_is_refused_and_left_alone_until_it_is_let_go(stage: Stage) -> None:
    async def story() -> None:
        stage.image("owned:1")
        stage.image("owned:2")
        owner = await owner_reference(stage, controller=True)
        parts = manifests(stage, "owned:1", replicas=2).split("---\n")
        await stage.apply("---\n".join(parts[1:]))
        for resource, name in ((SERVICES, "stable"), (HTTP_ROUTES, "web")):
            await stage.patch(resource, name, {"metadata": {"ownerReferences": [owner]}})
        await stage.apply(parts[0])
        status = await stage.until_phase("Degraded", "InvalidSpec")
        assert 'Service "stable" is controlled by ConfigMap "gadget"' in status["message"]
        assert 'HTTPRoute "web" is controlled by ConfigMap "gadget"' in status["message"]
        assert await stage.pods() == []
        assert (await stage.get(SERVICES, "stable"))["spec"]["selector"] == {"app": "web"}

        await stage.patch(SERVICES, "stable", {"metadata": {"ownerReferences": None}})
        await stage.until_phase("Degraded", "InvalidSpec: spec.strategy.canary: HTTPRoute")
        # An owner that does not control an object says only that the object goes with it.
        reference = {**owner, "controller": False}
        await stage.patch(HTTP_ROUTES, "web", {"metadata": {"ownerReferences": [reference]}})
        await stage.until_healthy("owned:1")

        await stage.release("owned:2")
        await stage.until_phase("Paused", "CanaryPauseStep")
        await stage.until_weight(50)
        await stage.patch(HTTP_ROUTES, "web", {"metadata": {"ownerReferences": [owner]}})
        await stage.until_phase("Degraded", "InvalidSpec")
        assert await stage.weight() == 50, "what another controls is not touched"
        await stage.patch(HTTP_ROUTES, "web", {"metadata": {"ownerReferences": [reference]}})
        await stage.until_phase("Paused", "CanaryPauseStep")
        await stage.steer(promoteFull=True)
        await stage.until_healthy("owned:2")

    stage.play(story())


ROUTE = """\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: web}}
spec:
  parentRefs: [{gateway}]
  hostnames: [{host}]
  rules:
  - backendRefs: [{{name: stable, port: 80, weight: 100}}, {{name: canary, port: 80, weight: 0}}]
  - matches: [{{path: {{type: PathPrefix, value: /cart}}}}]
    backendRefs: [{{name: cart-stable, port: 80, weight: 1}}, {{name: cart-canary, port: 80, weight: 0}}]
"""


def cart(text: str) -> str:
    """The manifests of a second Rollout: its own pods and Services, the same route."""
    text = text.replace("app: web", "app: cart").replace("{name: stable}", "{name: cart-stable}")
    text = text.replace("{name: canary}", "{name: cart-canary}").replace(
        "metadata: {name: web}", "metadata: {name: cart}"
    )
    return text.replace("Service: stable", "Service: cart-stable").replace("Service: canary", "Service: cart-canary")


def test_two_rollouts_share_a_route_and_each_gives_its_own_weights_back(stage: Stage) -> None:
    async def weights() -> list[list[int]]:
        rules = (await stage.get(HTTP_ROUTES, "web"))["spec"]["rules"]
        return [[reference["weight"] for reference in rule["backendRefs"]] for rule in rules]

    async def story() -> None:
        stage.image("shared:1")
        stage.image("shared:2")
        rollout = rollout_manifest(stage, "shared:1", replicas=1, steps="[{setWeight: 100}, {pause: {}}]")
        shared = ROUTE.format(host=stage.host, gateway=json.dumps(stage.box.gateway))
        both = [rollout, services(), cart(rollout), cart(services()), shared]
        await stage.apply("---\n".join(both))
        await stage.until_healthy("shared:1")
        await stage.until_healthy("shared:1", "cart")
        for name in ("web", "cart"):
            await stage.release("shared:2", name)
        for name in ("web", "cart"):
            await stage.until_phase("Paused", "CanaryPauseStep", name)
        assert await weights() == [[0, 100], [0, 100]]
        await stage.steer(abort=True)
        await stage.until_phase("Degraded", "RolloutAborted")
        assert await weights() == [[100, 0], [0, 100]]
        await stage.client.delete(ROLLOUTS, stage.namespace, "cart")

        async def given_back() -> bool:
            return await weights() == [[100, 0], [1, 0]]

        await stage.until("the weights of the second are given back", given_back)
        live = await stage.get(HTTP_ROUTES, "web")
        assert not any("coalmine" in key for key in live["metadata"].get("annotations") or {})

    stage.play(story())
