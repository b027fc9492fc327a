"""Life by the command line: everything that a person types here is a process of its own."""

import asyncio
import os
import sys
import time
from pathlib import Path

from rollout.kube.resources import APPLICATIONS, REPLICA_SETS
from rollout.sandbox.demo.person import Person
from tests.stories.stage import BOUND_SECONDS, Stage, health_template, manifests

COMMAND = Path(sys.executable).parent / "coalmine"
PATH = "apps/web"
FILE = f"{PATH}/all.yaml"
STEPS = "[{setWeight: 25}, {pause: {}}, {setWeight: 50}, {pause: {}}]"


async def coalmine(stage: Stage, *words: str, code: int = 0) -> str:
    """Type a command; what it printed on both streams."""
    process = await asyncio.create_subprocess_exec(
        str(COMMAND), *words, "-n", stage.namespace,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "KUBECONFIG": str(stage.box.kubeconfig)},
    )  # fmt: skip
    try:
        async with asyncio.timeout(2 * BOUND_SECONDS):
            out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == code, f"{' '.join(words)} ended with {process.returncode}: {out.decode()}"
    return out.decode()


async def first_version(stage: Stage, name: str, steps: str = STEPS, versions: int = 2) -> None:
    """Version 1 is out and healthy."""
    for version in range(1, versions + 1):
        stage.image(f"{name}:{version}")
    await stage.apply(manifests(stage, f"{name}:1", steps=steps))
    await coalmine(stage, "status", "web")
    assert (await stage.status())["phase"] == "Healthy"


async def at_step(stage: Stage, index: int) -> None:
    """Wait until it pauses at a step."""

    async def holds() -> bool:
        status = await stage.status()
        return status.get("phase") == "Paused" and status.get("currentStepIndex") == index

    await stage.until(f"it pauses at step {index}", holds)


def test_promote_goes_on_from_a_pause_to_the_next_and_full_to_the_end(stage: Stage) -> None:
    async def story() -> None:
        await first_version(stage, "promote")
        await stage.release("promote:2")
        await at_step(stage, 1)
        tree = await coalmine(stage, "get", "rollout", "web")
        assert "promote:1 (stable)" in tree
        assert "promote:2 (canary)" in tree
        assert "CanaryPauseStep" in tree
        await coalmine(stage, "promote", "web")
        await at_step(stage, 3)
        await stage.until_weight(50)
        await coalmine(stage, "promote", "web", "--full")
        assert "Healthy" in await coalmine(stage, "status", "web")
        status = await stage.until_healthy("promote:2")
        assert status["duration"]["completionStatus"] == "FastPromoted"
        assert "nothing to promote" in await coalmine(stage, "promote", "web")

    stage.play(story())


def test_abort_is_a_failure_for_who_waits_and_retry_begins_again(stage: Stage) -> None:
    async def story() -> None:
        await first_version(stage, "back")
        await stage.clients()
        await stage.release("back:2")
        await at_step(stage, 1)
        await coalmine(stage, "abort", "web")
        told = await coalmine(stage, "status", "web", code=1)
        assert "RolloutAborted" in told
        await stage.until_weight(0)
        await coalmine(stage, "retry", "web")
        told = await coalmine(stage, "status", "web", "--timeout", "3s", code=2)
        assert "RolloutAborted" not in told, "what was before the retry is no answer"
        await at_step(stage, 1)
        await stage.until_weight(25)
        assert stage.unanswered() == 0

    stage.play(story())


def test_a_paused_rollout_takes_no_new_version_until_it_is_promoted(stage: Stage) -> None:
    async def story() -> None:
        await first_version(stage, "hold")
        await coalmine(stage, "pause", "web")
        await stage.release("hold:2")
        await stage.until_phase("Paused", "manually paused")
        assert not await stage.pods("hold:2")
        assert "paused already" in await coalmine(stage, "pause", "web")
        await coalmine(stage, "promote", "web")
        await at_step(stage, 1)
        assert await stage.pods("hold:2")

    stage.play(story())


def test_undo_starts_a_canary_of_the_version_before_with_its_old_pods_template(stage: Stage) -> None:
    async def story() -> None:
        await first_version(stage, "undo")
        await stage.clients()
        await stage.release("undo:2")
        await at_step(stage, 1)
        await coalmine(stage, "promote", "web", "--full")
        await stage.until_healthy("undo:2")
        assert "undo:1" in await coalmine(stage, "undo", "web")
        since = time.time()
        await at_step(stage, 1)
        await stage.until_weight(25)

        async def answered() -> bool:
            return stage.answered_by("1", since) > 50

        await stage.until("version 1 is the canary", answered)
        sets = await stage.client.list(REPLICA_SETS, stage.namespace)
        assert len(sets) == 2, "the old ReplicaSet was found again"
        await coalmine(stage, "promote", "web", "--full")
        await stage.until_healthy("undo:1")
        assert stage.unanswered() == 0

    stage.play(story())


def test_restart_replaces_every_pod_and_clients_notice_nothing(stage: Stage) -> None:
    async def story() -> None:
        await first_version(stage, "renew", versions=1)
        await stage.clients()
        before = {pod["metadata"]["name"] for pod in await stage.pods()}
        seen = stage.answered_by("1")
        # A moment that no pod was born in: creation times are whole seconds.
        await coalmine(stage, "restart", "web", "--in", "2s")
        await coalmine(stage, "status", "web")

        async def replaced() -> bool:
            live = await stage.rollout()
            done = live["status"].get("restartedAt") == live["spec"]["restartAt"]
            return done and live["status"]["phase"] == "Healthy"

        await stage.until("the restart is done", replaced)
        after = {pod["metadata"]["name"] for pod in await stage.pods()}
        assert len(after) == 4
        assert not after & before

        async def more() -> bool:
            return stage.answered_by("1") > seen + 200

        await stage.until("200 more requests were answered", more)
        assert stage.unanswered() == 0
        assert all(arm.get("errors", 0) == 0 for line in stage.counts() for arm in line["arms"].values())

    stage.play(story())


