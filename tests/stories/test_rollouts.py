"""Rollouts on real pods, a real gateway and real clients."""

import asyncio

from rollout.kube.resources import HTTP_ROUTES, ROLLOUTS, SERVICES
from tests.stories.stage import Stage, manifests


def test_a_good_release_goes_through_its_steps_without_a_failed_request(stage: Stage) -> None:
    async def story() -> None:
        stage.image("good:1")
        stage.image("good:2")
        await stage.apply(
            manifests(stage, "good:1", steps="[{setWeight: 25}, {pause: {duration: 3}}, {setWeight: 50}]")
        )
        await stage.until_healthy("good:1")
        await stage.clients()
        await stage.release("good:2")
        await stage.until_weight(25)
        await stage.until_healthy("good:2")
        await stage.until_weight(0)

        async def answered() -> bool:
            return stage.answered_by("2") > 300

        await stage.until("clients see version 2", answered)
        assert stage.unanswered() == 0
        assert all(arm.get("errors", 0) == 0 for line in stage.counts() for arm in line["arms"].values())

    stage.play(story())


def test_an_abort_by_a_user_takes_the_traffic_back_and_a_retry_begins_again(stage: Stage) -> None:
    async def story() -> None:
        stage.image("abort:1")
        stage.image("abort:2")
        await stage.apply(manifests(stage, "abort:1"))
        await stage.until_healthy("abort:1")
        await stage.clients()
        await stage.release("abort:2")
        await stage.until_phase("Paused", "CanaryPauseStep")
        await stage.steer(abort=True)
        await stage.until_phase("Degraded", "RolloutAborted")
        await stage.until_weight(0)
        await stage.until_answered("1", 300)  # What was on its way when the weight fell is counted by now.
        answered = stage.answered_by("2")
        await stage.until_answered("1", 200)
        assert stage.answered_by("2") == answered, "no request reaches the canary any more"
        assert stage.unanswered() == 0
        await stage.steer(abort=False)
        await stage.until_phase("Paused", "CanaryPauseStep")
        assert await stage.weight() == 50

    stage.play(story())


def test_deleting_a_rollout_gives_the_route_and_the_services_back(stage: Stage) -> None:
    async def story() -> None:
        stage.image("leave:1")
        stage.image("leave:2")
        await stage.apply(manifests(stage, "leave:1"))
        await stage.until_healthy("leave:1")
        await stage.release("leave:2")
        await stage.until_phase("Paused", "CanaryPauseStep")
        await stage.client.delete(ROLLOUTS, stage.namespace, "web")

        async def gone() -> bool:
            return not await stage.rollout()

        await stage.until("the Rollout is gone", gone)
        live = await stage.get(HTTP_ROUTES, "web")
        assert [r["weight"] for r in live["spec"]["rules"][0]["backendRefs"]] == [100, 0]
        assert not any("coalmine" in key for key in live["metadata"].get("annotations") or {})

        async def released() -> bool:
            found = [await stage.get(SERVICES, name) for name in ("stable", "canary")]
            return all(service["spec"]["selector"] == {"app": "web"} for service in found)

        await stage.until("the Services have their own selectors", released)

    stage.play(story())


def test_a_changed_spec_in_the_middle_begins_again_against_the_same_stable_version(stage: Stage) -> None:
    async def story() -> None:
        for version in (1, 2, 3):
            stage.image(f"change:{version}")
        await stage.apply(manifests(stage, "change:1"))
        stable = (await stage.until_healthy("change:1"))["stableRS"]
        await stage.clients()
        await stage.release("change:2")
        await stage.until_phase("Paused", "CanaryPauseStep")
        await stage.release("change:3")

        async def third() -> bool:
            status = await stage.status()
            return status.get("phase") == "Paused" and stage.answered_by("3") > 50

        await stage.until("version 3 is the canary", third)
        assert (await stage.status())["stableRS"] == stable
        assert stage.unanswered() == 0

    stage.play(story())


def test_scaling_in_the_middle_keeps_the_step_and_the_weight_that_pods_carry(stage: Stage) -> None:
    async def story() -> None:
        stage.image("scale:1")
        stage.image("scale:2")
        await stage.apply(manifests(stage, "scale:1", replicas=2))
        await stage.until_healthy("scale:1")
        await stage.clients()
        await stage.release("scale:2")
        await stage.until_phase("Paused", "CanaryPauseStep")
        # As an HPA does: through the scale subresource.
        await stage.patch(ROLLOUTS, "web", {"spec": {"replicas": 6}}, "scale")

        async def grown() -> bool:
            return len(await stage.pods("scale:1")) == 6 and len(await stage.pods("scale:2")) == 3

        await stage.until("both arms have grown", grown)
        await stage.until_weight(50)
        status = await stage.until_phase("Paused", "CanaryPauseStep")
        assert status["HPAReplicas"] == 9
        assert status["selector"] == "app=web"
        assert stage.unanswered() == 0

    stage.play(story())


def test_promotion_skips_what_is_left_when_asked_for_all_of_it(stage: Stage) -> None:
    async def story() -> None:
        stage.image("full:1")
        stage.image("full:2")
        await stage.apply(
            manifests(stage, "full:1", steps="[{setWeight: 10}, {pause: {}}, {setWeight: 20}, {pause: {}}]")
        )
        await stage.until_healthy("full:1")
        await stage.release("full:2")
        await stage.until_phase("Paused", "CanaryPauseStep")
        await stage.steer(promoteFull=True)
        status = await stage.until_healthy("full:2")
        assert status.get("promoteFull") is None
        assert status["duration"]["completionStatus"] == "FastPromoted"

    stage.play(story())


