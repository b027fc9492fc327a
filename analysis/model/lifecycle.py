"""The life of a FailureModel, as a pure function: what its manifest, its certificate and the time say of it.

| phase | when (the first line that fits) | a run is judged with |
|---|---|---|
| Invalid | the manifest is wrong | the priors |
| Expired | validUntil is past | the priors |
| Retired | it was in use, and its Rollout names another model now | the priors |
| Degraded | held-out history shows too many false rollbacks, or drifted away | the priors |
| Candidate | too little held-out history to certify its budget | the priors |
| Shadow | certified, and mode is Shadow | the priors; the model is scored beside |
| Active | certified, and mode is Enforce | the model |

Nothing here can turn a verdict into a PASS: without an Active model the priors hold, and the verdict says so.
"""

import math
from dataclasses import dataclass
from typing import Literal

import msgspec

from analysis.durations import format_time, parse_time
from analysis.errors import InvalidSpec
from analysis.failure_model_spec import Certificate, FailureModelSpec, FailureModelStatus, ModelCondition
from analysis.model.artefact import digest
from analysis.model.binomial import lower_bound
from analysis.model.certify import PLACEBOS_A_SEGMENT
from analysis.model.validate import validate_failure_model
from analysis.percent import parse_percent

Phase = Literal["", "Invalid", "Candidate", "Shadow", "Active", "Degraded", "Expired", "Retired"]

_WITHOUT_CERTIFICATE: tuple[Phase, ...] = ("Invalid", "Expired", "Retired", "")
"""Nobody uses the model, so none is made."""
READY, SOUND, SENTINEL = "Ready", "Sound", "SentinelReady"
RECERTIFY_SECONDS = 86_400.0
"""Once a day the certificate is made again, with the history that came since."""


@dataclass(frozen=True)
class SentinelStanding:
    """Whether a model's sentinel can act in the runs of its Rollout, as its condition says it."""

    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str


@dataclass(frozen=True)
class ModelWorld:
    """What is known of a model at a turn.

    Attributes:
        old: the status as it was published.
        rollout_model: name of the model that its Rollout names now; None where the Rollout is not there.
        certificate: what a job found since the last turn, for the digest of this spec; None while there is nothing new.
        drifted: what that job says of drift, as a sentence; empty where there is none.
        problem: why the last job found nothing.
        sentinel: what became of its artefact; None without a sentinel. It decides nothing about the phase.
    """

    name: str
    spec: FailureModelSpec
    generation: int
    old: FailureModelStatus
    rollout_model: str | None
    certificate: Certificate | None = None
    drifted: str = ""
    problem: str = ""
    sentinel: SentinelStanding | None = None


@dataclass(frozen=True)
class _Standing:
    phase: Phase
    reason: str
    message: str


def decide(world: ModelWorld, now: float) -> FailureModelStatus:
    """Return the status of a model; everything it depends on is in the arguments."""
    problems = validate_failure_model(world.spec)
    name = "" if problems else digest(world.spec)
    same = name == world.old.digest
    certificate = world.certificate or (world.old.certificate if same else None)
    sound = _sound(world, same=same, now=now)
    found = _standing(world, problems, certificate, sound, now)
    ready: Literal["True", "False"] = "True" if found.phase in ("Active", "Shadow") else "False"
    told = [_condition(world, READY, ready, found.reason, found.message, now), sound]
    if world.sentinel is not None and not problems:
        watching = world.sentinel
        told.append(_condition(world, SENTINEL, watching.status, watching.reason, watching.message, now))
    return FailureModelStatus(
        observed_generation=world.generation,
        digest=name,
        phase=found.phase,
        certificate=certificate,
        conditions=tuple(told),
    )


def _standing(
    world: ModelWorld,
    problems: tuple[InvalidSpec, ...],
    certificate: Certificate | None,
    sound: ModelCondition,
    now: float,
) -> _Standing:
    if problems:
        return _Standing("Invalid", "InvalidSpec", "; ".join(str(problem) for problem in problems[:3]))
    if world.spec.valid_until and parse_time(world.spec.valid_until) <= now:
        return _Standing("Expired", "Expired", f"valid until {world.spec.valid_until}; fit it again on newer history")
    if _replaced(world):
        other = f'names "{world.rollout_model}"' if world.rollout_model else "names no model"
        return _Standing("Retired", "NotInUse", f'Rollout "{world.spec.rollout_ref.name}" {other} now')
    if sound.status == "False":
        return _Standing("Degraded", sound.reason, sound.message)
    if certificate is None:
        return _Standing("Candidate", "NoCertificate", world.problem or "held-out history is being read")
    words = f"{certificate.false_rollbacks} of {certificate.placebos} placebos rolled back"
    if breaks(certificate):
        return _Standing("Degraded", "FalseRollbacks", f"{words}, more than a budget of {certificate.budget} allows")
    if not keeps(certificate):
        bound = f"at most {certificate.false_rollback_upper_bound} with 95 % confidence"
        return _Standing(
            "Candidate", "TooLittleHistory", f"{words}, that is {bound}; {certificate.budget} takes more history"
        )
    if world.spec.mode == "Shadow":
        return _Standing("Shadow", "Shadow", f"{words}; scored beside the priors, and decides nothing")
    return _Standing("Active", "Certified", words)


