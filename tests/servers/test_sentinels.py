"""Sentinels on a real API server: read from a ConfigMap, acting in runs, and told where they cannot."""

import asyncio
import base64
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from analysis.durations import format_time
from analysis.failure_model_spec import (
    ConfigMapKeyRef,
    FailureModelSpec,
    Sentinel,
    SentinelArtifact,
    TrainingProvenance,
)
from analysis.model.artefact import canonical, digest
from analysis.model.sentinel.mahalanobis import MahalanobisDetector
from analysis.model.sentinel.model import SentinelModel
from analysis.record import replay
from analysis.sentinel_seen import OnAnomaly
from rollout.cli.explain import unzipped
from rollout.controllers import failuremodel
from rollout.controllers.observe import run as run_view
from rollout.domain.decision import Event
from rollout.errors import ApiUnavailable
from rollout.kube.resources import ANALYSIS_RUNS, CONFIG_MAPS, FAILURE_MODELS, Resource
from tests.support.api_process import Running, embedded_server
from tests.support.history_store import HistoryStore, service_history, serving
from tests.support.model_bench import DAYS, Bench, bench, fitted, judged, prepare

Json = dict[str, Any]
KEY = "model.json"
PLACES = (
    "pauses",
    "reports",
    "fails",
    "quiet",
    "wrong",
    "missing",
    "empty",
    "foreign",
    "url",
    "mended",
    "late",
    "again",
    "blip",
)
JUMPY = SentinelModel(
    features=("errors",),
    medians=(0.0,),
    largest_scores=(0.0,) * 99,
    detector=MahalanobisDetector(mean=(0.0,), covariance=((1.0,),)),
)
"""It finds everything unusual, and 99 healthy rollouts support that."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with embedded_server(tmp_path_factory.mktemp("api")) as running:
        asyncio.run(prepare(running, PLACES))
        yield running


@pytest.fixture(scope="module")
def store() -> HistoryStore:
    return service_history("shop", DAYS)


def stanza(
    artefact: SentinelModel = JUMPY, on_anomaly: OnAnomaly = "Pause", budget: str | None = None, **more: Any
) -> Sentinel:
    reference = ConfigMapKeyRef(name="shop-sentinel", key=KEY)
    artifact = SentinelArtifact(digest=digest(artefact), config_map_ref=reference)
    artifact = msgspec.structs.replace(artifact, **more)
    return Sentinel(type="Mahalanobis", artifact=artifact, on_anomaly=on_anomaly, budget=budget)


MANY = msgspec.structs.replace(JUMPY, largest_scores=(0.0,) * 199)
FAILS = stanza(MANY, on_anomaly="Fail", budget="0.5%")


@dataclass(frozen=True)
class Found:
    """What became of a model's sentinel and of a run: the condition, the run and its events."""

    condition: Json
    run: Json
    events: list[tuple[str, Event]]
    record: bytes | None

    def reasons(self, kind: str) -> list[str]:
        """Reasons of the events about a kind."""
        return [event.reason for told, event in self.events if told == kind]


async def config_map(made: Bench, data: Json) -> None:
    metadata = {"name": "shop-sentinel", "namespace": made.namespace}
    await made.client.create(CONFIG_MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})


async def condition(made: Bench) -> Json:
    """Take a turn of the model; what it says of its sentinel."""
    await made.models.reconcile((made.namespace, "shop"))
    live = (await made.client.get(FAILURE_MODELS, made.namespace, "shop")) or {}
    made.caches[FAILURE_MODELS].put(live)
    return next((c for c in live["status"]["conditions"] if c["type"] == "SentinelReady"), {})


def recorded(status: Json) -> bool:
    return "recordDigest" in status["comparison"]


async def active(made: Bench, spec: FailureModelSpec, looked_on: str) -> None:
    """A model that is certified, as its status says: certificates are tried elsewhere."""
    figures = {"budget": "12%", "placebos": 99, "falseRollbacks": 0, "falseRollbackUpperBound": "3%"}
    status = {"phase": "Active", "digest": digest(spec), "certificate": {**figures, "sentinel": looked_on}}
    await made.patch_status(FAILURE_MODELS, (made.namespace, "shop"), status)


