"""Turns of an Application in bad luck: what comes back, what fails twice, and that nothing is tried without a pause."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from rollout.domain.sync.actions import StartPrune, StartRender, StartRevert
from rollout.domain.sync.objects import RenderFailure
from rollout.domain.sync.plan import Blocked, Pushed
from rollout.domain.sync.syncing import RETRY_RENDER_SECONDS, RETRY_SECONDS
from rollout.domain.sync.world import PruneReport, TrailerFact
from tests.unit.sync.harness import (
    A,
    B,
    C,
    Cluster,
    D,
    application,
    commit_of,
    config_object,
    digest_of,
    failed_cluster,
    healthy_cluster,
    rollout_object,
)

E = commit_of("e")


def test_an_object_that_comes_back_is_pruned_again() -> None:
    cluster = healthy_cluster(sync={"prune": True, "pruneLimit": "60%"})
    for commit in (B, D):
        cluster.push(commit, rollout_object("web:1"))
        cluster.settle()
        cluster.push(C, rollout_object("web:1"), config_object("conf"))
        cluster.settle()
    cluster.push(E, rollout_object("web:1"))
    cluster.settle()
    assert [i.name for i in cluster.pruned] == ["conf", "conf", "conf"]
    assert cluster.app.status.inventory.count == 1


class Refusing(Cluster):
    """The API server deletes nothing."""

    tries = 0

    def play(self, action: object) -> None:
        if not isinstance(action, StartPrune):
            super().play(action)
            return
        self.tries += 1
        report = PruneReport(action.commit, frozenset(), ((action.objects[0], "forbidden"),), self.now)
        self.world = replace(self.world, pruned=report)


def test_a_prune_that_is_refused_is_tried_again_after_a_pause() -> None:
    cluster = Refusing(application(sync={"prune": True, "pruneLimit": "60%"}))
    cluster.push(A, rollout_object("web:1"), config_object("conf"))
    cluster.settle()
    cluster.push(B, rollout_object("web:1"))
    cluster.settle()
    assert cluster.tries == 1
    assert cluster.condition("Synced") == ("False", "PruneFailed")
    assert cluster.turn().wake_at == cluster.now + RETRY_SECONDS
    cluster.now += RETRY_SECONDS
    cluster.settle()
    assert cluster.tries == 2


def test_a_render_that_time_may_mend_is_tried_again_after_a_pause() -> None:
    cluster = healthy_cluster()
    cluster.commits[B] = RenderFailure(B, "git took longer than 60 s", transient=True, at=cluster.now)
    cluster.head(B)
    renders = [a for _ in range(5) for a in cluster.turn().actions if isinstance(a, StartRender)]
    assert len(renders) == 1
    assert cluster.turn().wake_at == cluster.now + RETRY_RENDER_SECONDS
    cluster.now += RETRY_RENDER_SECONDS
    assert cluster.turn().actions == (StartRender(B),)


def test_a_release_in_git_counts_once_and_not_for_a_later_failure() -> None:
    cluster = failed_cluster()
    cluster.outcome = Blocked("Conflict", "by hand, please")
    cluster.settle()
    trailers = (
        TrailerFact(D, 0, released=(digest_of("web:2"),)),
        TrailerFact(C, 1),
        TrailerFact(B, 2),
        TrailerFact(A, 3),
    )
    cluster.push(D, rollout_object("web:2"), config_object("conf"), trailers=trailers)
    cluster.now += 10
    cluster.settle()
    assert cluster.record.quarantine[-1].released_at
    assert cluster.world.application.status.applied_revision == f"main@sha1:{D}"
    assert cluster.retried == ["web"]
    cluster.now += 60
    cluster.fails("web:2")
    cluster.settle()
    assert not cluster.record.quarantine[-1].released_at
    assert cluster.condition("Synced") == ("False", "RevisionQuarantined")


def test_a_version_declared_again_before_the_return_arrived_is_no_new_failure() -> None:
    cluster = failed_cluster()
    cluster.outcome = Pushed(C)
    cluster.settle()
    still_failed = cluster.world.rollouts
    cluster.push(C, rollout_object("web:1"), config_object("conf"))
    for commit in (C, D):
        cluster.now += 5
        if commit == D:
            cluster.push(D, rollout_object("web:2"), config_object("other"))
        for _ in range(5):
            cluster.turn()
            cluster.world = replace(cluster.world, rollouts=still_failed)
    assert len(cluster.plans) == 1
    assert cluster.condition("Synced") == ("False", "RevisionQuarantined")


def test_what_failed_stays_in_quarantine_while_git_does_not_declare_its_rollout() -> None:
    cluster = failed_cluster(revert={"mode": "None"})
    cluster.settle()
    cluster.push(C, config_object("conf"))
    cluster.settle()
    assert cluster.record.current is None
    cluster.world = replace(cluster.world, rollouts=())
    cluster.settle()
    cluster.push(D, rollout_object("web:2"), config_object("conf"))
    cluster.settle()
    assert cluster.condition("Synced") == ("False", "RevisionQuarantined")
    assert cluster.applied == [A, B, C]


def test_a_blocked_revert_of_a_rollout_that_is_gone_blocks_nothing_any_more() -> None:
    cluster = failed_cluster()
    cluster.outcome = Blocked("PushRejected", "no")
    cluster.settle()
    assert cluster.condition("Stalled")[0] == "True"
    cluster.world = replace(cluster.world, rollouts=())
    cluster.push(C, config_object("conf"))
    cluster.settle()
    assert cluster.condition("Stalled")[0] == "False"
    assert cluster.record.revert is None


def test_records_without_a_quarantine_go_with_their_rollout() -> None:
    cluster = healthy_cluster()
    cluster.push(B, config_object("conf"))
    cluster.settle()
    assert cluster.app.status.rollouts == ()


@pytest.mark.parametrize(
    "stop",
    [{"suspend": True}, {"revert": {"mode": "None"}}, "repository suspended", "repository invalid"],
)
def test_a_planned_revert_waits_while_somebody_has_stopped_pushes(stop: Any) -> None:
    cluster = failed_cluster()
    cluster.turn()
    assert cluster.record.revert.phase == "Planned"
    before = cluster.world
    assert before.repository is not None
    if isinstance(stop, dict):
        changed = msgspec.structs.replace(before.application, spec=application(**stop).spec)
        cluster.world = replace(before, application=changed)
    elif stop == "repository suspended":
        cluster.world = replace(before, repository=replace(before.repository, suspended=True))
    else:
        cluster.world = replace(before, repository=replace(before.repository, valid=False))
    starts = [a for _ in range(5) for a in cluster.turn().actions if isinstance(a, StartRevert)]
    assert starts == []
    assert cluster.record.revert.phase == "Planned"
