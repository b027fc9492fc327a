"""Leaks on a real control plane: the story of the sandbox."""

from tests.stories.test_leaks import test_an_operator_is_as_small_as_before_when_its_rollouts_are_gone

__all__ = ["test_an_operator_is_as_small_as_before_when_its_rollouts_are_gone"]
