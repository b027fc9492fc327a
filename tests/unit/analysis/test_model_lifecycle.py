"""The life of a FailureModel: its table of phases, and that no path leads from doubt to use."""

import itertools
from typing import Any

import msgspec
import pytest

from analysis.comparison_spec import FailureModelRef
from analysis.durations import parse_time
from analysis.failure_model_spec import (
    Certificate,
    ConfigMapKeyRef,
    FailureModelSpec,
    FailureModelStatus,
    HeldOut,
    ModelMetric,
    ModelNoise,
    Sentinel,
    SentinelArtifact,
    TrainingProvenance,
)
from analysis.model.artefact import digest
from analysis.model.lifecycle import (
    RECERTIFY_SECONDS,
    ModelWorld,
    SentinelStanding,
    certificate_due,
    certified_with_sentinel,
    decide,
    held_out_from,
    sentinel_due,
    shadowed,
    usable,
    wakes_at,
)

NOW = parse_time("2026-11-26T12:00:00Z")
QUERY = "sha256:" + "ab" * 32
SPEC = FailureModelSpec(
    rollout_ref=FailureModelRef(name="shop"),
    window="30s",
    mode="Enforce",
    valid_until="2027-01-20T00:00:00Z",
    training=TrainingProvenance(to="2026-11-08T00:00:00Z"),
    metrics=(
        ModelMetric(name="errors", query_digest=QUERY, noise=ModelNoise(omega_squared="0.465", tau_squared="0.021")),
    ),
)
HELD_OUT = HeldOut(from_="2026-11-08T00:00:00Z", to="2026-11-26T00:00:00Z", segments=310)
CLEAN = Certificate(
    budget="1%", held_out=HELD_OUT, placebos=620, false_rollbacks=0, false_rollback_upper_bound="0.962%"
)


def _world(old: FailureModelStatus | None = None, **more: Any) -> ModelWorld:
    given: dict[str, Any] = {"name": "shop", "spec": SPEC, "generation": 3, "rollout_model": "shop"} | more
    return ModelWorld(old=old or FailureModelStatus(), **given)


def _spec(**more: Any) -> FailureModelSpec:
    return msgspec.structs.replace(SPEC, **more)


def _certificate(**more: Any) -> Certificate:
    return msgspec.structs.replace(CLEAN, **more)


def _active() -> FailureModelStatus:
    return decide(_world(certificate=CLEAN), NOW)


@pytest.mark.parametrize(
    ("world", "phase", "reason"),
    [
        (_world(), "Candidate", "NoCertificate"),
        (_world(certificate=CLEAN), "Active", "Certified"),
        (_world(certificate=CLEAN, spec=_spec(mode="Shadow")), "Shadow", "Shadow"),
        (_world(certificate=CLEAN, spec=_spec(window="never")), "Invalid", "InvalidSpec"),
        (_world(certificate=CLEAN, spec=_spec(valid_until="2026-11-26T12:00:00Z")), "Expired", "Expired"),
        (_world(certificate=_certificate(false_rollback_upper_bound="3.07%")), "Candidate", "TooLittleHistory"),
        (
            _world(certificate=_certificate(false_rollbacks=40, false_rollback_upper_bound="9.8%")),
            "Degraded",
            "FalseRollbacks",
        ),
        (_world(certificate=CLEAN, drifted="the capital is 31"), "Degraded", "Drift"),
        (_world(_active(), rollout_model="other"), "Retired", "NotInUse"),
        (_world(_active(), rollout_model=""), "Retired", "NotInUse"),
        (_world(_active(), rollout_model=None), "Active", "Certified"),
        (_world(_active()), "Active", "Certified"),
        (_world(rollout_model="other", certificate=CLEAN), "Active", "Certified"),
    ],
)
def test_the_table_of_phases(world: ModelWorld, phase: str, reason: str) -> None:
    status = decide(world, NOW)
    assert (status.phase, status.conditions[0].reason) == (phase, reason)
    assert status.conditions[0].status == ("True" if phase in ("Active", "Shadow") else "False")


def test_the_status_names_the_model_and_the_generation() -> None:
    status = _active()
    assert status.digest == digest(SPEC)
    assert status.observed_generation == 3
    assert status.conditions[0].message == "0 of 620 placebos rolled back"


def test_a_changed_model_needs_a_certificate_of_its_own() -> None:
    other = _spec(mode="Shadow", window="60s")
    status = decide(_world(_active(), spec=other, generation=4), NOW)
    assert (status.phase, status.certificate) == ("Candidate", None)


