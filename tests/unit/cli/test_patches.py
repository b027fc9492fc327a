"""The patches by which a Rollout is steered are Argo's."""

from typing import Any

import pytest

from rollout.cli.patches import NotPossible, abortion, pausing, promotion, restarting, retrial
from tests.unit.cli.objects import CREATED, healthy, live_rollout, rollout, updating


def pauses(*reasons: str) -> list[dict[str, str]]:
    return [{"reason": reason, "startTime": CREATED} for reason in reasons]


def promoted(live: dict[str, Any], *, full: bool = False) -> tuple[dict[str, Any], dict[str, Any]]:
    steering = promotion(rollout(live), full=full)
    return steering.spec, steering.status


def test_a_promotion_at_a_pause_clears_the_pause() -> None:
    assert promoted(updating()) == ({}, {"status": {"pauseConditions": None}})


def test_a_promotion_of_a_manual_pause_unpauses_and_skips_nothing() -> None:
    live = updating(spec={"paused": True}, pauseConditions=[])
    assert promoted(live) == ({"spec": {"paused": False}}, {})


def test_a_promotion_of_both_pauses_ends_both() -> None:
    live = updating(spec={"paused": True})
    assert promoted(live) == ({"spec": {"paused": False}}, {"status": {"pauseConditions": None}})


def test_a_promotion_without_a_pause_skips_the_step() -> None:
    live = updating(pauseConditions=[], phase="Progressing", currentStepIndex=2)
    steering = promotion(rollout(live), full=False)
    assert steering.status == {"status": {"pauseConditions": None, "currentStepIndex": 3}}
    assert steering.guarded, "the index is only right for the status that was read"


def test_a_promotion_of_an_inconclusive_step_goes_beyond_it() -> None:
    run = {"name": "web-1", "status": "Inconclusive"}
    live = updating(canary={"currentStepAnalysisRunStatus": run}, pauseConditions=pauses("InconclusiveAnalysisRun"))
    wanted = {"status": {"pauseConditions": None, "controllerPause": False, "currentStepIndex": 2}}
    assert promoted(live) == ({}, wanted)


def test_a_promotion_of_an_inconclusive_background_analysis_clears_the_pause_for_a_new_run() -> None:
    run = {"name": "web-1", "status": "Inconclusive"}
    live = updating(
        canary={"currentBackgroundAnalysisRunStatus": run}, pauseConditions=pauses("InconclusiveAnalysisRun")
    )
    assert promoted(live) == ({}, {"status": {"pauseConditions": None}})


def test_behind_the_last_step_there_is_nothing_to_skip() -> None:
    steering = promotion(rollout(updating(pauseConditions=[], currentStepIndex=4)), full=False)
    assert not steering.writes
    assert "available" in steering.said


def test_a_full_promotion_asks_for_it_and_unpauses() -> None:
    wanted = {"status": {"promoteFull": True}}
    assert promoted(updating(), full=True) == ({}, wanted)
    assert promoted(updating(spec={"paused": True}), full=True) == ({"spec": {"paused": False}}, wanted)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("live", [healthy(), live_rollout(currentPodHash="new")])
def test_without_an_update_there_is_nothing_to_promote(live: dict[str, Any], full: bool) -> None:
    steering = promotion(rollout(live), full=full)
    assert not steering.writes
    assert "nothing to promote" in steering.said


def test_a_promotion_cannot_make_data_come_back() -> None:
    with pytest.raises(NotPossible, match="by itself"):
        promotion(rollout(updating(pauseConditions=pauses("NoData"))), full=False)
    assert promoted(updating(pauseConditions=pauses("NoData", "CanaryPauseStep")))[1]


@pytest.mark.parametrize(
    ("status", "words"),
    [({"abort": True}, "retry"), ({"phase": "Degraded", "message": "InvalidSpec: spec.x"}, "InvalidSpec: spec.x")],
)
def test_an_aborted_or_invalid_update_is_not_promoted(status: dict[str, Any], words: str) -> None:
    with pytest.raises(NotPossible, match=words):
        promotion(rollout(updating(**status)), full=True)


def test_an_abort_asks_for_it_once() -> None:
    assert abortion(rollout(updating())).status == {"status": {"abort": True}}
    assert not abortion(rollout(updating(abort=True))).writes


@pytest.mark.parametrize("live", [healthy(), live_rollout()])
def test_an_abort_without_an_update_says_what_to_do_instead(live: dict[str, Any]) -> None:
    with pytest.raises(NotPossible, match="undo"):
        abortion(rollout(live))


def test_a_retry_clears_the_abort_and_needs_one() -> None:
    assert retrial(rollout(updating(abort=True))).status == {"status": {"abort": False}}
    with pytest.raises(NotPossible, match="not aborted"):
        retrial(rollout(updating()))


def test_a_pause_is_the_users_field_and_is_set_once() -> None:
    assert pausing(rollout(updating())).spec == {"spec": {"paused": True}}
    assert not pausing(rollout(updating(spec={"paused": True}))).writes


def test_a_restart_names_the_moment() -> None:
    assert restarting(1_800_000_000.7, 60).spec == {"spec": {"restartAt": "2027-01-15T08:01:00Z"}}