async def synced_version(stage: Stage, name: str) -> Person:
    """Version 1 is out from Git; nobody asks the host by himself: what happens from here on was asked for."""
    stage.image(f"{name}:1")
    stage.image(f"{name}:2")
    person = await stage.repository(interval="1h")
    person.push("Deploy 1", {FILE: manifests(stage, f"{name}:1"), "README.md": "shop\n"})
    await stage.application(revert={"mode": "Auto", "triggers": ["AbortedByUser"]}, sync={"interval": "1h"})
    assert "is in sync: Applied" in await coalmine(stage, "app", "sync", "web")
    await coalmine(stage, "status", "web")
    return person


def test_an_application_is_compared_and_synced_and_undo_is_left_to_git(stage: Stage) -> None:
    async def story() -> None:
        person = await synced_version(stage, "sync")
        checkout = person.clone
        (checkout / FILE).write_text(manifests(stage, "sync:2"))
        told = await coalmine(stage, "app", "diff", "web", "--path", str(checkout), code=1)
        assert "-      - image: sync:1" in told
        assert "+      - image: sync:2" in told
        assert "1 to change" in told
        assert "no difference" in await coalmine(stage, "app", "diff", "web")
        head = person.push("Release 2", {})
        assert f"commit {head[:12]}: 1 to change" in await coalmine(stage, "app", "diff", "web", code=1)
        assert head[:7] in await coalmine(stage, "app", "sync", "web")
        await stage.until_phase("Paused", "CanaryPauseStep")
        assert "no difference" in await coalmine(stage, "app", "diff", "web"), "weights and selectors are the Rollout's"
        told = await coalmine(stage, "undo", "web", code=1)
        assert f"applied by Application {stage.namespace}/web" in told
        assert FILE in told
        assert stage.box.git_url in told
        assert (await stage.rollout())["spec"]["template"]["spec"]["containers"][0]["image"] == "sync:2"

    stage.play(story())


def test_a_failed_version_is_held_until_it_is_released(stage: Stage) -> None:
    async def story() -> None:
        person = await synced_version(stage, "held")
        bad = person.push("Release 2", {FILE: manifests(stage, "held:2")})
        await coalmine(stage, "app", "sync", "web")
        await stage.until_phase("Paused", "CanaryPauseStep")
        await coalmine(stage, "abort", "web")
        await stage.until_condition(APPLICATIONS, "web", "Reverted", "True")
        await stage.until_healthy("held:1")
        person.push("Release 2 again", {FILE: manifests(stage, "held:2", steps="[{setWeight: 25}, {pause: {}}]")})
        assert "a sync would hold this revision" in await coalmine(stage, "app", "diff", "web", code=1)
        told = await coalmine(stage, "app", "sync", "web", code=1)
        assert "is not in sync: RevisionQuarantined" in told
        told = await coalmine(stage, "app", "get", "web")
        assert "RevisionQuarantined" in told
        assert f"takes {bad[:12]} back" in told
        assert "images held:2" in told
        assert (await stage.rollout())["spec"]["template"]["spec"]["containers"][0]["image"] == "held:1"
        assert "released sha256:" in await coalmine(stage, "app", "release", "web")
        await stage.until_phase("Paused", "CanaryPauseStep")
        assert await stage.pods("held:2")
        assert "released at" in await coalmine(stage, "app", "get", "web")
        assert "nothing is in quarantine" in await coalmine(stage, "app", "release", "web")

    stage.play(story())


def test_a_sync_tells_why_git_cannot_be_read(stage: Stage) -> None:
    async def story() -> None:
        person = await stage.repository(interval="1h", ref={"branch": "gone"})
        person.push("Deploy 1", {"README.md": "shop\n"})
        await stage.application()
        told = await coalmine(stage, "app", "sync", "web", code=1)
        assert "RevisionNotFound" in told
        assert "refs/heads/gone" in told
        assert "refs/heads/gone" in await coalmine(stage, "app", "diff", "web", code=2)

    stage.play(story())


def test_a_failed_verdict_is_explained_from_its_record(stage: Stage) -> None:
    async def story() -> None:
        stage.image("why:1")
        stage.image("why:2", error_rate=0.5)
        await stage.apply(health_template(stage))
        analysis = "{templates: [{templateName: health}], comparison: {warmUp: 2s}}"
        await stage.apply(manifests(stage, "why:1", replicas=6, analysis=analysis))
        await coalmine(stage, "status", "web")
        await stage.clients(200)
        await stage.release("why:2")
        assert "Degraded" in await coalmine(stage, "status", "web", code=1)
        run = (await stage.status())["canary"]["currentBackgroundAnalysisRunStatus"]["name"]
        told = await coalmine(stage, "analysis", "explain", run)
        assert f"AnalysisRun {run} is Failed" in told
        assert "http_requests_total" in told
        assert "replays to:" in told
        assert "bit for bit" in told
        tree = await coalmine(stage, "get", "rollout", "web")
        assert run in tree
        assert "evidence:" in tree

    stage.play(story())
