"""Going back finds the template as it was written."""

import pytest

from rollout.cli.patches import NotPossible
from rollout.cli.revisions import undo
from rollout.domain.progress.podhash import pod_hashes
from tests.unit.cli.objects import live_rollout, replica_set, template

PROBE = {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 1}
FILLED = {
    "httpGet": {"path": "/ready", "port": "http", "scheme": "HTTP"}, "periodSeconds": 1, "failureThreshold": 3,
    "successThreshold": 1, "timeoutSeconds": 1,
}  # fmt: skip
SETS = (replica_set("a", 1, template("demo:1")), replica_set("b", 2, template("demo:2"), replicas=4))


def test_the_revision_before_the_newest_is_the_default() -> None:
    back = undo(live_rollout("demo:2"), SETS)
    assert (back.revision, back.images) == (1, ("demo:1",))
    assert back.patch == [{"op": "replace", "path": "/spec/template", "value": template("demo:1")}]
    assert back.exact


def test_the_template_is_the_written_one_so_that_its_hash_is_the_old_one() -> None:
    back = undo(live_rollout("demo:2"), SETS, 1)
    assert pod_hashes(back.template) == pod_hashes(template("demo:1"))


def test_the_protocol_of_ports_stays_since_the_crd_writes_it_too() -> None:
    written = template("demo:1", ports=[{"containerPort": 8080, "protocol": "TCP"}])
    back = undo(live_rollout("demo:2"), (replica_set("a", 1, written), SETS[1]))
    assert back.template == written
    assert back.exact


def test_defaults_of_probes_are_taken_out_too() -> None:
    written = template("demo:1", readinessProbe=PROBE)
    kept = replica_set("a", 1, written)
    kept["spec"]["template"]["spec"]["containers"][0] |= {"readinessProbe": FILLED}
    assert undo(live_rollout("demo:2"), (kept, SETS[1])).template == written


def test_a_default_that_was_spelled_out_is_kept() -> None:
    written = template("demo:1", imagePullPolicy="IfNotPresent")
    live = live_rollout(spec={"template": template("demo:2", imagePullPolicy="IfNotPresent")})
    back = undo(live, (replica_set("a", 1, written), replica_set("b", 2, live["spec"]["template"])))
    assert back.template == written
    assert back.exact


def test_what_cannot_be_confirmed_is_taken_as_it_lives() -> None:
    odd = replica_set("a", 1, template("demo:1", imagePullPolicy="Always", tty=False))
    odd["metadata"]["annotations"].pop("coalmine.dev/template-fingerprint")
    back = undo(live_rollout("demo:2"), (odd, SETS[1]))
    assert not back.exact
    assert back.template["spec"]["containers"][0]["imagePullPolicy"] == "Always"
    assert back.template["metadata"]["labels"] == {"app": "web"}


def test_a_revision_that_is_current_is_recognised() -> None:
    assert undo(live_rollout("demo:2"), SETS, 2).current
    assert not undo(live_rollout("demo:2"), SETS, 1).current


def test_a_revision_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(NotPossible, match=r"revision 7 is not there; these are: 2, 1"):
        undo(live_rollout("demo:2"), SETS, 7)
    with pytest.raises(NotPossible, match="no revision before"):
        undo(live_rollout("demo:2"), SETS[1:])
