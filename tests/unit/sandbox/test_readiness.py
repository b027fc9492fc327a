"""Readiness by probes, as Kubernetes has it: `failureThreshold` failures in a row, and one success."""

import pytest

from rollout.sandbox.node.kubelet import Readiness


@pytest.mark.parametrize(
    ("answers", "ready"),
    [
        ("", False),
        ("-", False),
        ("---+", True),
        ("+--", True),
        ("+---", False),
        ("+--+--", True),
        ("+---+", True),
        ("+---+-", True),
    ],
)
def test_ready_from_the_first_answer_until_three_failures_in_a_row(answers: str, ready: bool) -> None:
    readiness = Readiness(failures_max=3)
    for answer in answers:
        readiness.after(answered=answer == "+")
    assert readiness.ready == ready
