"""The bad-release story while the operator's connections fail, by seed; a seed that failed is a test from then on."""

import pytest

from tests.faults.lanes import Outcome
from tests.faults.seeds import failed_once, seeds

IN_CI = 20
"""Those of many that fit into CI; `make faults` plays 200."""


@pytest.mark.parametrize("seed", seeds(IN_CI))
def test_the_story_ends_in_the_right_state_whatever_fails(seed: int, outcomes: dict[int, Outcome]) -> None:
    assert outcomes[seed].right, f"seed {seed} ({failed_once().get(seed, 'new')}): {outcomes[seed].words}"
