"""Rollouts without a router: the ratio of pods is the weight."""

from tests.stories.stage import Stage, manifests


async def availability(stage: Stage, least: list[int], most: list[int]) -> None:
    """Remember the fewest available and the most existing pods."""
    pods = await stage.pods()
    ready = [
        p
        for p in pods
        if any(c["type"] == "Ready" and c["status"] == "True" for c in p.get("status", {}).get("conditions", []))
    ]
    least.append(len(ready))
    most.append(len(pods))


def test_the_ratio_of_pods_follows_the_steps(stage: Stage) -> None:
    async def story() -> None:
        stage.image("ratio:1")
        stage.image("ratio:2")
        steps = "[{setWeight: 25}, {pause: {}}, {setWeight: 50}, {pause: {duration: 1}}]"
        await stage.apply(manifests(stage, "ratio:1", routed=False, steps=steps))
        await stage.until_healthy("ratio:1")
        await stage.release("ratio:2")
        await stage.until_phase("Paused", "CanaryPauseStep")
        assert (len(await stage.pods("ratio:1")), len(await stage.pods("ratio:2"))) == (3, 1)
        await stage.steer(pauseConditions=None)
        await stage.until_healthy("ratio:2")
        assert (len(await stage.pods("ratio:1")), len(await stage.pods("ratio:2"))) == (0, 4)

    stage.play(story())


def test_without_surge_and_without_unavailability_one_pod_at_a_time_is_replaced(stage: Stage) -> None:
    async def story() -> None:
        stage.image("tight:1")
        stage.image("tight:2")
        await stage.apply(
            manifests(
                stage, "tight:1", routed=False, replicas=3, steps="[]", canary="maxSurge: 0\n      maxUnavailable: 0"
            )
        )
        await stage.until_healthy("tight:1")
        least: list[int] = []
        most: list[int] = []
        await stage.release("tight:2")

        async def done() -> bool:
            await availability(stage, least, most)
            status = await stage.status()
            return status.get("phase") == "Healthy" and len(await stage.pods("tight:2")) == 3

        await stage.until("all pods are replaced", done)
        assert max(most) <= 3
        assert min(least) >= 1  # One may be missing by rule; one more may be starting in the same look.

    stage.play(story())


def test_an_abort_brings_the_old_pods_back_without_a_gap(stage: Stage) -> None:
    async def story() -> None:
        stage.image("back:1")
        stage.image("back:2")
        await stage.apply(manifests(stage, "back:1", routed=False))
        await stage.until_healthy("back:1")
        await stage.release("back:2")
        await stage.until_phase("Paused", "CanaryPauseStep")
        await stage.steer(abort=True)
        await stage.until_phase("Degraded", "RolloutAborted")

        async def back() -> bool:
            return len(await stage.pods("back:1")) == 4 and not await stage.pods("back:2")

        await stage.until("only old pods are left", back)

    stage.play(story())