def test_a_drifted_model_stays_degraded_until_another_one_comes() -> None:
    drifted = decide(_world(_active(), certificate=CLEAN, drifted="the capital is 31"), NOW)
    again = decide(_world(drifted, certificate=CLEAN), NOW + 86_400)
    assert (again.phase, again.conditions[0].message) == ("Degraded", "the capital is 31")
    assert decide(_world(drifted, spec=_spec(window="60s"), certificate=CLEAN), NOW).phase == "Active"


def test_a_retired_model_comes_back_when_its_rollout_names_it_again() -> None:
    retired = decide(_world(_active(), rollout_model="other"), NOW)
    assert decide(_world(retired, rollout_model="other"), NOW).phase == "Retired"
    assert decide(_world(retired), NOW).phase == "Active"


def test_conditions_keep_the_time_of_their_last_change() -> None:
    first = _active()
    later = decide(_world(first), NOW + 3600)
    assert later == first
    expired = decide(_world(first), parse_time("2027-01-20T00:00:00Z"))
    assert expired.conditions[0].last_transition_time == "2027-01-20T00:00:00Z"


def test_a_decision_repeated_changes_nothing() -> None:
    for certificate, drifted in itertools.product((None, CLEAN), ("", "31")):
        once = decide(_world(certificate=certificate, drifted=drifted), NOW)
        assert decide(_world(once), NOW) == once


def test_time_alone_expires_a_model() -> None:
    status = _active()
    assert wakes_at(_world(status), status, NOW) == parse_time("2027-01-20T00:00:00Z")
    assert wakes_at(_world(spec=_spec(valid_until="")), status, NOW) is None


def test_only_an_active_model_whose_digest_was_pinned_is_used() -> None:
    status, pinned = _active(), digest(SPEC)
    assert usable(SPEC, status, pinned, NOW) == ""
    assert usable(SPEC, status, "sha256:other", NOW)
    assert usable(SPEC, status, "", NOW)
    assert usable(_spec(window="60s"), status, pinned, NOW)
    assert usable(SPEC, status, pinned, parse_time("2027-01-20T00:00:00Z"))
    for phase in ("", "Invalid", "Candidate", "Shadow", "Degraded", "Expired", "Retired"):
        assert usable(SPEC, msgspec.structs.replace(status, phase=phase), pinned, NOW)


def test_only_a_certified_model_in_the_shadow_is_scored_beside() -> None:
    spec = _spec(mode="Shadow")
    status = decide(_world(spec=spec, certificate=CLEAN), NOW)
    assert shadowed(spec, status, digest(spec))
    assert not shadowed(spec, status, "sha256:other")
    assert not shadowed(spec, decide(_world(spec=spec), NOW), digest(spec))
    assert not shadowed(SPEC, _active(), digest(SPEC))


def test_a_certificate_is_made_once_a_day() -> None:
    status = _active()
    newest = parse_time(HELD_OUT.to)
    assert not certificate_due(status, newest + RECERTIFY_SECONDS - 1)
    assert certificate_due(status, newest + RECERTIFY_SECONDS)
    assert certificate_due(decide(_world(), NOW), NOW)
    assert not certificate_due(msgspec.structs.replace(status, phase="Retired", certificate=None), NOW)


READY = SentinelStanding("True", "Watching", "it watches")
MISSING = SentinelStanding("False", "NotUsed", "there is no ConfigMap")


@pytest.mark.parametrize(
    ("on_anomaly", "looked_on", "standing", "certified", "due"),
    [
        ("Fail", "", READY, False, True),
        ("Fail", "", MISSING, False, False),
        ("Fail", "sha256:other", READY, False, True),
        ("Fail", QUERY, READY, True, False),
        ("Fail", QUERY, MISSING, True, False),
        ("Pause", "", READY, True, False),
    ],
)
def test_a_sentinel_that_may_fail_a_run_has_to_have_looked_on(
    on_anomaly: Any, looked_on: str, standing: SentinelStanding, certified: bool, due: bool
) -> None:
    artifact = SentinelArtifact(digest=QUERY, config_map_ref=ConfigMapKeyRef(name="shop-sentinel", key="model.json"))
    budget = "0.1%" if on_anomaly == "Fail" else None
    spec = _spec(sentinel=Sentinel(type="Mahalanobis", artifact=artifact, on_anomaly=on_anomaly, budget=budget))
    world = _world(spec=spec, certificate=_certificate(sentinel=looked_on), sentinel=standing)
    status = decide(world, NOW)
    assert status.phase == "Active"
    assert certified_with_sentinel(spec, status) is certified
    assert sentinel_due(spec, status) is due
    assert not sentinel_due(spec, decide(world, parse_time("2027-01-20T00:00:00Z"))), "nobody uses it any more"


def test_history_is_held_out_from_the_end_of_training_on() -> None:
    assert held_out_from(SPEC) == parse_time("2026-11-08T00:00:00Z")
    assert held_out_from(_spec(training=TrainingProvenance())) is None
