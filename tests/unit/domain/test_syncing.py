"""What an Application does beside the plain way: missing parts, tries that are repeated, objects that are not well."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from rollout.api.revert import RevertPolicy
from rollout.domain.sync.actions import StartApply, StartRender
from rollout.domain.sync.application import decide
from rollout.domain.sync.health import health_of
from rollout.domain.sync.objects import ObjectId, RenderFailure
from rollout.domain.sync.plan import Pushed
from rollout.domain.sync.sameness import other_differences
from rollout.domain.sync.world import PruneReport
from tests.unit.sync.harness import (
    A,
    B,
    C,
    Cluster,
    config_object,
    failed_cluster,
    healthy_cluster,
    rendered,
    rollout_object,
)

CONF = config_object("conf").id


def synced(cluster: Cluster) -> tuple[str, str]:
    """Reason and words of the condition Synced after one turn."""
    conditions = cluster.turn().status.conditions
    found = next(c for c in conditions if c.type == "Synced")
    return found.reason, found.message


def test_an_application_without_its_repository_says_which_one_is_missing() -> None:
    cluster = Cluster()
    cluster.world = replace(cluster.world, repository=None)
    assert synced(cluster) == ("RepositoryMissing", "GitRepository shop does not exist here")


@pytest.mark.parametrize(("error", "words"), [("", "the repository was not fetched yet"), ("401", "401")])
def test_an_application_waits_for_the_first_fetch_with_the_hosts_words(error: str, words: str) -> None:
    cluster = Cluster()
    assert cluster.world.repository is not None
    cluster.world = replace(cluster.world, repository=replace(cluster.world.repository, error=error))
    decision = decide(cluster.world, cluster.now)
    assert decision.actions == ()
    assert synced(cluster) == ("RepositoryNotReady", words)


def test_a_render_that_failed_for_a_while_is_tried_again_at_its_time() -> None:
    cluster = healthy_cluster()
    cluster.head(B)
    failure = RenderFailure(B, "kubectl was killed", transient=True, at=cluster.now)
    cluster.world = replace(cluster.world, report=failure)
    decision = decide(cluster.world, cluster.now)
    assert decision.actions == ()
    assert decision.wake_at is not None
    assert decision.wake_at > cluster.now
    assert decide(cluster.world, decision.wake_at).actions == (StartRender(B),)


def test_a_render_that_cannot_succeed_waits_for_another_commit() -> None:
    cluster = healthy_cluster()
    cluster.head(B)
    cluster.world = replace(cluster.world, report=RenderFailure(B, "not YAML", at=cluster.now))
    assert decide(cluster.world, cluster.now + 1e6).actions == ()
    assert synced(cluster)[0] == "RenderFailed"


def test_a_commit_that_changes_nothing_here_is_taken_over_without_a_pass() -> None:
    cluster = healthy_cluster()
    passes = list(cluster.applied)
    cluster.push(B, rollout_object("web:1"), config_object("conf"))
    cluster.settle()
    assert cluster.applied == passes
    assert cluster.app.status.applied_revision == f"main@sha1:{B}"
    assert synced(cluster) == ("Applied", f"{B[:7]} is applied")
    due = decide(cluster.world, cluster.now).wake_at
    assert due is not None, "the full check for drift stays due"
    cluster.now = due
    assert any(isinstance(action, StartApply) for action in decide(cluster.world, due).actions)


@pytest.mark.parametrize("left", ["failures", "drifted"])
def test_a_commit_that_changes_nothing_here_is_applied_where_the_last_pass_left_something(left: str) -> None:
    cluster = healthy_cluster()
    assert cluster.world.applied is not None
    found: Any = ((CONF, "forbidden"),) if left == "failures" else (CONF,)
    cluster.world = replace(cluster.world, applied=replace(cluster.world.applied, **{left: found}))
    cluster.push(B, rollout_object("web:1"), config_object("conf"))
    cluster.settle()
    assert cluster.applied[-1] == B


def test_what_could_not_be_applied_is_listed_and_tried_again() -> None:
    cluster = healthy_cluster()
    cluster.apply_failures = tuple((config_object(f"c{n}").id, "forbidden") for n in range(7))
    cluster.push(B, rollout_object("web:1"), config_object("conf"), config_object("more"))
    for _ in range(4):
        cluster.turn()
    reason, words = synced(cluster)
    assert reason == "ApplyFailed"
    assert words.endswith("and 2 more")
    wake_at = decide(cluster.world, cluster.now).wake_at
    assert wake_at is not None
    assert any(isinstance(action, StartApply) for action in decide(cluster.world, wake_at).actions)


def test_an_object_that_is_not_well_is_looked_at_again_and_named() -> None:
    cluster = healthy_cluster()
    assert cluster.world.applied is not None
    ill = replace(cluster.world.applied, unhealthy=((CONF, "is not bound yet"),))
    cluster.world = replace(cluster.world, applied=ill)
    cluster.turn()
    ready = next(c for c in cluster.world.application.status.conditions if c.type == "Ready")
    assert (ready.status, ready.reason) == ("False", "Progressing")
    assert "is not bound yet" in ready.message
    soon = decide(cluster.world, cluster.now).wake_at
    assert soon is not None
    assert soon - cluster.now < 60


def test_what_could_not_be_pruned_is_named() -> None:
    cluster = healthy_cluster(sync={"prune": True, "pruneLimit": "100%"})
    cluster.push(B, rollout_object("web:1"))
    cluster.settle()
    assert cluster.pruned == [CONF]
    cluster.world = replace(cluster.world, pruned=PruneReport(B, frozenset(), ((CONF, "forbidden"),)))
    reason, words = synced(cluster)
    assert reason == "PruneFailed"
    assert "forbidden" in words


def test_an_application_that_is_deleted_starts_nothing_any_more() -> None:
    cluster = failed_cluster()
    cluster.turn()
    meta = msgspec.structs.replace(cluster.world.application.metadata, deletion_timestamp="2026-01-01T00:00:00Z")
    cluster.world = replace(
        cluster.world, application=msgspec.structs.replace(cluster.world.application, metadata=meta)
    )
    decision = decide(cluster.world, cluster.now)
    assert decision.actions == ()
    assert decision.status == cluster.world.application.status


def test_another_template_with_the_failed_image_is_held_by_the_images_digest() -> None:
    cluster = failed_cluster()
    cluster.outcome = Pushed(C)
    cluster.settle()
    cluster.push("d" * 40, rollout_object("registry/web@sha256:web:2", env="other"))
    record = cluster.record
    assert record.quarantine[0].images == ("sha256:web:2",)
    cluster.settle()
    assert cluster.condition("Synced") == ("False", "RevisionQuarantined")


def test_a_failure_with_nothing_healthy_before_blames_no_image_and_cannot_be_reverted() -> None:
    cluster = Cluster()
    cluster.push(A, rollout_object("web:1"))
    for _ in range(4):
        cluster.turn()
    cluster.fails("web:1")
    cluster.settle()
    assert cluster.record.quarantine[0].images == ()
    assert (cluster.record.revert.phase, cluster.record.revert.reason) == ("Blocked", "NoHealthyRevision")


@pytest.mark.parametrize("mode", ["Pin", "PullRequest"])
def test_a_way_of_reverting_that_is_not_built_yet_is_said(mode: str) -> None:
    cluster = failed_cluster(revert={"mode": "Commit"})
    view = cluster.world.rollouts[0]
    policy = msgspec.convert({"mode": mode}, RevertPolicy)
    cluster.world = replace(cluster.world, rollouts=(replace(view, policy=policy),))
    cluster.settle()
    assert (cluster.record.revert.phase, cluster.record.revert.reason) == ("Blocked", "NotSupportedYet")
    assert mode in cluster.record.revert.message


def test_a_rollouts_own_patience_beats_its_applications() -> None:
    cluster = failed_cluster(revert={"maxFailureAge": "24h"})
    view = cluster.world.rollouts[0]
    policy = msgspec.convert({"maxFailureAge": "1m"}, RevertPolicy)
    cluster.now += 600
    cluster.world = replace(cluster.world, rollouts=(replace(view, policy=policy),))
    cluster.settle()
    assert cluster.record.revert.reason == "TooOld"


@pytest.mark.parametrize(("phase", "status"), [("Lost", "Degraded"), ("Pending", "Progressing"), ("Bound", "Healthy")])
def test_a_claim_is_healthy_once_it_is_bound(phase: str, status: str) -> None:
    assert health_of({"kind": "PersistentVolumeClaim", "status": {"phase": phase}}).status == status


def test_rollouts_and_running_jobs_are_judged_by_their_own_rules() -> None:
    assert health_of({"kind": "Rollout", "status": {"observedGeneration": 0}}).status == "Healthy"
    assert health_of({"kind": "Job", "status": {}}).status == "Progressing"
    failed = {"type": "ReplicaFailure", "status": "True", "message": "quota"}
    assert health_of({"kind": "ReplicaSet", "status": {"conditions": [failed]}}).status == "Degraded"


def test_a_result_may_differ_in_the_rollout_and_its_configuration_and_in_nothing_else() -> None:
    def declaring(config: str, *others: str) -> Any:
        web = rollout_object("web:1")
        web.obj["spec"]["template"]["spec"]["volumes"] = [{"name": "c", "configMap": {"name": config}}]
        return rendered(A, web, config_object(config), *map(config_object, others))

    before, after = declaring("conf-1", "theirs"), declaring("conf-2", "theirs")
    assert other_differences(before, after, "shop", "web") == ()
    assert other_differences(before, declaring("conf-2"), "shop", "web") == (config_object("theirs").id,)
    assert other_differences(before, after, "shop", "api") == tuple(
        sorted([rollout_object("web:1").id, config_object("conf-1").id, config_object("conf-2").id])
    )


def test_objects_are_told_by_kind_and_name() -> None:
    web = rollout_object("web:1")
    assert ObjectId.parse(str(web.id)) == web.id
