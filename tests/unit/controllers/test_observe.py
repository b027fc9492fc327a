"""From caches to the World: what people have spoilt, deleted or dated otherwise is never taken for an analysis."""

from typing import Any

import msgspec

from analysis.run_spec import AnalysisRunSpec
from analysis.verdict import AnalysisPhase
from rollout.api.keys import HASH_LABEL, REVISION, UPDATE
from rollout.controllers.observe import observe, replica_set, run
from rollout.domain import actions as act
from rollout.domain.rollout import decide
from rollout.domain.world import RunView, World
from rollout.kube.cache import Cache
from rollout.kube.resources import (
    ANALYSIS_RUNS,
    ANALYSIS_TEMPLATES,
    CLUSTER_ANALYSIS_TEMPLATES,
    HTTP_ROUTES,
    PODS,
    REPLICA_SETS,
    ROLLOUTS,
    SERVICES,
    Resource,
)
from tests.model import Model, spec

Json = dict[str, Any]
KINDS = (
    ROLLOUTS, ANALYSIS_RUNS, ANALYSIS_TEMPLATES, CLUSTER_ANALYSIS_TEMPLATES, HTTP_ROUTES, PODS, REPLICA_SETS, SERVICES,
)  # fmt: skip
ANALYSED = {"analysis": {"templates": [{"templateName": "health"}]}}
LONG_AGO = "2026-01-01T00:00:00Z"


def caches(*objects: tuple[Resource, Json]) -> dict[Resource, Cache]:
    found = {kind: Cache() for kind in KINDS}
    for kind, obj in objects:
        found[kind].put(obj)
    return found


def world_of(*objects: tuple[Resource, Json]) -> World:
    world = observe(caches(*objects), ("shop", "web"))
    assert world is not None
    return world


def metadata(name: str, uid: str, **more: Any) -> Json:
    return {
        "name": name, "namespace": "shop", "uid": uid, "resourceVersion": "1", "creationTimestamp": LONG_AGO, **more,
    }  # fmt: skip


def update(**status: Any) -> list[tuple[Resource, Json]]:
    """A Rollout amid an update, whose analysis template is gone, and the failed run of its first try."""
    owner = [{"kind": "Rollout", "name": "web", "uid": "u1", "controller": True}]
    rollout = {
        "metadata": metadata("web", "u1"),
        "spec": spec("v2", canary=ANALYSED),
        "status": {
            "stableRS": "old",
            "currentPodHash": "new",
            "duration": {"rolloutStartedAt": "2026-02-01T00:00:00Z"},
            **status,
        },
    }
    sets = [
        {"metadata": metadata(f"web-{h}", h, labels={HASH_LABEL: h}, ownerReferences=owner), "spec": {"replicas": 4}}
        for h in ("old", "new")
    ]
    labels, annotations = {HASH_LABEL: "new", "rollout-type": "Background"}, {UPDATE: "2026-01-31T00:00:00Z"}
    failed = {
        "metadata": metadata("web-new-2", "r1", labels=labels, annotations=annotations, ownerReferences=owner),
        "spec": {"metrics": []},
        "status": {"phase": "Failed", "message": "errors doubled", "completedAt": LONG_AGO},
    }
    return [(ROLLOUTS, rollout), *((REPLICA_SETS, rs) for rs in sets), (ANALYSIS_RUNS, failed)]


def test_a_retry_without_its_analysis_template_is_refused_and_not_taken_without_an_analysis() -> None:
    assert any("health" in problem for problem in world_of(*update()).problems)


def test_a_template_that_is_deleted_after_the_verdict_does_not_hold_an_abort_up() -> None:
    assert world_of(*update(abort=True, abortedAt=LONG_AGO)).problems == ()


def compared(dry_run: list[Json], settings: Json, **comparison: Any) -> World:
    """A new Rollout that has the step `verify`, and a template with one comparison."""
    steps = [{"verify": {}}]
    rollout = {"metadata": metadata("web", "u1"), "spec": {**spec("v1", canary=ANALYSED, steps=steps), **settings}}
    errors = {"counts": {"events": 'e{pod=~"{{arms.pods}}"}', "total": 't{pod=~"{{arms.pods}}"}'}, **comparison}
    provider = {"prometheus": {"address": "http://prometheus"}}
    metrics = [{"name": "errors", "interval": "30s", "provider": provider, "comparison": errors}]
    template = {"metadata": metadata("health", "t1"), "spec": {"metrics": metrics, "dryRun": dry_run}}
    return world_of((ROLLOUTS, rollout), (ANALYSIS_TEMPLATES, template))


def verifying(dry_run: list[Json], **comparison: Any) -> tuple[str, ...]:
    """What is wrong with it."""
    return compared(dry_run, {}, **comparison).problems


