"""What is read of pods, from statuses as the API server shows them."""

from typing import Any

import pytest

from analysis.durations import format_time, parse_time
from analysis.evidence.guards import pods_guard
from rollout.controllers.pods_seen import KILLS_REMEMBERED, PODS_REMEMBERED, PodsSeen, memory_kills, pod_seen

BORN = parse_time("2026-11-22T10:00:00Z")
DEADLINE_SECONDS = 600.0
Json = dict[str, Any]


def at(seconds: float) -> str:
    return format_time(BORN + seconds)


def ended(number: int, seconds: float, reason: str = "OOMKilled", code: int = 137) -> Json:
    return {
        "containerID": f"containerd://{number:064x}",
        "exitCode": code,
        "reason": reason,
        "startedAt": at(seconds - 20),
        "finishedAt": at(seconds),
    }


def running(seconds: float) -> Json:
    return {"running": {"startedAt": at(seconds)}}


def crash_looping() -> Json:
    message = "back-off 40s restarting failed container=app pod=web-6d5f8c7b9d-x2x7p_shop(0f9c)"
    return {"waiting": {"reason": "CrashLoopBackOff", "message": message}}


def container(state: Json, restarts: int = 0, last: Json | None = None, name: str = "app") -> Json:
    return {
        "name": name,
        "image": "ghcr.io/acme/web:2",
        "imageID": "ghcr.io/acme/web@sha256:bad0",
        "containerID": "containerd://feed",
        "ready": "running" in state,
        "started": "running" in state,
        "restartCount": restarts,
        "state": state,
        "lastState": {} if last is None else {"terminated": last},
    }


def pod(*containers: Json, ready_since: float | None = None, unready_since: float = 0, name: str = "web-a") -> Json:
    """A pod that a node took at BORN; it is ready since, or is not."""
    conditions = [
        {"type": "Initialized", "status": "True", "lastTransitionTime": at(0)},
        {
            "type": "Ready",
            "status": "False" if ready_since is None else "True",
            "lastTransitionTime": at(unready_since if ready_since is None else ready_since),
        },
        {"type": "PodScheduled", "status": "True", "lastTransitionTime": at(0)},
    ]
    status = {"phase": "Running", "startTime": at(0), "conditions": conditions, "containerStatuses": [*containers]}
    return {"metadata": {"name": name, "namespace": "shop"}, "status": status}


def test_a_sound_pod_is_ready_since_its_container_started() -> None:
    seen = pod_seen(pod(container(running(3)), ready_since=12))
    assert (seen.started_at, seen.accepted_at, seen.began_at) == (BORN + 3, BORN, BORN)
    assert (seen.ready, seen.restarts, seen.memory_kills) == (True, 0, 0)


@pytest.mark.parametrize(
    ("containers", "kills"),
    [
        ([container(crash_looping(), 1, ended(1, 25))], 1),
        ([container({"terminated": ended(2, 60)}, 1, ended(1, 25))], 2),
        ([container(running(80), 7, ended(1, 25))], 1),
        ([container(crash_looping(), 5, ended(1, 25, "Error", 1))], 0),
        ([container(running(80), 1, ended(1, 25, "Error", 137))], 0),
        ([container(running(80), 1, ended(1, 25)), container(running(80), 1, ended(2, 25), "proxy")], 2),
    ],
)
def test_an_end_counts_where_it_was_by_oomkilled(containers: list[Json], kills: int) -> None:
    assert pod_seen(pod(*containers)).memory_kills == kills


def test_a_container_that_initialises_counts_too() -> None:
    killed = pod()
    killed["status"]["initContainerStatuses"] = [container(crash_looping(), 1, ended(1, 25), "migrate")]
    assert pod_seen(killed).memory_kills == 1


def test_an_end_without_an_id_is_known_by_its_time() -> None:
    last = {key: value for key, value in ended(1, 25).items() if key != "containerID"}
    assert memory_kills(pod(container(crash_looping(), 1, last))) == {f"app {at(25)}"}


