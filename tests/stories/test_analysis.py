"""What the analysis sees and what it does not: errors of a version, and a metrics store in trouble."""

import asyncio
import json
from collections.abc import Callable

from rollout.kube.resources import ANALYSIS_RUNS, APPLICATIONS
from rollout.sandbox.demo.person import Person
from tests.stories.stage import Json, Stage, health_template, manifests
from tests.support.proxy import Proxy

PATH = "apps/web"
ANALYSIS = "{templates: [{templateName: health}], comparison: {warmUp: 2s}}"
RATE = 200


async def run_of(stage: Stage) -> Json:
    """The AnalysisRun that the Rollout names."""
    status = await stage.status()
    name = (status["canary"].get("currentBackgroundAnalysisRunStatus") or {}).get("name", "")
    return await stage.get(ANALYSIS_RUNS, name)


class HeldPush:
    """Keeps the push of a revert on its way until somebody has looked at the cluster."""

    def __init__(self, stage: Stage, host: Proxy) -> None:
        self._stage, self._looked = stage, asyncio.Event()
        self.weights: list[int] = []
        host.before("git-receive-pack", self._hold)

    async def _hold(self) -> None:
        self.weights.append(await self._stage.weight())
        await self._looked.wait()

    async def arrived(self) -> bool:
        return bool(self.weights)

    def let_go(self) -> None:
        self._looked.set()


def test_errors_of_a_version_take_its_traffic_before_its_commit_is_taken_back_in_git(stage: Stage) -> None:
    async def story() -> None:
        stage.image("errors:1")
        stage.image("errors:2", error_rate=0.5)
        async with Proxy(stage.box.git_url) as host:
            push = HeldPush(stage, host)
            person = await stage.repository(url=stage.repository_url(host.url), timeout="300s")
            declared = {f"{PATH}/all.yaml": manifests(stage, "errors:1", replicas=6, analysis=ANALYSIS)}
            declared |= {f"{PATH}/health.yaml": health_template(stage), "README.md": "shop\n"}
            good = person.push("Deploy 1", declared)
            await stage.application()
            await stage.until_healthy("errors:1")
            await stage.clients(RATE)
            bad = person.push(
                "Release 2", {f"{PATH}/all.yaml": manifests(stage, "errors:2", replicas=6, analysis=ANALYSIS)}
            )
            await stage.until("a push of the revert is on its way", push.arrived)
            assert push.weights == [0], "traffic moves before Git is touched"
            verdict = await told_verdict(stage)
            answered = await answered_in_all(stage, "2")
            push.let_go()
            await stage.until_condition(APPLICATIONS, "web", "Reverted", "True")
            await stage.until_healthy("errors:1")
            assert_reverted_once(stage, person, good, bad, verdict)
            assert 0.3 < stage.errors_of("2") / answered < 0.7
            assert stage.answered_by("2") == answered
            assert stage.errors_of("1") == stage.unanswered() == 0

    stage.play(story())


async def told_verdict(stage: Stage) -> str:
    """The sentence of the verdict, which users find in the Rollout's conditions too."""
    verdict = str((await run_of(stage))["status"]["message"])
    assert "canary/stable" in verdict
    status = await stage.until_phase("Degraded", "RolloutAborted")
    conditions = {c["type"]: c for c in status["conditions"]}
    assert verdict in conditions["Progressing"]["message"]
    passed = conditions["AnalysisPassed"]
    assert (passed["status"], passed["message"]) == ("False", verdict)
    return verdict


async def answered_in_all(stage: Stage, version: str) -> int:
    """What a version answered before its weight fell; fails where it still answers."""
    await stage.until_answered("1", 3 * RATE)  # What was on its way when the weight fell is counted by now.
    answered = stage.answered_by(version)
    await stage.until_answered("1", 2 * RATE)
    assert stage.answered_by(version) == answered, "no request reaches the canary any more"
    return answered


def assert_reverted_once(stage: Stage, person: Person, good: str, bad: str, verdict: str) -> None:
    """One signed commit on top of the bad one gives the path its former tree, and tells why."""
    (ours,) = stage.reverts(person)
    stage.verify_signature(person, ours)
    assert person.git("rev-parse", f"{ours}^") == bad
    assert person.git("rev-parse", f"{ours}:{PATH}") == person.git("rev-parse", f"{good}:{PATH}")
    message = person.git("log", "-1", "--format=%B", ours)
    assert verdict in message
    for trailer in ("Rollout-Revert-Id", f"Rollout-Revert-Of: {good}..{bad}", "Rollout-Analysis: web-"):
        assert f"\n{trailer}" in message


