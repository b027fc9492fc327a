"""What a status says to somebody who waits for it."""

import pytest

from rollout.cli.answer import Outcome, answer, hint
from tests.unit.cli.objects import healthy, live_rollout, rollout, updating

ABORTED = [{"type": "Progressing", "status": "False", "reason": "RolloutAborted", "message": "gone wrong"}]


def test_a_healthy_rollout_ends_the_wait() -> None:
    assert answer(rollout(healthy())).outcome is Outcome.HEALTHY


@pytest.mark.parametrize("observed", [0, 2])
def test_a_status_about_an_older_generation_is_no_answer(observed: int) -> None:
    seen = answer(rollout(healthy(observedGeneration=observed)))
    assert seen.outcome is Outcome.WAITING
    assert "generation 3" in seen.words


def test_an_aborted_update_is_a_failure_with_its_words() -> None:
    live = updating(
        phase="Degraded", message="RolloutAborted: gone wrong", abort=True, abortedAt="2026-11-26T10:00:00Z",
        conditions=ABORTED,
    )  # fmt: skip
    seen = answer(rollout(live))
    assert (seen.outcome, seen.line) == (Outcome.FAILED, "Degraded: RolloutAborted: gone wrong")


def test_an_invalid_spec_is_a_failure_even_while_an_old_abort_is_still_told() -> None:
    live = updating(phase="Degraded", message="InvalidSpec: spec.x", conditions=ABORTED)
    assert answer(rollout(live)).outcome is Outcome.FAILED


@pytest.mark.parametrize(
    ("live", "wish"),
    [
        (healthy(abort=True), "abort"),
        (updating(abort=True), "abort"),
        (updating(phase="Degraded", message="RolloutAborted: x", conditions=ABORTED), "retry"),
        (healthy(promoteFull=True), "promotion"),
    ],
)
def test_a_wish_that_the_operator_has_not_heard_is_waited_for(live: dict, wish: str) -> None:
    seen = answer(rollout(live))
    assert seen.outcome is Outcome.WAITING
    assert wish in seen.words


def test_a_pause_and_progress_are_waited_for() -> None:
    assert answer(rollout(updating())).line == "Paused: CanaryPauseStep"
    assert answer(rollout(updating())).outcome is Outcome.WAITING
    assert answer(rollout(live_rollout())).phase == "Progressing"


def test_a_pause_tells_how_to_go_on_and_a_pause_that_ends_by_itself_does_not() -> None:
    assert "coalmine promote web -n shop" in hint(rollout(updating()))
    assert hint(rollout(updating(pauseConditions=[{"reason": "NoData", "startTime": "2026-11-26T10:00:00Z"}]))) == ""
    assert "coalmine retry web -n shop" in hint(rollout(updating(abort=True)))
    assert hint(rollout(healthy())) == ""