def test_kills_are_remembered_from_look_to_look_and_none_counts_twice() -> None:
    pods = PodsSeen()
    looks = [
        container(crash_looping(), 1, ended(1, 25)),
        container(running(40), 1, ended(1, 25)),
        container(crash_looping(), 2, ended(2, 60)),
        container(running(80), 2, ended(2, 60)),
    ]
    counts = []
    for look in looks:
        pods.see([pod(look)], BORN)
        counts.append(pods.all()[0].memory_kills)
    assert counts == [1, 1, 2, 2]
    assert "killed 2 times" in pods_guard(pods.all(), (), BORN + 90, DEADLINE_SECONDS)


def test_crashes_of_another_kind_are_told_as_what_they_are() -> None:
    crashed = pod_seen(pod(container(crash_looping(), 4, ended(1, 70, "Error", 1))))
    sound = pod_seen(pod(container(running(3)), ready_since=12, name="web-b"))
    assert "restarted 4 times" in pods_guard([crashed], [sound], BORN + 90, DEADLINE_SECONDS)


def test_a_pod_whose_image_cannot_be_pulled_never_becomes_ready() -> None:
    pull = {"waiting": {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "ghcr.io/acme/web:2"'}}
    seen = [pod_seen(pod(container(pull)))]
    # What was taken for a start would make its first process a second one.
    assert (seen[0].started_at, seen[0].began_at) == (None, BORN)
    assert pods_guard(seen, (), BORN + 599, DEADLINE_SECONDS) == ""
    assert "no canary pod became ready within 600 s" in pods_guard(seen, (), BORN + 600, DEADLINE_SECONDS)


def test_a_container_that_a_probe_restarts_makes_no_new_pod() -> None:
    restarted = pod_seen(pod(container(running(590), 2, ended(1, 580, "Error", 143))))
    assert restarted.started_at == BORN + 590
    assert "became ready" in pods_guard([restarted], (), BORN + 610, DEADLINE_SECONDS)


def test_a_pod_that_was_ready_once_is_no_pod_that_never_was() -> None:
    once = pod_seen(pod(container(running(3)), unready_since=580))
    assert once.ready
    assert pods_guard([once], (), BORN + 700, DEADLINE_SECONDS) == ""


def test_readiness_is_remembered_where_the_status_lost_it() -> None:
    pods = PodsSeen()
    pods.see([pod(container(running(3)), ready_since=12)], BORN)
    pods.see([pod(container(running(3)))], BORN)
    assert pods.all()[0].ready


def test_a_pod_that_no_node_has_taken_is_not_held_to_the_deadline() -> None:
    pending = pod()
    unschedulable = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "lastTransitionTime": at(0)}
    pending["status"] = {"phase": "Pending", "conditions": [unschedulable]}
    seen = pod_seen(pending)
    assert (seen.started_at, seen.ready) == (None, False)
    assert pods_guard([seen], (), BORN + 9999, DEADLINE_SECONDS) == ""


def pulling(name: str, born_seconds: float, phase: str = "Pending") -> Json:
    """A pod that a node took, and whose image is not there yet."""
    waiting = pod(container({"waiting": {"reason": "ContainerCreating"}}), name=name)
    waiting["status"] |= {"phase": phase, "startTime": at(born_seconds)}
    return waiting


@pytest.mark.parametrize(
    "later",
    [
        pytest.param([], id="scaled to nothing"),
        pytest.param([pulling("web-b", 650)], id="another one in its place"),
        pytest.param([pulling("web-a", 0, "Failed"), pulling("web-b", 650)], id="refused by its node"),
        pytest.param(
            [{**pulling("web-a", 0), "metadata": {"name": "web-a", "deletionTimestamp": at(90)}}], id="leaving"
        ),
    ],
)
def test_a_pod_that_is_gone_is_waited_for_no_more(later: list[Json]) -> None:
    pods = PodsSeen()
    pods.see([pulling("web-a", 0)], BORN)
    pods.see(later, BORN)
    assert pods.all()[0].name == "web-a"
    assert pods_guard(pods.all(), (), BORN + 700, DEADLINE_SECONDS) == ""
    pods.see([pulling("web-b", 650)], BORN)
    assert "became ready" in pods_guard(pods.all(), (), BORN + 1260, DEADLINE_SECONDS)


def test_a_pod_that_is_gone_still_counts_for_what_it_did() -> None:
    pods = PodsSeen()
    pods.see([pod(container(crash_looping(), 4, ended(1, 25)))], BORN)
    pods.see([pod(container(crash_looping(), 1, ended(2, 60)), name="web-b")], BORN)
    assert "killed 2 times" in pods_guard(pods.all(), (), BORN + 90, DEADLINE_SECONDS)
    pods.see([], BORN)
    assert "killed 2 times" in pods_guard(pods.all(), (), BORN + 90, DEADLINE_SECONDS)


@pytest.mark.parametrize(("began", "words"), [(BORN + 59, "killed 2 times"), (BORN + 3600, "")])
def test_what_a_pod_did_before_the_run_is_nothing_that_its_canary_did(began: float, words: str) -> None:
    """A version that is tried again, or taken back, comes with pods that were there before."""
    old = [
        pod(container(running(90), 3, ended(1, 80)), ready_since=99),
        pod(container(running(90), 3, ended(2, 80)), ready_since=99, name="web-b"),
    ]
    pods = PodsSeen()
    for _ in range(2):
        pods.see(old, began)
        said = pods_guard(pods.all(), [pod_seen(pod(name="web-s"))], BORN + 4000, DEADLINE_SECONDS)
        assert words in said
        assert bool(said) is bool(words)


def test_what_an_older_pod_does_in_the_run_counts() -> None:
    began, pods = BORN + 3600, PodsSeen()
    stable = [pod_seen(pod(name="web-s"))]
    pods.see([pod(container(running(90), 3, ended(1, 80, "Error", 1)), ready_since=99)], began)
    pods.see([pod(container(running(3700), 5, ended(2, 3690, "Error", 1)), ready_since=99)], began)
    assert pods_guard(pods.all(), stable, BORN + 4000, DEADLINE_SECONDS) == ""
    pods.see([pod(container(running(3800), 6, ended(3, 3790, "Error", 1)), ready_since=99)], began)
    assert "canary pods restarted 3 times" in pods_guard(pods.all(), stable, BORN + 4000, DEADLINE_SECONDS)
    pods.see([pod(container(crash_looping(), 7, ended(4, 3900)), ready_since=99)], began)
    pods.see([pod(container(crash_looping(), 8, ended(5, 3950)), ready_since=99)], began)
    assert "killed 2 times" in pods_guard(pods.all(), stable, BORN + 4000, DEADLINE_SECONDS)


def test_what_is_remembered_is_bounded() -> None:
    pods = PodsSeen()
    for number in range(KILLS_REMEMBERED + 20):
        pods.see([pod(container(crash_looping(), number, ended(number, 25 + number)))], BORN)
    assert pods.all()[0].memory_kills == KILLS_REMEMBERED
    for number in range(0, PODS_REMEMBERED + 100, 100):
        pods.see([pod(container(running(3)), name=f"web-{number + more}") for more in range(100)], BORN)
    pods.see([], BORN)
    assert len(pods.all()) == PODS_REMEMBERED
    assert "web-a" not in {seen.name for seen in pods.all()}


def test_pods_that_are_there_are_all_looked_at() -> None:
    pods = PodsSeen()
    many = [pod(container(running(3)), name=f"web-{number}") for number in range(PODS_REMEMBERED + 1)]
    killed = pod(container(crash_looping(), 1, ended(1, 25)))
    for _ in range(2):
        pods.see([killed, *many], BORN)
        assert pods.all()[0].memory_kills == 1
        assert len(pods.all()) == PODS_REMEMBERED + 2