def test_an_indefinite_pause_survives_a_restart_of_the_operator(stage: Stage) -> None:
    async def story() -> None:
        stage.image("restart:1")
        stage.image("restart:2")
        await stage.apply(manifests(stage, "restart:1"))
        await stage.until_healthy("restart:1")
        await stage.release("restart:2")
        before = await stage.until_phase("Paused", "CanaryPauseStep")
        operator = stage.box.parts["operator"]
        await operator.kill()
        await operator.start()
        generation = (await stage.rollout())["metadata"]["generation"]
        assert await stage.weight() == 50
        status = await stage.until_phase("Paused", "CanaryPauseStep")
        assert status["pauseConditions"] == before["pauseConditions"]
        assert (await stage.rollout())["metadata"]["generation"] == generation
        await stage.steer(pauseConditions=None)
        await stage.until_healthy("restart:2")

    stage.play(story())


def test_a_rollout_without_its_services_or_route_says_so_and_goes_on_when_they_come(stage: Stage) -> None:
    async def story() -> None:
        stage.image("late:1")
        parts = manifests(stage, "late:1").split("---\n")
        await stage.apply(parts[0])
        status = await stage.until_phase("Degraded", "InvalidSpec")
        assert 'Service "stable" not found' in status["message"]
        assert 'HTTPRoute "web" not found' in status["message"]
        await stage.apply("---\n".join(parts[1:]))
        await stage.until_healthy("late:1")

    stage.play(story())


def test_the_later_of_two_rollouts_on_one_service_is_refused_and_the_earlier_goes_on(stage: Stage) -> None:
    async def story() -> None:
        stage.image("rival:1")
        stage.image("rival:2")
        await stage.apply(manifests(stage, "rival:1"))
        await stage.until_healthy("rival:1")
        rival = manifests(stage, "rival:2").split("---\n")[0].replace("name: web}", "name: zweb}", 1)
        await stage.apply(rival)
        status = await stage.until_phase("Degraded", "InvalidSpec", name="zweb")
        assert 'Service "stable"' in status["message"]
        assert (await stage.status())["phase"] == "Healthy"
        assert await stage.pods("rival:2") == []

    stage.play(story())


def test_a_version_that_never_becomes_ready_passes_the_deadline_and_stable_keeps_serving(stage: Stage) -> None:
    async def story() -> None:
        stage.image("stuck:1")
        stage.image("stuck:2", ready_after_seconds=-1)
        deadline = "progressDeadlineSeconds: 5\n  progressDeadlineAbort: true"
        await stage.apply(manifests(stage, "stuck:1", more=deadline))
        await stage.until_healthy("stuck:1")
        await stage.clients()
        await stage.release("stuck:2")
        await stage.until_phase("Degraded", "RolloutAborted")
        assert stage.answered_by("2") == 0
        assert stage.unanswered() == 0
        assert await stage.weight() == 0

    stage.play(story())


def test_an_image_that_cannot_be_pulled_is_told_and_takes_no_traffic(stage: Stage) -> None:
    async def story() -> None:
        stage.image("pull:1")
        await stage.apply(manifests(stage, "pull:1"))
        await stage.until_healthy("pull:1")
        await stage.release("pull:never-made")

        async def told() -> bool:
            pods = await stage.pods("pull:never-made")
            states = [s["state"] for p in pods for s in (p.get("status") or {}).get("containerStatuses") or []]
            return any((s.get("waiting") or {}).get("reason") == "ErrImagePull" for s in states)

        await stage.until("a pod says ErrImagePull", told)
        assert await stage.weight() == 0

    stage.play(story())


def test_going_back_within_the_window_skips_steps(stage: Stage) -> None:
    async def story() -> None:
        stage.image("window:1")
        stage.image("window:2")
        await stage.apply(manifests(stage, "window:1", more="rollbackWindow: {revisions: 3}"))
        await stage.until_healthy("window:1")
        await asyncio.sleep(1.1)  # The API's creation times are whole seconds; the window goes by them.
        await stage.release("window:2")
        await stage.until_phase("Paused", "CanaryPauseStep")
        await stage.steer(pauseConditions=None)
        await stage.until_healthy("window:2")
        await stage.release("window:1")
        await stage.until_healthy("window:1")
        assert any("Rollback within window" in event for event in await stage.events())

    stage.play(story())


def test_an_edit_of_the_route_by_others_is_repaired_to_the_weight_of_the_step(stage: Stage) -> None:
    async def story() -> None:
        stage.image("edit:1")
        stage.image("edit:2")
        await stage.apply(manifests(stage, "edit:1"))
        await stage.until_healthy("edit:1")
        await stage.release("edit:2")
        await stage.until_phase("Paused", "CanaryPauseStep")
        live = await stage.get(HTTP_ROUTES, "web")
        rules = live["spec"]["rules"]
        for reference in rules[0]["backendRefs"]:
            reference["weight"] = 90 if reference["name"] == "canary" else 10
        await stage.patch(HTTP_ROUTES, "web", {"spec": {"rules": rules}})
        await stage.until_weight(50)
        references = (await stage.get(HTTP_ROUTES, "web"))["spec"]["rules"][0]["backendRefs"]
        assert {one["name"]: one["weight"] for one in references} == {"stable": 50, "canary": 50}
        status = await stage.status()
        assert (status["phase"], status["currentStepIndex"]) == ("Paused", 1)

    stage.play(story())
