"""Turns of an Application as stories: what failed is not deployed again, and Git is taken back exactly once."""

from dataclasses import replace

import pytest

from rollout.domain.clock import rfc3339
from rollout.domain.sync.actions import StartApply, StartRevert
from rollout.domain.sync.application import decide
from rollout.domain.sync.objects import RenderFailure
from rollout.domain.sync.plan import AlreadyReverted, Blocked, Pushed, Superseded, TryAgain
from rollout.domain.sync.world import ApplicationWorld, TrailerFact
from tests.unit.sync.harness import (
    A,
    B,
    C,
    D,
    application,
    config_object,
    digest_of,
    failed_cluster,
    healthy_cluster,
    rollout_object,
)


def test_a_good_revision_is_applied_and_becomes_the_last_healthy_one() -> None:
    cluster = healthy_cluster()
    assert cluster.applied == [A]
    assert cluster.record.last_healthy.revision == A
    assert cluster.record.last_healthy.images[0].digest == "sha256:web:1"
    assert cluster.condition("Synced") == ("True", "Applied")
    assert cluster.condition("Ready") == ("True", "Healthy")
    assert cluster.app.status.inventory.count == 2


def test_the_inventory_is_published_before_anything_is_applied() -> None:
    cluster = healthy_cluster()
    cluster.push(B, rollout_object("web:1"), config_object("conf"), config_object("new"))
    for _ in range(10):
        known = {entry.id for entry in cluster.app.status.inventory.entries}
        applies = [action for action in cluster.turn().actions if isinstance(action, StartApply)]
        if applies:
            assert {str(o.id) for o in applies[0].rendered.objects} <= known
            return
    pytest.fail("nothing was applied")


def test_a_failure_is_planned_then_pushed_then_held() -> None:
    cluster = failed_cluster()
    cluster.outcome = Pushed(C)
    first = cluster.turn()
    assert not any(isinstance(action, StartRevert) for action in first.actions)
    assert cluster.record.revert.phase == "Planned"
    assert cluster.record.quarantine[0].template_digest == digest_of("web:2")
    cluster.settle()
    assert [plan.id for plan in cluster.plans] == [cluster.record.revert.id]
    assert (cluster.plans[0].good, cluster.plans[0].bad) == (A, B)
    assert cluster.record.revert.phase == "Pushed"
    assert cluster.record.revert.commit == C
    assert cluster.condition("Reverted") == ("True", "Pushed")
    assert cluster.condition("Synced") == ("False", "RevisionQuarantined")
    assert cluster.applied == [A, B]


def test_git_waits_for_the_traffic() -> None:
    cluster = failed_cluster()
    cluster.fails("web:2", restored=False)
    cluster.settle()
    assert cluster.record.revert is None
    assert cluster.plans == []
    assert cluster.condition("Synced") == ("False", "RevisionQuarantined")
    cluster.fails("web:2", restored=True)
    cluster.outcome = Pushed(C)
    cluster.settle()
    assert len(cluster.plans) == 1


def test_after_the_push_the_return_to_stable_is_applied_and_ready_again() -> None:
    cluster = failed_cluster()
    cluster.outcome = Pushed(C)
    cluster.settle()
    cluster.push(C, rollout_object("web:1"), config_object("conf"))
    cluster.settle()
    assert cluster.applied == [A, B, C]
    cluster.lives("web:1")
    cluster.settle()
    assert cluster.condition("Ready") == ("True", "Healthy")
    assert cluster.condition("Reverted") == ("True", "Pushed")
    assert cluster.record.last_healthy.revision == C


@pytest.mark.parametrize("env", ["", "changed"])
def test_the_same_image_declared_again_is_refused_without_a_second_revert(env: str) -> None:
    cluster = failed_cluster()
    cluster.outcome = Pushed(C)
    cluster.settle()
    cluster.push(C, rollout_object("web:1"), config_object("conf"))
    cluster.settle()
    cluster.lives("web:1")
    cluster.push(D, rollout_object("web:2", env), config_object("other"))
    cluster.settle()
    assert cluster.condition("Synced") == ("False", "RevisionQuarantined")
    assert cluster.applied == [A, B, C]
    assert len(cluster.plans) == 1


