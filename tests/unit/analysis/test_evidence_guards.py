"""Hard guards are plain rules."""

import pytest

from analysis.evidence import guards
from analysis.evidence.guards import PodSeen
from analysis.evidence.metric_state import RawCounts


def pods(count: int, restarts: int = 0, *, ready: bool = True, kills: int = 0) -> list[PodSeen]:
    return [PodSeen(f"p{i}", 0.0, restarts, ready, kills) for i in range(count)]


def test_a_crash_loop_is_three_restarts_and_ten_times_stables_rate() -> None:
    assert "restarted 4 times, stable's 0" in guards.crash_loop(pods(2, 2), pods(4), 100.0)
    assert guards.crash_loop(pods(2, 1), pods(4), 100.0) == ""
    assert guards.crash_loop(pods(2, 2), pods(4, 1), 100.0) == ""
    assert guards.crash_loop([PodSeen("p", None, 5)], pods(4), 100.0) == ""


@pytest.mark.parametrize(("each", "stables", "words"), [(1, 1, ""), (2, 1, "6 times, stable's 6"), (1, 0, "3 times")])
def test_restarts_at_the_start_of_a_pod_are_no_loop_where_stables_pods_had_them_too(
    each: int, stables: int, words: str
) -> None:
    young = [PodSeen(f"c{i}", 259_080.0, each) for i in range(3)]
    said = guards.crash_loop(young, pods(6, stables), 259_200.0)
    assert words in said
    assert bool(said) is bool(words)


@pytest.mark.parametrize(
    ("counts", "fires"),
    [
        (RawCounts(60, 60, 3, 0, 60), True),
        (RawCounts(60, 60, 3, 0, 0), False),
        (RawCounts(60, 60, 3, 54, 60), False),
        (RawCounts(60, 60, 2, 0, 60), False),
        (RawCounts(19, 19, 3, 0, 60), False),
        (RawCounts(54, 60, 3, 0, 60), False),
    ],
)
def test_everything_fails_where_every_request_of_the_canary_does_and_stables_do_not(
    counts: RawCounts, fires: bool
) -> None:
    assert bool(guards.all_fail(counts)) is fires
    assert not fires or "all 60 canary requests failed" in guards.all_fail(counts)


def test_memory_kills_count_from_two_on_where_stable_has_none() -> None:
    assert "killed 2 times" in guards.out_of_memory(pods(2, kills=1), pods(4))
    assert guards.out_of_memory(pods(1, kills=1), pods(4)) == ""
    assert guards.out_of_memory(pods(2, kills=2), pods(4, kills=1)) == ""


def test_a_canary_that_never_becomes_ready_fails_at_its_deadline() -> None:
    assert "no canary pod became ready within 600 s" in guards.never_ready(pods(2, ready=False), 700.0, 600.0)
    assert guards.never_ready(pods(2, ready=False), 500.0, 600.0) == ""
    assert guards.never_ready(pods(2), 700.0, 600.0) == ""
    assert guards.never_ready([], 700.0, 600.0) == ""


def test_pods_that_no_node_has_taken_are_not_held_to_the_deadline() -> None:
    waiting = [PodSeen("p", None, ready=False)]
    assert guards.never_ready(waiting, 9999.0, 600.0) == ""
    assert "became ready" in guards.never_ready([*waiting, *pods(1, ready=False)], 9999.0, 600.0)


def test_pods_that_are_gone_are_waited_for_no_more() -> None:
    gone = PodSeen("p", 0.0, restarts=5, ready=False, memory_kills=3, gone=True)
    assert guards.never_ready([gone], 9999.0, 600.0) == ""
    assert guards.never_ready([gone, PodSeen("q", 9500.0, ready=False)], 9999.0, 600.0) == ""
    assert "killed 3 times" in guards.out_of_memory([gone], pods(4))
    assert "restarted 5 times" in guards.crash_loop([gone], pods(4), 100.0)


def test_a_restarted_process_does_not_put_the_deadline_off() -> None:
    late = PodSeen("p", 650.0, ready=False, accepted_at=0.0)
    assert "became ready" in guards.never_ready([late], 700.0, 600.0)


@pytest.mark.parametrize(
    ("canary", "words"),
    [
        (pods(1, 5, ready=False, kills=3), "killed 3 times"),
        (pods(1, 5, ready=False, kills=1), "restarted 5 times"),
        (pods(1, 2, ready=False, kills=1), "became ready within 600 s"),
        (pods(1, 2, kills=1), ""),
    ],
)
def test_of_all_guards_the_most_telling_one_speaks(canary: list[PodSeen], words: str) -> None:
    said = guards.pods_guard(canary, pods(4), 700.0, 600.0)
    assert words in said
    assert bool(said) is bool(words)
