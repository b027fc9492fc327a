"""A plan is a pure function of its seed, its faults end, and seeds differ."""

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from tests.faults.plan import (
    DELAY_SECONDS,
    GIT,
    KUBERNETES,
    OUTAGE_SECONDS_MAX,
    OUTAGES,
    PROMETHEUS,
    WATCHES,
    Fault,
    Place,
    Plan,
    Trouble,
)
from tests.faults.seeds import failed_once, seeds

PLACES = (KUBERNETES, WATCHES, GIT, PROMETHEUS)
any_seed = st.integers(0, 2**64)
any_place = st.sampled_from(PLACES)


def played(plan: Plan, place: Place) -> list[Trouble | None]:
    return [plan.trouble(place, number) for number in range(place.last + 50)]


@given(any_seed, any_place)
def test_a_plan_is_a_pure_function_of_its_seed(seed: int, place: Place) -> None:
    forwards = played(Plan(seed), place)
    other = Plan(seed)
    backwards = [other.trouble(place, number) for number in reversed(range(place.last + 50))]
    assert backwards[::-1] == forwards


def test_a_plan_is_the_same_in_every_process() -> None:
    program = "from tests.faults.test_plan import *; print([played(Plan(7), place) for place in PLACES])"
    told = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": salt}, check=True, capture_output=True, text=True
        ).stdout
        for salt in ("1", "2")
    }
    assert told == {f"{[played(Plan(7), place) for place in PLACES]}\n"}


@given(any_seed, any_place)
def test_faults_end_and_no_delay_or_outage_is_long(seed: int, place: Place) -> None:
    troubles = played(Plan(seed), place)
    assert troubles[place.last :] == [None] * 50
    for trouble in filter(None, troubles):
        longest = DELAY_SECONDS[1] if trouble.fault is Fault.DELAY else OUTAGE_SECONDS_MAX
        assert 0 <= trouble.seconds <= longest
        assert trouble.fault in (place.kinds if trouble.fault is Fault.DELAY or not trouble.seconds else OUTAGES)


def test_twenty_seeds_have_every_fault_at_every_place_and_no_two_are_alike() -> None:
    for place in PLACES:
        plans = [played(Plan(seed), place) for seed in range(20)]
        assert {trouble.fault for plan in plans for trouble in plan if trouble is not None} >= set(place.kinds)
    assert len({repr([played(Plan(seed), place) for place in PLACES]) for seed in range(20)}) == 20


def test_without_a_seed_nothing_goes_wrong() -> None:
    assert {trouble for place in PLACES for trouble in played(Plan(), place)} == {None}


def test_seeds_that_failed_are_played_first_and_only_once() -> None:
    assert failed_once("# why\n\n3 the operator ended\n70 two reverts\n") == {
        3: "the operator ended",
        70: "two reverts",
    }
    assert all(failed_once().values()), "each has its reason"
    known = list(failed_once())
    assert seeds(20)[: len(known)] == known
    assert sorted(seeds(20)) == sorted({*known, *range(20)})