def test_a_failure_by_configuration_only_does_not_ban_the_image_of_stable() -> None:
    cluster = healthy_cluster()
    cluster.push(B, rollout_object("web:1", "broken"))
    cluster.settle()
    cluster.fails("web:1", "broken")
    cluster.outcome = Pushed(C)
    cluster.settle()
    entry = cluster.record.quarantine[0]
    assert (entry.images, entry.references) == ((), ())
    cluster.push(D, rollout_object("web:1", "fixed"))
    cluster.settle()
    assert cluster.applied[-1] == D


def test_a_fix_forward_is_applied_at_once() -> None:
    cluster = failed_cluster()
    cluster.outcome = Superseded("fixed forward")
    cluster.settle()
    assert cluster.condition("Reverted") == ("False", "Superseded")
    cluster.push(C, rollout_object("web:3"))
    cluster.settle()
    assert cluster.applied[-1] == C


def test_a_failure_that_git_no_longer_declares_is_not_reverted() -> None:
    cluster = healthy_cluster()
    cluster.push(B, rollout_object("web:2"))
    cluster.settle()
    cluster.push(C, rollout_object("web:3"))
    cluster.world = replace(cluster.world, running=frozenset({"apply"}))
    cluster.settle()
    cluster.fails("web:2")
    cluster.settle()
    assert cluster.plans == []
    assert cluster.record.quarantine[0].template_digest == digest_of("web:2")


def test_a_human_revert_is_recognised() -> None:
    cluster = failed_cluster()
    cluster.outcome = AlreadyReverted(C)
    cluster.settle()
    assert cluster.condition("Reverted") == ("True", "AlreadyReverted")


def test_a_host_that_is_down_is_tried_again_with_growing_pauses_and_pods_stay_safe() -> None:
    cluster = failed_cluster()
    cluster.outcome = TryAgain("RemoteUnavailable", "connection refused")
    cluster.settle()
    waits = []
    for _ in range(4):
        assert cluster.condition("Reverted") == ("False", "RemoteUnavailable")
        wake = decide(cluster.world, cluster.now).wake_at
        assert wake is not None
        waits.append(wake - cluster.now)
        cluster.now = wake
        cluster.settle()
    assert waits == sorted(waits)
    assert len({plan.id for plan in cluster.plans}) == 1
    assert len({plan.planned_at for plan in cluster.plans}) == 1
    assert cluster.applied == [A, B]
    cluster.outcome = Pushed(C)
    cluster.now += 1000
    cluster.settle()
    assert cluster.record.revert.phase == "Pushed"


def test_a_blocked_revert_says_why_and_is_not_tried_again() -> None:
    cluster = failed_cluster()
    cluster.outcome = Blocked("PushRejected", "the host refused the push: GH006")
    cluster.settle()
    cluster.now += 10_000
    cluster.settle()
    assert len(cluster.plans) == 1
    assert cluster.condition("Reverted") == ("False", "RevertBlocked")
    assert "GH006" in cluster.record.revert.message
    assert cluster.condition("Stalled")[0] == "True"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"branch": ""}, "NoBranch"),
        ({"writable": False}, "NotWritable"),
    ],
)
def test_a_revert_that_cannot_be_tried_is_blocked_with_its_reason(change: dict[str, object], reason: str) -> None:
    cluster = failed_cluster(revert={"mode": "Commit"})
    assert cluster.world.repository is not None
    cluster.world = replace(cluster.world, repository=replace(cluster.world.repository, **change))  # type: ignore[arg-type]
    cluster.settle()
    assert (cluster.record.revert.phase, cluster.record.revert.reason) == ("Blocked", reason)
    assert cluster.plans == []


def test_without_write_the_default_is_no_revert_but_the_quarantine_holds() -> None:
    cluster = failed_cluster()
    assert cluster.world.repository is not None
    cluster.world = replace(cluster.world, repository=replace(cluster.world.repository, writable=False))
    cluster.settle()
    assert cluster.record.revert is None
    assert cluster.condition("Synced") == ("False", "RevisionQuarantined")


def test_an_old_failure_is_reported_not_reverted() -> None:
    cluster = failed_cluster(revert={"maxFailureAge": "10m"})
    cluster.fails("web:2", age=601)
    cluster.settle()
    assert cluster.record.revert.reason == "TooOld"


