"""Argo's pod-template-hash: equal to Go's own for templates that set every field, in both forms."""

import json
from pathlib import Path

import pytest

from rollout.api.gojson import TEMPLATE_029, TEMPLATE_034, canonical_quantity, encode
from rollout.domain.progress.podhash import computed_pod_hashes, pod_hashes, safe_hash

GOLDEN = Path(__file__).parents[1] / "golden" / "podtemplate"


def goldens(version: str) -> list[dict]:
    return json.loads((GOLDEN / f"goldens-{version}.json").read_text())


@pytest.mark.parametrize("case", goldens("v034"), ids=lambda case: case["hash"])
def test_the_newer_form_equals_gos_own(case: dict) -> None:
    assert pod_hashes(case["template"], case["collisionCount"]).newer == case["hash"]


@pytest.mark.parametrize("case", goldens("v029"), ids=lambda case: case["hash"])
def test_the_older_form_equals_gos_own(case: dict) -> None:
    assert pod_hashes(case["template"], case["collisionCount"]).older == case["hash"]


def test_the_older_form_lacks_fields_that_came_later() -> None:
    template = {"spec": {"hostnameOverride": "a", "containers": []}}
    assert b"hostnameOverride" in encode(template, TEMPLATE_034)
    assert b"hostnameOverride" not in encode(template, TEMPLATE_029)


def e2e_template(name: str, gates: list[dict] | None = None) -> dict:
    """The templates of two end-to-end tests of Argo Rollouts, whose hashes are asserted there."""
    container = {
        "name": name,
        "image": "nginx:1.19-alpine",
        "ports": [{"name": "http", "containerPort": 80, "protocol": "TCP"}],
        "resources": {"requests": {"memory": "16Mi", "cpu": "5m"}},
    }
    spec: dict = {"containers": [container]} | ({"readinessGates": gates} if gates else {})
    return {"metadata": {"labels": {"app": name}}, "spec": spec}


def test_the_hashes_that_argo_asserts_in_its_own_tests_hold() -> None:
    scale_down = pod_hashes(e2e_template("canary-scaledowndelay"))
    assert (scale_down.newer, scale_down.older) == ("674d8cf959", "66597877b7")
    gate = [{"conditionType": "argoproj.io/e2e-readiness"}]
    dynamic = pod_hashes(e2e_template("dynamic-stable-scale", gate))
    assert (dynamic.newer, dynamic.older) == ("6b56c8cdb4", "868d98995b")


def test_a_template_beyond_what_is_remembered_hashes_like_any_other() -> None:
    large = {"metadata": {"annotations": {"text": "x" * 40_000}}, "spec": {"containers": []}}
    assert pod_hashes(large) == computed_pod_hashes(large)
    assert pod_hashes(large) != pod_hashes(large, 1)
    small = {"spec": {"containers": [{"name": "web", "image": "1"}]}}
    assert pod_hashes(small) == pod_hashes(json.loads(json.dumps(small))) == computed_pod_hashes(small)
    small["spec"]["containers"][0]["image"] = "2"
    assert pod_hashes(small) == computed_pod_hashes(small), "a template that changes in place gets its own hash"


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (b'[{"pause":{}}]', "6b9b86fbd5"),
        (b"null", "5ffbfbbd64"),
        (b'[{"pause":{}},{"pause":{}}]', "79c9b9f6bf"),
    ],
)
def test_step_hashes_are_argos(steps: bytes, expected: str) -> None:
    assert safe_hash(steps) == expected


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("0.001", "1m"),
        ("1.5Gi", "1536Mi"),
        ("1000m", "1"),
        ("0.5Ki", "512"),
        ("1e3", "1e3"),
        ("0", "0"),
        ("rubbish", "rubbish"),
        ("2000", "2k"),
        ("0.50", "500m"),
        ("100e2", "10e3"),
        ("1E6", "1E6"),
        ("1e+3", "1e+3"),
        ("+5", "+5"),
        ("05", "05"),
        (".5", "500m"),
        ("5.", "5."),
        ("1.5E3", "1500"),
        ("1000E3", "1e6"),
        ("0E3", "0"),
        ("0.0001e3", "100e-3"),
        ("-0.5", "-500m"),
        ("1e20", "100e18"),
        ("100000000000000000000", "100E"),
        ("1.1n", "2n"),
        ("1e7", "10e6"),
        ("-5Mi", "-5Mi"),
        ("-1Ki", "-1Ki"),
    ],
)
def test_quantities_become_canonical(written: str, canonical: str) -> None:
    assert canonical_quantity(written) == canonical
