"""Small pure rules: prune, order, health, digests, messages, ids."""

from dataclasses import replace
from typing import Any

import pytest

from rollout.domain.sync.digest import declares, template_digest
from rollout.domain.sync.health import health_of
from rollout.domain.sync.message import commit_message
from rollout.domain.sync.objects import ObjectId, Rendered, RenderedObject
from rollout.domain.sync.ordering import in_stages
from rollout.domain.sync.plan import RevertPlan, revert_id
from rollout.domain.sync.prune import PrunePlan, plan_prune
from rollout.domain.sync.reverting import BACKOFF_MAX_SECONDS, backoff_seconds
from rollout.domain.sync.world import ApplyReport
from tests.unit.sync.harness import config_object, rendered, rollout_object, template

WEB = rollout_object("web:1")
IDS = [config_object(f"c{n}").id for n in range(10)]


def passed(render: Rendered) -> ApplyReport:
    return ApplyReport(render.commit, render.digest, 0.0)


def test_what_git_no_longer_declares_goes() -> None:
    render = rendered("a", *(config_object(f"c{n}") for n in range(9)))
    plan = plan_prune(IDS, render, passed(render), limit_percent=30, confirmed=False)
    assert plan == PrunePlan(delete=(IDS[9],))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: None,
        lambda report: replace(report, failures=((WEB.id, "no"),)),
        lambda report: replace(report, checked_only=True),
        lambda report: replace(report, commit="older"),
        lambda report: replace(report, render_digest="another"),
    ],
)
def test_nothing_goes_unless_exactly_this_render_was_applied_in_full(spoil: Any) -> None:
    render = rendered("a", *(config_object(f"c{n}") for n in range(9)))
    assert plan_prune(IDS, render, spoil(passed(render)), limit_percent=100, confirmed=True) == PrunePlan()


def test_an_empty_render_deletes_nothing_unless_confirmed() -> None:
    render = rendered("a")
    plan = plan_prune(IDS, render, passed(render), limit_percent=100, confirmed=False)
    assert (plan.delete, plan.held) == ((), tuple(IDS))
    assert plan_prune(IDS, render, passed(render), limit_percent=0, confirmed=True).delete == tuple(IDS)


def test_more_than_the_limit_waits() -> None:
    render = rendered("a", *(config_object(f"c{n}") for n in range(6)))
    assert plan_prune(IDS, render, passed(render), limit_percent=39.9, confirmed=False).held == tuple(IDS[6:])
    assert plan_prune(IDS, render, passed(render), limit_percent=40, confirmed=False).delete == tuple(IDS[6:])


@pytest.mark.parametrize("kind", ["Namespace", "PersistentVolumeClaim", "CustomResourceDefinition"])
def test_kinds_that_take_others_with_them_wait_for_a_person(kind: str) -> None:
    render = rendered("a", *(config_object(f"c{n}") for n in range(9)))
    heavy = ObjectId("", kind, "", "x")
    plan = plan_prune([*IDS, heavy], render, passed(render), limit_percent=30, confirmed=False)
    assert (plan.delete, plan.held) == ((IDS[9],), (heavy,))


def test_configuration_that_pods_still_read_stays() -> None:
    render = rendered("a", *(config_object(f"c{n}") for n in range(9)))
    plan = plan_prune(IDS, render, passed(render), limit_percent=30, confirmed=True, in_use=frozenset({IDS[9]}))
    assert (plan.delete, plan.in_use) == ((), (IDS[9],))


def plain(kind: str, wave: str = "") -> RenderedObject:
    annotations = {"annotations": {"coalmine.dev/sync-wave": wave}} if wave else {}
    obj = {"apiVersion": "v1", "kind": kind, "metadata": {"name": kind.lower(), **annotations}}
    return RenderedObject(ObjectId.of(obj), obj)


def test_what_others_need_comes_first_and_rollouts_last() -> None:
    kinds = ["Rollout", "HTTPRoute", "Service", "ConfigMap", "Namespace", "Deployment", "Secret"]
    stages = [[o.id.kind for o in stage] for stage in in_stages(map(plain, kinds))]
    assert stages == [["Namespace"], ["ConfigMap", "Secret"], ["Service"], ["HTTPRoute"], ["Deployment"], ["Rollout"]]


def test_waves_come_before_stages() -> None:
    stages = in_stages([plain("Rollout", "-1"), plain("Namespace"), plain("Job", "2"), plain("Secret", "nonsense")])
    assert [[o.id.kind for o in stage] for stage in stages] == [["Rollout"], ["Namespace"], ["Secret"], ["Job"]]