def test_only_the_wanted_causes_are_reverted() -> None:
    cluster = failed_cluster()
    cluster.fails("web:2", cause="AbortedByUser")
    cluster.settle()
    assert cluster.record.revert is None
    assert cluster.record.quarantine == ()
    wanted = failed_cluster(revert={"triggers": ["AbortedByUser"]})
    wanted.fails("web:2", cause="AbortedByUser")
    wanted.outcome = Pushed(C)
    wanted.settle()
    assert wanted.record.revert.phase == "Pushed"


def test_more_failures_than_allowed_within_an_hour_wait() -> None:
    cluster = failed_cluster()
    assert cluster.world.repository is not None
    cluster.world = replace(cluster.world, repository=replace(cluster.world.repository, reverts_last_hour=5))
    cluster.settle()
    assert cluster.plans == []
    assert cluster.record.revert.reason == "RateLimited"


def test_a_retry_before_the_push_lifts_the_quarantine_and_the_revert() -> None:
    cluster = failed_cluster()
    cluster.turn()
    cluster.lives("web:2", healthy=False)
    cluster.settle()
    assert cluster.record.quarantine[0].released_at
    assert cluster.record.revert.phase == "Superseded"
    assert cluster.plans == []
    assert cluster.condition("Synced")[0] == "True"


def test_after_the_push_only_a_release_lifts_the_quarantine() -> None:
    cluster = failed_cluster()
    cluster.outcome = Pushed(C)
    cluster.settle()
    cluster.push(C, rollout_object("web:1"))
    cluster.settle()
    cluster.lives("web:1")
    cluster.push(D, rollout_object("web:2"))
    cluster.settle()
    assert cluster.condition("Synced") == ("False", "RevisionQuarantined")
    cluster.annotate(release=digest_of("web:2"))
    cluster.settle()
    assert cluster.applied[-1] == D
    assert cluster.app.metadata.annotations == {}
    cluster.now += 60
    cluster.fails("web:2")
    cluster.outcome = Pushed(A)
    cluster.settle()
    assert not cluster.record.quarantine[-1].released_at
    assert len({plan.id for plan in cluster.plans}) == 2


def test_a_release_of_a_blocked_revert_retries_the_rollout() -> None:
    cluster = failed_cluster()
    cluster.outcome = Blocked("PushRejected", "no")
    cluster.settle()
    cluster.now += 60
    cluster.annotate(release="all")
    cluster.settle()
    assert cluster.retried == ["web"]
    assert cluster.condition("Synced") == ("True", "Applied")


def test_a_trailer_in_a_later_commit_releases_the_digest() -> None:
    cluster = failed_cluster()
    cluster.outcome = Pushed(C)
    cluster.settle()
    released = TrailerFact(D, 0, released=(digest_of("web:2"),))
    ours = TrailerFact(C, 1, "shop/web", failed=(digest_of("web:2"),))
    cluster.push(D, rollout_object("web:2"), trailers=(released, ours, TrailerFact(B, 2), TrailerFact(A, 3)))
    cluster.settle()
    assert cluster.applied[-1] == D


def test_a_rebuilt_cluster_does_not_deploy_what_gits_trailers_say_failed() -> None:
    cluster = healthy_cluster()
    cluster.world = ApplicationWorld(application(), repository=cluster.world.repository)
    cluster.app = cluster.world.application
    cluster.applied.clear()
    ours = TrailerFact(C, 1, "shop/web", failed=(digest_of("web:2"),))
    cluster.push(D, rollout_object("web:2"), trailers=(TrailerFact(D, 0), ours, TrailerFact(B, 2)))
    cluster.settle()
    assert cluster.applied == []
    assert cluster.condition("Synced") == ("False", "RevisionQuarantined")


def test_trailers_that_were_released_later_do_not_count() -> None:
    cluster = healthy_cluster()
    cluster.world = ApplicationWorld(application(), repository=cluster.world.repository)
    ours = TrailerFact(B, 1, "shop/web", failed=(digest_of("web:2"),))
    released = TrailerFact(C, 0, released=(digest_of("web:2"),))
    cluster.push(C, rollout_object("web:2"), trailers=(released, ours))
    cluster.settle()
    assert cluster.applied == [A, C]