def _replaced(world: ModelWorld) -> bool:
    was_used = world.old.phase in ("Active", "Shadow", "Degraded", "Retired")
    return was_used and world.rollout_model is not None and world.rollout_model != world.name


def keeps(certificate: Certificate) -> bool:
    """Whether a certificate shows that false rollbacks are within its budget."""
    return parse_percent(certificate.false_rollback_upper_bound) <= parse_percent(certificate.budget)


def breaks(certificate: Certificate) -> bool:
    """Whether a certificate shows that false rollbacks exceed its budget."""
    # The certificate counts placebos; at least so many pieces of history had one that was rolled back.
    pieces = math.ceil(certificate.false_rollbacks / PLACEBOS_A_SEGMENT)
    return lower_bound(pieces, certificate.held_out.segments) > parse_percent(certificate.budget)


def _sound(world: ModelWorld, *, same: bool, now: float) -> ModelCondition:
    """Return whether the service still behaves as the model says. Only another model begins anew."""
    before = _before(world.old, SOUND)
    if world.drifted:
        return _condition(world, SOUND, "False", "Drift", world.drifted, now)
    if same and before is not None and before.status == "False":
        return msgspec.structs.replace(before, observed_generation=world.generation)
    if world.certificate is None and not (same and before is not None and before.status == "True"):
        return _condition(world, SOUND, "Unknown", "NoCertificate", "no placebo has been played yet", now)
    return _condition(world, SOUND, "True", "NoDrift", "placebos look as they did when it was certified", now)


def _before(old: FailureModelStatus, kind: str) -> ModelCondition | None:
    return next((condition for condition in old.conditions if condition.type == kind), None)


def _condition(
    world: ModelWorld, kind: str, status: Literal["True", "False", "Unknown"], reason: str, message: str, now: float
) -> ModelCondition:
    before = _before(world.old, kind)
    since = before.last_transition_time if before is not None and before.status == status else format_time(now)
    return ModelCondition(
        type=kind,
        status=status,
        reason=reason,
        message=message[:1024],
        last_transition_time=since,
        observed_generation=world.generation,
    )


def wakes_at(world: ModelWorld, status: FailureModelStatus, now: float) -> float | None:
    """Return when time alone changes the status; None where it never does."""
    if status.phase in ("Invalid", "Expired") or not world.spec.valid_until:
        return None
    at = parse_time(world.spec.valid_until)
    return at if at > now else None


def held_out_from(spec: FailureModelSpec) -> float | None:
    """Return the epoch second from which history is held out; None where the manifest does not say.

    Raises:
        InvalidSpec: the time is none.
    """
    if not spec.training.to:
        return None
    try:
        return parse_time(spec.training.to)
    except (ValueError, OverflowError) as error:
        raise InvalidSpec("spec.training.to", str(error)[:200], "write RFC 3339") from error


def certificate_due(status: FailureModelStatus, now: float) -> bool:
    """Return whether a certificate is to be made: there is none, or a day of history came since."""
    if status.phase in _WITHOUT_CERTIFICATE:
        return False
    if status.certificate is None or not status.certificate.held_out.to:
        return True
    return now - parse_time(status.certificate.held_out.to) >= RECERTIFY_SECONDS


def certified_with_sentinel(spec: FailureModelSpec, status: FailureModelStatus) -> bool:
    """Return whether a model's sentinel looked on when its certificate was made; True where none may fail a run."""
    if spec.sentinel is None or spec.sentinel.on_anomaly != "Fail":
        return True
    return status.certificate is not None and status.certificate.sentinel == spec.sentinel.artifact.digest


def sentinel_due(spec: FailureModelSpec, status: FailureModelStatus) -> bool:
    """Return whether a certificate has to be made again, for a sentinel that came after it."""
    ready = _before(status, SENTINEL)
    watching = ready is not None and ready.status == "True" and status.phase not in _WITHOUT_CERTIFICATE
    return watching and status.certificate is not None and not certified_with_sentinel(spec, status)


def shadowed(spec: FailureModelSpec, status: FailureModelStatus, pinned_digest: str) -> bool:
    """Return whether a run that pinned a digest scores the model beside the priors."""
    return status.phase == "Shadow" and digest(spec) == status.digest == pinned_digest


def usable(spec: FailureModelSpec, status: FailureModelStatus, pinned_digest: str, now: float) -> str:
    """Return why a run that pinned a digest is not judged with a model; empty where it is.

    Checked again at each run's start: a status may be older than the manifest.
    """
    if status.phase != "Active":
        return f"the FailureModel is {status.phase or 'not looked at yet'}"
    if not pinned_digest or digest(spec) != pinned_digest or status.digest != pinned_digest:
        return "the FailureModel changed since the run began"
    if spec.valid_until and parse_time(spec.valid_until) <= now:
        return "the FailureModel expired"
    return ""
