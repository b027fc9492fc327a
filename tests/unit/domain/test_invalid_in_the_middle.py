"""A spec that is spoiled in the middle of an update must not keep a version in the traffic that has failed."""

from dataclasses import replace

from analysis.verdict import AnalysisPhase
from rollout.domain import actions as act
from rollout.domain.rollout import decide
from tests.model import Model, routed_model, spec

ANALYSED = {"analysis": {"templates": [{"templateName": "health"}]}}


def halfway() -> Model:
    """A canary at 50 %, with a run beside it, whose canary Service somebody has deleted."""
    model = routed_model(canary=ANALYSED)
    model.settle()
    model.now += 60
    model.edit(spec("v2", routed=True, canary=ANALYSED))
    model.settle()
    assert model.routes["web"].canary_weight_percent == 50
    del model.services["canary"]
    return model


def fail(model: Model) -> None:
    for name, run in model.runs.items():
        model.runs[name] = replace(run, phase=AnalysisPhase.FAILED, message="errors doubled")


def test_what_runs_keeps_running_while_nobody_says_it_failed() -> None:
    model = halfway()
    decision = model.turn()
    assert decision.actions == ()
    assert decision.status.phase == "Degraded"
    assert 'Service "canary" not found' in decision.status.message
    assert not decision.status.abort


def test_a_failing_verdict_takes_the_traffic_back_though_the_spec_is_invalid() -> None:
    model = halfway()
    model.turn()
    fail(model)
    decision = model.turn()
    assert decision.actions == (act.SetWeight("web", "canary", "stable", 0),)
    assert decision.status.abort
    assert decision.status.message.startswith("InvalidSpec: ")
    assert decision.status.canary.weights is not None
    assert decision.status.canary.weights.canary.weight == 0
    again = decide(model.world(), model.now)
    assert (again.actions, again.events, again.status) == ((), (), decision.status)


def test_an_abort_by_a_user_is_heard_though_the_spec_is_invalid() -> None:
    model = halfway()
    model.status(abort=True)
    model.turn()
    assert model.routes["web"].canary_weight_percent == 0
    assert model.rollout.status.aborted_at


def test_an_abort_is_completed_when_the_spec_is_mended() -> None:
    model = halfway()
    fail(model)
    model.turn()
    model.services["canary"] = replace(model.services["stable"], name="canary", pod_hash="", managed_by="")
    model.settle()
    status = model.rollout.status
    assert (status.phase, status.abort) == ("Degraded", True)
    assert "RolloutAborted" in status.message
    assert "errors doubled" in status.message
    assert model.routes["web"].canary_weight_percent == 0


def test_a_route_that_an_older_rollout_claims_is_not_touched() -> None:
    model = halfway()
    model.rivals = ('Service "stable" is claimed by Rollout "old" already',)
    fail(model)
    assert model.turn().actions == ()
    assert model.routes["web"].canary_weight_percent == 50
