"""Two replicas on a real control plane: the stories of the sandbox."""

import pytest

from tests.cluster.binaries import MINORS
from tests.stories.test_replicas import (
    test_a_leader_that_is_told_to_end_hands_over_what_it_was_doing,
    test_a_silent_leader_is_replaced_and_writes_nothing_when_it_comes_back,
)

pytestmark = pytest.mark.parametrize("box", MINORS[:1], indirect=True)
__all__ = [
    "test_a_leader_that_is_told_to_end_hands_over_what_it_was_doing",
    "test_a_silent_leader_is_replaced_and_writes_nothing_when_it_comes_back",
]
