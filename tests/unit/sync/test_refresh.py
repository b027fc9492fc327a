"""A refresh that a person asked for is answered in the status, so that whoever waits knows when."""

from dataclasses import replace

import msgspec
import pytest

from rollout.api.gitrepository import GitRepository
from rollout.domain.sync.application import decide
from rollout.domain.sync.plan import Pushed
from rollout.domain.sync.repository import RepositoryWorld, decide_repository
from tests.unit.sync.harness import B, C, Cluster, D, failed_cluster, healthy_cluster, rollout_object


def asked(cluster: Cluster, value: str = "r1") -> None:
    cluster.annotate(refresh=value)
    cluster.world = replace(cluster.world, refresh_asked=value)


def handled(cluster: Cluster) -> str:
    return decide(cluster.world, cluster.now).status.last_handled_refresh


def test_a_refresh_is_answered_by_a_pass_that_began_after_it() -> None:
    cluster = healthy_cluster()
    asked(cluster)
    assert handled(cluster) == ""
    cluster.world = replace(cluster.world, refresh_answered="r1", running=frozenset({"apply"}))
    assert handled(cluster) == ""
    cluster.world = replace(cluster.world, running=frozenset())
    assert handled(cluster) == "r1"


def test_a_pass_that_failed_answers_too() -> None:
    cluster = healthy_cluster()
    asked(cluster)
    failure = (next(iter(cluster.world.rendered.objects)).id, "refused")
    cluster.world = replace(
        cluster.world, refresh_answered="r1", applied=replace(cluster.world.applied, failures=(failure,))
    )
    assert handled(cluster) == "r1"
    assert decide(cluster.world, cluster.now).status.conditions


def test_a_held_revision_is_an_answer_since_no_pass_will_come() -> None:
    cluster = failed_cluster()
    cluster.outcome = Pushed(C)
    cluster.settle()
    assert cluster.condition("Synced") == ("False", "RevisionQuarantined")
    asked(cluster)
    assert handled(cluster) == "r1"


def test_a_render_under_way_is_no_answer() -> None:
    cluster = healthy_cluster()
    cluster.push(B, rollout_object("web:2"))
    asked(cluster)
    cluster.world = replace(cluster.world, refresh_answered="r1")
    assert handled(cluster) == ""


def test_an_answer_stays_until_the_next_one() -> None:
    cluster = healthy_cluster()
    asked(cluster)
    cluster.world = replace(cluster.world, refresh_answered="r1")
    cluster.turn()
    asked(cluster, "r2")
    assert handled(cluster) == "r1"


@pytest.mark.parametrize(("suspend", "answer"), [(False, "r1"), (True, "r2")])
def test_a_repository_answers_by_a_look_at_the_host_or_says_that_it_takes_none(suspend: bool, answer: str) -> None:
    spec = {"url": "https://example.com/shop.git", "ref": {"branch": "main"}, "suspend": suspend}
    repository = msgspec.convert({"metadata": {"name": "shop", "generation": 1}, "spec": spec}, GitRepository)
    world = RepositoryWorld(
        repository, commit=D, tried_at=100.0, tried_generation=1, refresh_asked="r2", refresh_answered="r1"
    )
    assert decide_repository(world, 200.0).status.last_handled_refresh == answer