def story(
    server: Running,
    store: HistoryStore,
    place: str,
    sentinel: Sentinel,
    data: Json | None,
    direction: str = "Increase",
    *,
    certified: bool = True,
) -> Found:
    async def told() -> Found:
        async with serving(store) as address, bench(server, place, address) as made:
            if data is not None:
                await config_map(made, data)
            spec = msgspec.structs.replace(await fitted(made), sentinel=sentinel)
            await made.create(FAILURE_MODELS, made.object("FailureModel", "shop", msgspec.to_builtins(spec)))
            said = await condition(made)
            await active(made, spec, sentinel.artifact.digest if certified else "")
            status = await judged(made, digest(spec), direction)
            if status.get("completedAt"):
                await made.until(made.runs.reconcile, ANALYSIS_RUNS, (place, "shop-1"), recorded)
            run = (await made.client.get(ANALYSIS_RUNS, place, "shop-1")) or {}
            kept = await made.client.get(CONFIG_MAPS, place, "shop-1-record")
            record = unzipped(base64.b64decode(kept["binaryData"]["record.json.gz"])) if kept else None
            return Found(said, run, made.events, record)

    return asyncio.run(told())


def artefact(model: SentinelModel = JUMPY) -> Json:
    return {KEY: canonical(model).decode()}


def test_a_sentinel_pauses_a_run_that_goes_on(server: Running, store: HistoryStore) -> None:
    found = story(server, store, "pauses", stanza(), artefact())
    assert (found.condition["status"], found.condition["reason"]) == ("True", "Watching")
    assert "1 contrast, false alarms in at most 2% of rollouts, by 99 healthy ones" in found.condition["message"]
    status = found.run["status"]
    assert status["phase"] == "Running"
    assert status["comparison"]["certified"] is True
    assert status["comparison"]["verdict"] == "INCONCLUSIVE"
    seen = status["comparison"]["sentinel"]
    assert seen["action"] == "Pause"
    assert "sees an anomaly" in seen["message"]
    assert "driven by errors (" in seen["message"]
    # This is what pauses the Rollout.
    assert run_view(found.run).anomaly == seen["message"]
    assert found.reasons("AnalysisRun") == ["SentinelAnomaly"]
    assert "SentinelNotUsed" not in found.reasons("FailureModel")


def test_a_report_is_told_and_pauses_nothing(server: Running, store: HistoryStore) -> None:
    found = story(server, store, "reports", stanza(on_anomaly="Report"), artefact())
    assert found.run["status"]["comparison"]["sentinel"]["action"] == "Report"
    assert run_view(found.run).anomaly == ""
    assert found.reasons("AnalysisRun") == ["SentinelAnomaly"]


def test_a_sentinel_fails_a_run_by_its_own_budget_and_the_record_says_so(server: Running, store: HistoryStore) -> None:
    # Whatever differs is harm, so that chance does not decide by its sign.
    found = story(server, store, "fails", FAILS, artefact(MANY), "Either")
    status = found.run["status"]
    assert status["phase"] == "Failed"
    assert 'Metric "errors" assessed Failed: the sentinel (Mahalanobis) sees an anomaly' in status["message"]
    comparison = status["comparison"]
    assert (comparison["verdict"], comparison["sentinel"]["action"]) == ("FAIL", "Fail")
    # Of a budget of 1 %, half is left to the evidence, which found nothing.
    assert comparison["evidenceLimit"] == "200"
    assert float(comparison["evidence"]) < 1
    assert found.reasons("AnalysisRun") == ["MetricFailed", "AnalysisRunFailed"]
    assert found.record is not None
    again = replay(found.record)
    assert (again.verdict, again.anomaly, again.record_digest) == ("FAIL", "Fail", comparison["recordDigest"])
    assert again.explanation in status["message"]


def test_a_sentinel_that_came_after_the_certificate_fails_no_run(server: Running, store: HistoryStore) -> None:
    found = story(server, store, "late", FAILS, artefact(MANY), "Either", certified=False)
    assert found.condition["status"] == "True"
    assert found.run["status"]["phase"] == "Running"
    comparison = found.run["status"]["comparison"]
    assert "sentinel" not in comparison
    # The whole budget of 1 % is left to the evidence, as in the certificate.
    assert (comparison["certified"], comparison["evidenceLimit"]) == (True, "100")
    assert found.reasons("AnalysisRun") == ["SentinelNotUsed"]
    assert "it came after the certificate" in found.events[-1][1].message


def looked_on(status: Json) -> bool:
    return "sentinel" in status.get("certificate", {})


def tried(status: Json) -> bool:
    return "certificate" in status or "away" in str(status.get("conditions"))


async def brief(made: Bench) -> Json:
    """A model with a sentinel, whose certificate is made of three pieces of history."""
    late = TrainingProvenance(to=format_time(made.context.now() - 9000))
    return msgspec.to_builtins(msgspec.structs.replace(await fitted(made), training=late, sentinel=FAILS))


