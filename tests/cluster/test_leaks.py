"""Leaks on a real control plane: the story of the sandbox."""

import pytest

from tests.cluster.binaries import MINORS
from tests.stories.test_leaks import test_an_operator_is_as_small_as_before_when_its_rollouts_are_gone

pytestmark = pytest.mark.parametrize("box", MINORS[:1], indirect=True)
__all__ = ["test_an_operator_is_as_small_as_before_when_its_rollouts_are_gone"]