def test_pods_of_a_run_have_to_be_ready_within_the_deadline_of_a_rollout_that_aborts_by_it() -> None:
    aborts = {"progressDeadlineAbort": True}
    for settings, seconds in (
        ({"progressDeadlineSeconds": 1800, **aborts}, 1800),
        (aborts, 600),
        ({"progressDeadlineSeconds": 0, **aborts}, 1),
        ({"progressDeadlineSeconds": 1800}, None),
        ({}, None),
    ):
        run_spec = compared([], settings, tolerance="50%").run_spec
        assert run_spec is not None
        run_settings = msgspec.convert(run_spec, AnalysisRunSpec).comparison
        assert run_settings is not None
        assert run_settings.progress_deadline_seconds == seconds


def test_a_step_that_waits_for_a_proof_needs_a_metric_that_can_give_it() -> None:
    assert verifying([], tolerance="50%") == ()
    assert "no metric has a tolerance" in verifying([])[0]
    assert "no metric has a tolerance" in verifying([{"metricName": "errors"}], tolerance="50%")[0]


def test_a_manifest_that_cannot_be_read_costs_nothing_of_the_status() -> None:
    objects = update()
    objects[0][1]["spec"]["replicas"] = "many"
    world = world_of(*objects)
    assert "does not fit the CRD" in world.problems[0]
    status = decide(world, 1_800_000_000.0).status
    assert (status.stable_rs, status.current_pod_hash) == ("old", "new")


def test_a_run_belongs_to_its_update_whatever_the_clock_of_the_api_server_says() -> None:
    model = Model.of(spec("v1", canary=ANALYSED))
    model.settle()
    model.edit(spec("v2", canary=ANALYSED))
    created = first_run(model)
    for _ in range(5):
        late = [action for action in model.turn().actions if isinstance(action, act.CreateRun)]
        model.others()
        assert late == []
    assert seen(created).update_started_at == model.rollout.status.duration.rollout_started_at


def first_run(model: Model) -> act.CreateRun:
    """Turns until the run is made, by an API server whose clock is five seconds behind."""
    for _ in range(20):
        created = [action for action in model.turn().actions if isinstance(action, act.CreateRun)]
        model.others()
        if created:
            model.run(created_at=model.now - 5, update_started_at=seen(created[0]).update_started_at)
            return created[0]
    raise AssertionError("no run was made")


def seen(created: act.CreateRun) -> RunView:
    """The run as the caches show it."""
    labels = {**created.labels, HASH_LABEL: created.pod_hash, "rollout-type": created.kind}
    return run(
        {"metadata": metadata(created.name, "r", labels=labels, annotations=created.annotations), "spec": created.spec}
    )


def test_a_run_of_the_try_before_a_retry_does_not_speak_though_the_api_servers_clock_is_ahead() -> None:
    model = Model.of(spec("v1", canary=ANALYSED))
    model.settle()
    model.edit(spec("v2", canary=ANALYSED))
    created = first_run(model)
    model.run(created_at=model.now + 60, phase=AnalysisPhase.FAILED, message="errors doubled")
    model.turn()
    assert model.rollout.status.abort
    model.now += 10
    model.status(abort=False)
    model.turn()
    model.turn()
    assert not model.rollout.status.abort
    assert created.name in model.runs
    assert len(model.runs) == 2


def test_numbers_that_people_have_spoilt_count_as_none() -> None:
    for text in ("²", "9" * 5000, "two", ""):
        obj = {"metadata": metadata("web-old", "old", annotations={REVISION: text}), "spec": {}}
        assert replica_set(msgspec.json.decode(msgspec.json.encode(obj))).revision == 0


TEMPLATE = {
    "metadata": {"name": "health", "namespace": "shop", "uid": "t", "resourceVersion": "1"},
    "spec": {
        "metrics": [
            {
                "name": "errors",
                "interval": "30s",
                "provider": {"prometheus": {"address": "http://127.0.0.1:9090"}},
                "comparison": {
                    "counts": {"events": 'e{pod=~"{{arms.pods}}"}', "total": 't{pod=~"{{arms.pods}}"}'},
                },
            }
        ]
    },
}


def problems_of(name: str, **status: Any) -> str:
    rollout = {"metadata": metadata(name, "u1"), "spec": spec("v2", canary=ANALYSED), "status": status}
    world = observe(caches((ROLLOUTS, rollout), (ANALYSIS_TEMPLATES, TEMPLATE)), ("shop", name))
    assert world is not None
    return "; ".join(world.problems)


def test_a_name_so_long_that_pods_of_both_versions_look_alike_is_refused_for_a_comparison() -> None:
    assert "use a name of at most 46" in problems_of("w" * 57)
    assert problems_of("w" * 46) == ""
    alike = {"stableRS": "6765469bcd", "currentPodHash": "676546zzzz"}
    assert "use a name of at most 46" in problems_of("w" * 51, **alike)
    assert problems_of("w" * 51, stableRS="6765469bcd", currentPodHash="576546zzzz") == ""


def test_a_name_to_which_nothing_can_be_added_is_refused_with_the_field() -> None:
    assert "metadata.name: has 253 characters" in problems_of("w" * 253)
