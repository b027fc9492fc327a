"""FailureModels on a real API server: certified on held-out history of a metrics store, and used by runs or not."""

import asyncio
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pytest

from analysis.durations import format_time
from analysis.evidence.special import FloatArray
from analysis.failure_model_spec import FailureModelSpec, TrainingProvenance
from analysis.model.artefact import digest
from analysis.series.raw import RawSeries
from rollout.controllers.observe import observe
from rollout.kube.resources import FAILURE_MODELS, ROLLOUTS
from tests.support.api_process import Running, embedded_server
from tests.support.history_store import HistoryStore, now, service_history, serving
from tests.support.model_bench import DAYS, Bench, bench, fitted, judged, prepare, rollout

Json = dict[str, Any]
PLACES = ("certified", "short", "down", "changed", "retired", "shadow", "drifted")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with embedded_server(tmp_path_factory.mktemp("api")) as running:
        asyncio.run(prepare(running, PLACES))
        yield running


@pytest.fixture(scope="module")
def store() -> HistoryStore:
    return service_history("shop", DAYS)


def test_a_model_is_certified_on_history_it_has_not_seen_and_then_used(server: Running, store: HistoryStore) -> None:
    async def story() -> tuple[Bench, FailureModelSpec, Json, Json, Json]:
        async with serving(store) as address, bench(server, "certified", address) as made:
            spec = await fitted(made)
            status = await made.model(msgspec.to_builtins(spec), lambda status: status.get("phase") == "Active")
            made.caches[FAILURE_MODELS].put((await made.client.get(FAILURE_MODELS, "certified", "shop")) or {})
            world = observe(made.caches, ("certified", "shop"))
            assert world is not None
            assert world.run_spec is not None, world.problems
            return made, spec, status, world.run_spec, await judged(made, status["digest"])

    made, spec, status, run, seen = asyncio.run(story())
    assert status["digest"] == digest(spec)
    found = status["certificate"]
    # Two days less the training's part and the last minutes.
    assert 40 <= found["heldOut"]["segments"] <= 51
    assert found["placebos"] == 2 * found["heldOut"]["segments"]
    assert found["falseRollbacks"] == 0
    assert {detection["fault"] for detection in found["detects"]} == {"errors x2", "errors x5"}
    assert next(d for d in found["detects"] if d["fault"] == "errors x5")["found"] == "100%"
    assert found["budget"] == "12%"
    ready = next(condition for condition in status["conditions"] if condition["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("True", "Certified")
    assert made.reasons("FailureModel") == ["FailureModelCandidate", "FailureModelActive"]
    # The next run of the Rollout pins what was certified, and its verdict is certified.
    assert run["comparison"]["failureModel"] == {"name": "shop", "digest": digest(spec)}
    assert seen["comparison"]["certified"] is True
    assert seen["phase"] == "Running"
    assert made.reasons("AnalysisRun") == []


def test_a_model_in_the_shadow_is_scored_beside_and_decides_nothing(server: Running, store: HistoryStore) -> None:
    async def story() -> tuple[Bench, Json, Json]:
        async with serving(store) as address, bench(server, "shadow", address) as made:
            spec = msgspec.structs.replace(await fitted(made), mode="Shadow")
            status = await made.model(msgspec.to_builtins(spec), lambda status: status.get("phase") == "Shadow")
            made.caches[FAILURE_MODELS].put((await made.client.get(FAILURE_MODELS, "shadow", "shop")) or {})
            return made, status, await judged(made, status["digest"])

    made, status, seen = asyncio.run(story())
    # The priors decide, so the verdict is not certified; the model's own figures stand beside.
    assert seen["comparison"].get("certified", False) is False
    beside = seen["comparison"]["shadow"]
    assert beside["digest"] == status["digest"]
    assert beside["verdict"] == "INCONCLUSIVE"
    assert float(beside["evidence"]) < float(beside["evidenceLimit"])
    assert made.reasons("AnalysisRun") == []


def test_too_little_held_out_history_certifies_nothing(server: Running, store: HistoryStore) -> None:
    async def story() -> tuple[Bench, Json, Json]:
        async with serving(store) as address, bench(server, "short", address, budget="1%") as made:
            spec = await fitted(made)
            late = msgspec.structs.replace(spec, training=TrainingProvenance(to=format_time(now() - 9000)))
            status = await made.model(msgspec.to_builtins(late), lambda status: status.get("certificate") is not None)
            made.caches[FAILURE_MODELS].put((await made.client.get(FAILURE_MODELS, "short", "shop")) or {})
            return made, status, await judged(made, status["digest"])

    made, status, seen = asyncio.run(story())
    assert status["phase"] == "Candidate"
    assert status["certificate"]["heldOut"]["segments"] == 3
    assert status["certificate"]["falseRollbackUpperBound"] == "63.2%"
    assert seen["comparison"].get("certified", False) is False
    assert made.reasons("AnalysisRun") == ["FailureModelNotUsed"]


def test_a_store_that_does_not_answer_leaves_a_candidate_and_its_reason(server: Running) -> None:
    async def story() -> tuple[Json, int]:
        dark = HistoryStore({}, down=True)
        async with serving(dark) as address, bench(server, "down", address) as made:
            spec = {
                "rolloutRef": {"name": "shop"},
                "window": "30s",
                "training": {"to": format_time(now() - 9000)},
            }
            status = await made.model(spec, lambda status: "disk" in str(status.get("conditions")))
            return status, dark.asked

    status, asked = asyncio.run(story())
    assert status["phase"] == "Candidate"
    assert "the disk is full" in status["conditions"][0]["message"]
    # Once more for each of the two queries, and not for the other pieces.
    assert asked <= 4


def test_a_changed_model_is_not_used_by_a_run_that_pinned_the_old_one(server: Running, store: HistoryStore) -> None:
    async def story() -> tuple[Bench, Json, Json]:
        async with serving(store) as address, bench(server, "changed", address) as made:
            spec = msgspec.to_builtins(await fitted(made))
            first = await made.model(spec, lambda status: status.get("phase") == "Active")
            await made.patch(FAILURE_MODELS, ("changed", "shop"), {"spec": {"window": "60s"}})
            await made.models.reconcile(("changed", "shop"))
            second = (await made.client.get(FAILURE_MODELS, "changed", "shop")) or {}
            made.caches[FAILURE_MODELS].put(second)
            assert second["status"]["digest"] != first["digest"]
            assert second["status"]["phase"] == "Candidate"
            assert "certificate" not in second["status"]
            return made, first, await judged(made, first["digest"])

    made, _, seen = asyncio.run(story())
    assert seen["comparison"].get("certified", False) is False
    assert made.reasons("AnalysisRun") == ["FailureModelNotUsed"]


def test_a_model_that_its_rollout_no_longer_names_retires(server: Running, store: HistoryStore) -> None:
    async def story() -> Json:
        async with serving(store) as address, bench(server, "retired", address) as made:
            spec = msgspec.to_builtins(await fitted(made))
            await made.model(spec, lambda status: status.get("phase") == "Active")
            await made.patch(ROLLOUTS, ("retired", "shop"), {"spec": rollout("12%", model="other")})
            await made.models.reconcile(("retired", "shop"))
            live = await made.client.get(FAILURE_MODELS, "retired", "shop")
            return dict((live or {})["status"])

    assert asyncio.run(story())["phase"] == "Retired"


def uneven(store: HistoryStore, since: float) -> HistoryStore:
    """The same service whose pods fail from a moment on as differently as they never did before."""
    changed = [
        RawSeries(one.labels, one.times, one.values + (4.0 ** (-1) ** index - 1) * _since(one, since))
        for index, one in enumerate(store.series["errors"])
    ]
    return HistoryStore({**store.series, "errors": tuple(changed)})


def _since(one: RawSeries, since: float) -> FloatArray:
    """What a counter counted from a moment on."""
    begun = one.values[np.searchsorted(one.times, since)]
    return np.where(one.times >= since, one.values - begun, 0.0)


def test_a_service_that_is_not_what_it_was_degrades_its_model(server: Running) -> None:
    days = 1.5 * DAYS

    async def story() -> tuple[Bench, Json, Json]:
        later = uneven(service_history("shop", days), now() - 0.4 * days * 86_400)
        async with serving(later) as address, bench(server, "drifted", address) as made:
            spec = msgspec.to_builtins(await fitted(made, days))
            status = await made.model(spec, lambda status: status.get("certificate") is not None)
            made.caches[FAILURE_MODELS].put((await made.client.get(FAILURE_MODELS, "drifted", "shop")) or {})
            return made, status, await judged(made, status["digest"])

    made, status, seen = asyncio.run(story())
    assert status["phase"] == "Degraded"
    sound = next(condition for condition in status["conditions"] if condition["type"] == "Sound")
    assert (sound["status"], sound["reason"]) == ("False", "Drift")
    assert "later placebos differ from earlier ones" in sound["message"]
    assert made.reasons("FailureModel") == ["FailureModelCandidate", "FailureModelDegraded"]
    # Runs fall back to the priors, and say so.
    assert seen["comparison"].get("certified", False) is False
    assert made.reasons("AnalysisRun") == ["FailureModelNotUsed"]