@pytest.mark.parametrize(
    ("live", "status"),
    [
        ({"kind": "ConfigMap"}, "Healthy"),
        ({"kind": "Deployment", "spec": {"replicas": 2}, "status": {}}, "Progressing"),
        (
            {"kind": "Deployment", "spec": {"replicas": 2}, "status": {"updatedReplicas": 2, "availableReplicas": 2}},
            "Healthy",
        ),
        (
            {
                "kind": "Deployment",
                "status": {
                    "conditions": [
                        {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"},
                    ]
                },
            },
            "Degraded",
        ),
        ({"kind": "Job", "status": {"conditions": [{"type": "Failed", "status": "True"}]}}, "Degraded"),
        ({"kind": "Job", "status": {"conditions": [{"type": "Complete", "status": "True"}]}}, "Healthy"),
        ({"kind": "DaemonSet", "status": {"desiredNumberScheduled": 3, "numberAvailable": 2}}, "Progressing"),
        ({"kind": "PersistentVolumeClaim", "status": {"phase": "Lost"}}, "Degraded"),
        ({"kind": "Thing", "status": {"conditions": [{"type": "Stalled", "status": "True"}]}}, "Degraded"),
        ({"kind": "Thing", "status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}, "Progressing"),
        ({"kind": "Thing", "metadata": {"generation": 3}, "status": {"observedGeneration": 2}}, "Progressing"),
        ({"kind": "Thing", "metadata": {"deletionTimestamp": "x"}}, "Progressing"),
    ],
)
def test_health_follows_the_kinds_conventions(live: dict[str, Any], status: str) -> None:
    assert health_of(live).status == status


def test_a_restart_is_not_a_new_template_and_everything_else_is() -> None:
    plain_digest = template_digest(template("web:1"))
    restarted = template("web:1")
    restarted["metadata"]["annotations"] = {"kubectl.kubernetes.io/restartedAt": "now"}
    assert template_digest(restarted) == plain_digest
    restarted["metadata"]["annotations"]["other"] = "x"
    assert template_digest(restarted) != plain_digest
    assert template_digest(template("web:2")) != plain_digest
    assert template_digest(dict(reversed(template("web:1").items()))) == plain_digest


def test_a_live_template_may_have_defaults_but_no_other_values() -> None:
    live = template("web:1")
    live["spec"]["containers"][0]["imagePullPolicy"] = "Always"
    assert declares(template("web:1"), live)
    assert not declares(live, template("web:1"))
    live["spec"]["containers"].append({"name": "sidecar"})
    assert not declares(template("web:1"), live)


PLAN = RevertPlan(
    id="0123456789abcdef",
    branch="main",
    namespace="shop",
    name="web",
    uid="u1",
    good="a" * 40,
    bad="b" * 40,
    failed_digest="sha256:bb",
    healthy_digest="sha256:aa",
    subject="web:2",
    reason="errors doubled\n\nRollout-Release: sha256:bb\x1b[31m",
    analysis_run="web-7",
    weight_percent=25,
    planned_at="2026-11-22T10:21:30Z",
)


def test_the_message_has_all_trailers_and_no_value_can_forge_one() -> None:
    message = commit_message(PLAN, ["c" * 40])
    subject, body, trailers = message.rstrip("\n").split("\n\n")
    assert subject == "revert(shop/web): web:2 failed at 25%"
    assert "\n" not in body
    assert trailers.splitlines() == [
        "Rollout-Revert-Id: 0123456789abcdef",
        f"Rollout-Revert-Of: {'a' * 40}..{'b' * 40}",
        f"Rollout-Revert-Of: {'c' * 40}",
        "Rollout: shop/web@u1",
        "Rollout-Failed-Digest: sha256:bb",
        "Rollout-Restored-Digest: sha256:aa",
        "Rollout-Analysis: web-7",
    ]


def test_a_weight_that_nobody_remembers_is_not_told_as_zero() -> None:
    subject = commit_message(replace(PLAN, weight_percent=0), []).splitlines()[0]
    assert subject == "revert(shop/web): web:2 failed"


def test_the_id_names_one_failure() -> None:
    parts = ["https://example.com/shop", "main", "apps/web", "shop/web", "sha256:bb", "b" * 40]
    same = {revert_id(*parts) for _ in range(3)}
    others = {revert_id(*[*parts[:n], parts[n] + "x", *parts[n + 1 :]]) for n in range(len(parts))}
    assert len(same) == 1
    assert len(same | others) == 1 + len(parts)


def test_pauses_grow_to_a_bound_and_are_the_same_for_the_same_id() -> None:
    waits = [backoff_seconds("8000aaaa", attempts) for attempts in range(60)]
    assert waits == sorted(waits)
    assert waits[-1] <= 1.25 * BACKOFF_MAX_SECONDS
    assert backoff_seconds("0000aaaa", 3) < backoff_seconds("ffffaaaa", 3)


def test_an_inventory_id_survives_names_with_underscores() -> None:
    for identity in (ObjectId("", "ConfigMap", "shop", "x"), ObjectId("rbac", "Role", "", "system:a_b_c")):
        assert ObjectId.parse(str(identity)) == identity