def test_a_metrics_store_that_is_down_pauses_the_rollout_which_goes_on_when_it_is_back(stage: Stage) -> None:
    async def story() -> None:
        for version in (1, 2):
            stage.image(f"blind:{version}")
        async with Proxy(stage.box.prometheus_url) as store:
            await stage.apply(health_template(stage, address=store.url))
            await stage.apply(manifests(stage, "blind:1", analysis=ANALYSIS))
            stable = (await stage.until_healthy("blind:1"))["stableRS"]
            await stage.clients(RATE)
            await stage.release("blind:2")
            await stage.until_phase("Paused", "CanaryPauseStep")
            await stage.until_weight(50)
            await store.down()
            await stage.until_pause("NoData")
            run = await run_of(stage)
            assert "cannot query Prometheus" in " ".join(run["status"]["comparison"]["problems"])
            assert run["status"]["phase"] == "Running"

            # Even somebody who promotes the step waits for the metrics.
            await stage.steer(pauseConditions=None)
            await stage.until_phase("Paused", "NoData")
            await stage.until_answered("2", 5 * RATE)
            status = await stage.until_phase("Paused", "NoData")
            assert (status["stableRS"], status.get("abort"), await stage.weight()) == (stable, None, 50)

            await store.up()
            await stage.until_healthy("blind:2")
            assert stage.unanswered() == 0
            assert any("NoData" in event or "no data since" in event for event in await stage.events())

    stage.play(story())


def as_nan(body: bytes) -> bytes:
    """The same series, with a value that is no number in each sample."""
    answer = json.loads(body)
    for series in answer.get("data", {}).get("result", []):
        series["values"] = [[moment, "NaN"] for moment, _ in series["values"]]
    return json.dumps(answer).encode()


def as_empty(body: bytes) -> bytes:
    """An answer without any series."""
    answer = json.loads(body)
    answer["data"]["result"] = []
    return json.dumps(answer).encode()


HUGE_BYTES = 200 * 1024 * 1024
MATRIX = b'{"status":"success","data":{"resultType":"matrix","result":['
HOSTILE: list[tuple[str, Callable[[Proxy], None], str]] = [
    ("values that are no numbers", lambda store: store.rewrite(as_nan), "no samples of the canary"),
    ("no series", lambda store: store.rewrite(as_empty), "no samples of the canary"),
    ("a huge answer", lambda store: store.flood(MATRIX, HUGE_BYTES), "more than"),
    ("a page of HTML", lambda store: store.answer(200, b"<html>log in</html>"), "not its JSON"),
    ("an error", lambda store: store.answer(500, b"oops"), "Prometheus answered 500"),
    ("a text", lambda store: store.answer(200, MATRIX + b'{"metric":{},"values":[[1,"many"]]}]}}'), "no number"),
    ("another shape", lambda store: store.answer(200, MATRIX.replace(b"[", b"7}}")), "unknown shape"),
]


def test_hostile_answers_of_a_metrics_store_promote_nothing_and_harm_nobody(stage: Stage) -> None:
    async def story() -> None:
        for version in (1, 2):
            stage.image(f"hostile:{version}")
        operator = stage.box.parts["operator"].process
        assert operator is not None
        async with Proxy(stage.box.prometheus_url) as store:
            await stage.apply(health_template(stage, address=store.url))
            await stage.apply(manifests(stage, "hostile:1", analysis=ANALYSIS))
            stable = (await stage.until_healthy("hostile:1"))["stableRS"]
            await stage.clients(RATE)
            await stage.release("hostile:2")
            await stage.until_phase("Paused", "CanaryPauseStep")
            await stage.until_weight(50)
            for what, misbehave, words in HOSTILE:
                misbehave(store)

                async def told(words: str = words) -> bool:
                    comparison = (await run_of(stage))["status"].get("comparison") or {}
                    return any(words in problem for problem in comparison.get("problems") or [])

                await stage.until(f"{what} is told in the AnalysisRun", told)
                await stage.until_pause("NoData")
            await stage.steer(pauseConditions=None)
            await stage.until_answered("2", 2 * RATE)
            status = await stage.until_phase("Paused", "NoData")
            assert (status["stableRS"], status.get("abort"), await stage.weight()) == (stable, None, 50)

            store.forward()
            await stage.until_healthy("hostile:2")
            assert stage.box.parts["operator"].process is operator
            assert operator.returncode is None
            assert stage.unanswered() == 0

    stage.play(story())


def test_a_missing_template_is_told_by_name_and_the_rollout_goes_on_when_it_comes(stage: Stage) -> None:
    async def story() -> None:
        stage.image("untold:1")
        await stage.apply(manifests(stage, "untold:1", replicas=1, analysis=ANALYSIS))
        status = await stage.until_phase("Degraded", "InvalidSpec")
        assert 'AnalysisTemplate "health" does not exist' in status["message"]
        assert "spec.strategy.canary.analysis.templates[0]" in status["message"]
        assert await stage.pods() == []
        await stage.apply(health_template(stage))
        await stage.until_healthy("untold:1")

    stage.play(story())
