"""What another controller owns is not for a Rollout to change."""

from dataclasses import replace

from tests.model import routed_model

OWNER = 'Gadget "g"'


def test_a_service_that_another_owner_controls_is_refused_and_nothing_is_touched() -> None:
    model = routed_model()
    model.services["stable"] = replace(model.services["stable"], controlled_by=OWNER)
    decision = model.turn()
    assert decision.actions == ()
    assert f'Service "stable" is controlled by {OWNER}' in decision.status.message
    assert "ownerReference" in decision.status.message
    assert decision.status.phase == "Degraded"


def test_a_route_that_another_owner_controls_is_refused_until_it_is_let_go() -> None:
    model = routed_model()
    model.routes["web"] = replace(model.routes["web"], controlled_by=OWNER)
    decision = model.turn()
    assert decision.actions == ()
    assert f'HTTPRoute "web" is controlled by {OWNER}' in decision.status.message
    model.routes["web"] = replace(model.routes["web"], controlled_by="")
    assert model.settle().status.phase == "Healthy"