def test_a_certificate_is_made_again_with_a_sentinel_that_came_later(
    server: Running, store: HistoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failuremodel, "RETRY_SECONDS", 0.1)

    async def told() -> tuple[Json, Json]:
        async with serving(store) as address, bench(server, "again", address) as made:
            before = await made.model(await brief(made), lambda status: status.get("certificate") is not None)
            await config_map(made, artefact(MANY))
            made.caches[FAILURE_MODELS].put((await made.client.get(FAILURE_MODELS, "again", "shop")) or {})
            key = "again", "shop"
            return before, await made.until(made.models.reconcile, FAILURE_MODELS, key, looked_on)

    before, after = asyncio.run(told())
    assert "sentinel" not in before["certificate"]
    assert after["certificate"]["sentinel"] == digest(MANY)


def test_a_sentinel_that_cannot_be_read_at_the_moment_is_not_left_out_of_the_certificate(
    server: Running, store: HistoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def told() -> Json:
        async with serving(store) as address, bench(server, "blip", address) as made:
            await config_map(made, artefact(MANY))
            get, asked = made.client.get, itertools.count()

            async def failing(resource: Resource, namespace: str | None, name: str) -> Json | None:
                # The turn reads it for its condition; then the job.
                if resource == CONFIG_MAPS and next(asked) == 1:
                    raise ApiUnavailable("the API server is away for a moment")
                return await get(resource, namespace, name)

            monkeypatch.setattr(made.client, "get", failing)
            return await made.model(await brief(made), tried)

    status = asyncio.run(told())
    assert "certificate" not in status
    assert status["conditions"][0]["message"] == "the API server is away for a moment"


def test_without_a_threshold_there_is_no_alarm_and_that_is_told(server: Running, store: HistoryStore) -> None:
    few = msgspec.structs.replace(JUMPY, largest_scores=(0.0,) * 48)
    found = story(server, store, "quiet", stanza(few), artefact(few))
    assert (found.condition["status"], found.condition["reason"]) == ("False", "NoThreshold")
    seen = found.run["status"]["comparison"]["sentinel"]
    assert seen["message"] == (
        "the sentinel (Mahalanobis) raises no alarm: it knows 48 healthy rollouts, and 2% of false ones takes 49"
    )
    assert "anomalyAt" not in seen
    assert found.reasons("FailureModel")[-1] == "SentinelNoThreshold"


OTHER = msgspec.structs.replace(JUMPY, features=("latency",))


@pytest.mark.parametrize(
    ("place", "sentinel", "data", "words"),
    [
        ("wrong", stanza(digest="sha256:" + "0" * 64), artefact(), "but the artefact's is sha256:"),
        ("missing", stanza(), None, 'ConfigMap "shop-sentinel" does not exist'),
        ("empty", stanza(), {"other": "{}"}, f'ConfigMap "shop-sentinel" has no text under "{KEY}"'),
        ("foreign", stanza(OTHER), artefact(OTHER), "looks at 'latency', which is no contrast of the run"),
    ],
)
def test_a_sentinel_that_cannot_be_used_is_told_and_the_model_goes_on_without_it(
    server: Running, store: HistoryStore, place: str, sentinel: Sentinel, data: Json | None, words: str
) -> None:
    found = story(server, store, place, sentinel, data)
    assert (found.condition["status"], found.condition["reason"]) == ("False", "NotUsed")
    assert words in found.condition["message"]
    assert found.reasons("FailureModel")[-1] == "SentinelNotUsed"
    assert found.reasons("AnalysisRun") == ["SentinelNotUsed"]
    assert words in found.events[-1][1].message
    comparison = found.run["status"]["comparison"]
    assert comparison["certified"] is True
    assert "sentinel" not in comparison


def test_a_registry_is_refused_with_what_to_write_instead_whatever_else_is_wrong(
    server: Running, store: HistoryStore
) -> None:
    async def told() -> Json:
        async with serving(store) as address, bench(server, "url", address) as made:
            wanted = stanza(config_map_ref=None, url="oci://registry/shop/sentinel")
            spec = msgspec.to_builtins(msgspec.structs.replace(await fitted(made), sentinel=wanted))
            return await made.model({**spec, "window": "never"}, bool)

    status = asyncio.run(told())
    assert status["phase"] == "Invalid"
    message = status["conditions"][0]["message"]
    assert "spec.window: " in message
    assert message.endswith(
        "spec.sentinel.artifact.url: not supported yet; put the JSON into a ConfigMap, and name it in configMapRef"
    )


def test_a_config_map_that_comes_later_is_found(server: Running, store: HistoryStore) -> None:
    async def told() -> tuple[Json, Json]:
        async with serving(store) as address, bench(server, "mended", address) as made:
            spec = msgspec.structs.replace(await fitted(made), sentinel=stanza())
            await made.create(FAILURE_MODELS, made.object("FailureModel", "shop", msgspec.to_builtins(spec)))
            before = await condition(made)
            await config_map(made, artefact())
            return before, await condition(made)

    before, after = asyncio.run(told())
    assert (before["status"], after["status"]) == ("False", "True")
