"""No case is lost, and none is played twice, whatever becomes of the lanes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.faults.lanes import Lanes, Outcome

CASES = list(range(30))


def play(*, opens: bool = True, closes: bool = True, right: bool = True) -> tuple[dict[int, Outcome], list[int]]:
    opened, told = list[int](), list[int]()

    @asynccontextmanager
    async def lane(number: int) -> AsyncIterator[int]:
        opened.append(number)
        if not opens and number % 2:
            raise OSError("no lane for you")
        yield number
        if not closes:
            raise OSError("it would not end")

    async def tell(number: int, case: int) -> str:
        await asyncio.sleep(0)
        if not right and case % 3 == 0:
            raise ValueError(f"case {case} in lane {number}")
        told.append(case)
        return f"{case}"

    outcomes = asyncio.run(Lanes(lane, tell).run(CASES))
    assert len(told) == len(set(told))
    assert len(opened) == len(set(opened))
    return outcomes, told


def test_every_case_has_its_outcome() -> None:
    outcomes, told = play()
    assert outcomes == {case: Outcome(True, f"{case}") for case in CASES}
    assert sorted(told) == CASES


def test_a_case_that_ends_wrongly_is_told_and_the_others_go_on_in_a_new_lane() -> None:
    outcomes, told = play(right=False)
    assert sorted(outcomes) == CASES
    assert [case for case, one in outcomes.items() if not one.right] == [case for case in CASES if case % 3 == 0]
    assert outcomes[3].words.startswith("ValueError: case 3 in lane ")
    assert sorted(told) == [case for case in CASES if case % 3]


def test_a_lane_that_cannot_be_opened_is_the_outcome_of_one_case() -> None:
    outcomes, told = play(opens=False)
    assert sorted(outcomes) == CASES
    lost = [case for case, one in outcomes.items() if one.words == "no lane: OSError: no lane for you"]
    assert lost
    assert sorted([*told, *lost]) == CASES


def test_a_lane_that_does_not_end_well_takes_no_case_with_it() -> None:
    outcomes, told = play(closes=False, right=False)
    assert sorted(outcomes) == CASES
    assert sorted(told) == [case for case in CASES if case % 3]
