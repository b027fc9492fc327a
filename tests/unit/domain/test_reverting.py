"""A version that fails again after a person let it try again."""

from rollout.domain.sync.plan import Blocked, Pushed
from tests.unit.sync.harness import C, Cluster, failed_cluster


def fails_again(cluster: Cluster) -> None:
    """A user retries, and the same version of the same commit fails a minute later."""
    cluster.lives("web:2", healthy=False)
    cluster.settle()
    cluster.now += 60
    cluster.fails("web:2")


def test_a_failure_after_a_retry_is_taken_back_like_the_first() -> None:
    cluster = failed_cluster()
    cluster.turn()
    fails_again(cluster)
    assert cluster.record.revert.reason == "Released"
    cluster.turn()
    assert cluster.record.revert.phase == "Planned"
    assert cluster.plans == [], "the intent is published before the push begins"
    cluster.outcome = Pushed(C)
    cluster.settle()
    assert cluster.record.revert.phase == "Pushed"
    assert len(cluster.plans) == 1


def test_a_revert_that_was_blocked_is_tried_again_when_the_version_fails_again() -> None:
    cluster = failed_cluster()
    cluster.outcome = Blocked("PushRejected", "protected branch")
    cluster.settle()
    fails_again(cluster)
    cluster.outcome = Pushed(C)
    cluster.settle()
    assert cluster.record.revert.phase == "Pushed"
    assert len(cluster.plans) == 2


def test_what_was_pushed_is_never_pushed_again() -> None:
    cluster = failed_cluster()
    cluster.outcome = Pushed(C)
    cluster.settle()
    fails_again(cluster)
    cluster.settle()
    assert cluster.record.revert.phase == "Pushed"
    assert len(cluster.plans) == 1