def test_a_broken_render_keeps_the_last_good_state_and_prunes_nothing() -> None:
    cluster = healthy_cluster(sync={"prune": True, "pruneLimit": "100%"})
    cluster.commits[B] = RenderFailure(B, "apps/web/x.yaml: not YAML")
    cluster.head(B)
    cluster.settle()
    assert cluster.condition("Synced") == ("False", "RenderFailed")
    assert cluster.condition("Stalled")[0] == "True"
    assert cluster.pruned == []
    assert cluster.applied == [A]


def test_a_removed_object_is_pruned_after_the_apply() -> None:
    cluster = healthy_cluster(sync={"prune": True, "pruneLimit": "60%"})
    cluster.push(B, rollout_object("web:1"))
    cluster.settle()
    assert [i.name for i in cluster.pruned] == ["conf"]
    assert cluster.app.status.inventory.count == 1


def test_nothing_is_pruned_while_something_cannot_be_applied() -> None:
    cluster = healthy_cluster(sync={"prune": True, "pruneLimit": "100%"})
    cluster.apply_failures = ((rollout_object("web:1").id, "no"),)
    cluster.push(B, rollout_object("web:1"))
    cluster.settle()
    assert cluster.pruned == []
    assert cluster.condition("Synced") == ("False", "ApplyFailed")
    assert cluster.app.status.applied_revision.endswith(A)


def test_a_large_prune_waits_for_a_person() -> None:
    cluster = healthy_cluster(sync={"prune": True})
    cluster.push(B, rollout_object("web:1"))
    cluster.settle()
    assert cluster.condition("Synced") == ("False", "PruneHeld")
    cluster.annotate(confirm_prune=A[:12])
    cluster.settle()
    assert cluster.pruned == []
    cluster.annotate(confirm_prune=B[:12])
    cluster.settle()
    assert [i.name for i in cluster.pruned] == ["conf"]


def test_drift_is_repaired_with_self_heal_and_reported_without() -> None:
    healing = healthy_cluster()
    healing.now += 10
    healing.world = replace(healing.world, touched=True)
    healing.settle()
    assert healing.applied == [A, A]
    watching = healthy_cluster(sync={"selfHeal": False})
    watching.now += 10
    watching.world = replace(watching.world, touched=True)
    watching.settle()
    assert watching.applied == [A]


def test_observe_applies_nothing_and_still_reverts() -> None:
    cluster = healthy_cluster(sync={"mode": "Observe"})
    assert cluster.applied == []
    assert cluster.record.last_healthy.revision == A
    cluster.push(B, rollout_object("web:2"))
    cluster.settle()
    cluster.fails("web:2")
    cluster.outcome = Pushed(C)
    cluster.settle()
    assert cluster.record.revert.phase == "Pushed"
    assert cluster.applied == []


def test_an_invalid_spec_does_nothing_at_all() -> None:
    cluster = healthy_cluster()
    cluster.world = replace(cluster.world, problems=("spec.source.helm: not supported yet",))
    decision = cluster.turn()
    assert decision.actions == ()
    assert cluster.condition("Stalled") == ("True", "InvalidSpec")
    assert cluster.record.last_healthy.revision == A


def test_a_suspended_application_records_failures_and_pushes_later() -> None:
    cluster = failed_cluster()
    spec = application(suspend=True).spec
    import msgspec

    cluster.app = msgspec.structs.replace(cluster.world.application, spec=spec)
    cluster.world = replace(cluster.world, application=cluster.app)
    cluster.settle()
    assert cluster.plans == []
    assert cluster.record.revert.phase == "Planned"


def test_the_transition_time_of_a_condition_moves_only_with_its_status() -> None:
    cluster = failed_cluster()
    cluster.outcome = Pushed(C)
    cluster.settle()
    before = next(c for c in cluster.app.status.conditions if c.type == "Synced").last_transition_time
    cluster.now += 500
    cluster.push(D, rollout_object("web:2"), config_object("other"))
    cluster.settle()
    after = next(c for c in cluster.app.status.conditions if c.type == "Synced").last_transition_time
    assert before <= after
    assert cluster.record.revert.planned_at < rfc3339(cluster.now)
