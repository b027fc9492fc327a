"""Which actions are killed at."""

from itertools import islice

from tests.faults.every_kill import Numbers
from tests.faults.executioner import ACTIONS_MAX


def test_every_third_action_is_killed_at_before_and_after_its_answer_in_turn() -> None:
    third = list(islice(Numbers(step=3), 4))
    assert third == [1, 4, 7, 10]
    assert [number % 2 for number in third] == [1, 0, 1, 0]


def test_numbers_end_when_one_was_not_reached_and_never_go_on_for_ever() -> None:
    numbers, given = Numbers(first=5), list[int]()
    for number in numbers:
        given.append(number)
        numbers.ended = number == 7
    assert given == [5, 6, 7]
    assert list(Numbers())[-1] == ACTIONS_MAX
