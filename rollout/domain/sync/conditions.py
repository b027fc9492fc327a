"""The conditions of an Application: Ready, Reconciling, Stalled (kstatus), Synced, Reverted."""

from typing import Literal

from rollout.api.application_status import ApplicationRollout
from rollout.api.meta import Condition, set_condition
from rollout.domain.clock import rfc3339
from rollout.domain.sync.syncing import SyncStep
from rollout.domain.sync.world import ApplicationWorld
from rollout.domain.words import printable

Truth = Literal["True", "False", "Unknown"]
_STALLED = frozenset({"RepositoryMissing", "RenderFailed", "RevisionQuarantined", "PruneHeld"})


def conditions_of(
    world: ApplicationWorld, step: SyncStep, records: tuple[ApplicationRollout, ...], now: float
) -> tuple[Condition, ...]:
    """All conditions, with transition times that move only when a status changes.

    Args:
        world: the Application.
        step: what the sync half decided.
        records: of its Rollouts, after this turn.
        now: epoch seconds.
    """
    synced = step.synced
    truth: Truth = "True" if synced.status == "True" else "False" if synced.status == "False" else "Unknown"
    ready = _ready(world, step)
    stalled = synced.reason in _STALLED or any(r.revert is not None and r.revert.phase == "Blocked" for r in records)
    found = [
        ready,
        _condition("Reconciling", yes(step.busy), synced.reason if step.busy else "Settled", synced.message),
        _condition(
            "Stalled", yes(stalled), synced.reason if stalled else "NotStalled", synced.message if stalled else ""
        ),
        _condition("Synced", truth, synced.reason, synced.message),
    ]
    reverted = _reverted(records)
    conditions = world.application.status.conditions
    for condition in [*found, *([reverted] if reverted is not None else [])]:
        conditions = set_condition(conditions, _observed(world, condition), rfc3339(now))
    return conditions


def invalid_conditions(world: ApplicationWorld, now: float) -> tuple[Condition, ...]:
    """The conditions of a spec that cannot be carried out."""
    words = "; ".join(world.problems)
    conditions = world.application.status.conditions
    for kind, truth in (("Ready", "False"), ("Reconciling", "False"), ("Stalled", "True"), ("Synced", "False")):
        found = _condition(kind, yes(truth == "True"), "InvalidSpec", words)
        conditions = set_condition(conditions, _observed(world, found), rfc3339(now))
    return conditions


def yes(holds: bool) -> Truth:  # noqa: FBT001  A truth value is the whole argument.
    """A truth value as conditions write it."""
    return "True" if holds else "False"


def _condition(kind: str, status: Truth, reason: str, message: str) -> Condition:
    return Condition(type=kind, status=status, reason=reason, message=printable(message[:2000]))


def _observed(world: ApplicationWorld, condition: Condition) -> Condition:
    return Condition(
        type=condition.type,
        status=condition.status,
        reason=condition.reason,
        message=condition.message,
        observed_generation=world.application.metadata.generation,
    )


def _ready(world: ApplicationWorld, step: SyncStep) -> Condition:
    """Ready: in sync, everything healthy, every Rollout complete."""
    if step.synced.status != "True":
        return _condition("Ready", "False", step.synced.reason, step.synced.message)
    failed = [r for r in world.rollouts if r.failure is not None or r.aborted]
    if failed:
        names = ", ".join(f"{r.namespace}/{r.name}" for r in failed)
        return _condition("Ready", "False", "RolloutFailed", f"{names} gave its update up")
    unhealthy = world.applied.unhealthy if world.applied is not None else ()
    running = [r for r in world.rollouts if not r.healthy]
    if unhealthy or running:
        listed = [f"{i.words}: {words}" for i, words in unhealthy[:5]]
        listed += [f"Rollout {r.namespace}/{r.name} is under way" for r in running[:5]]
        degraded = world.applied is not None and bool(world.applied.degraded)
        return _condition("Ready", "False", "Degraded" if degraded else "Progressing", "; ".join(listed))
    return _condition("Ready", "True", "Healthy", step.synced.message)


def _reverted(records: tuple[ApplicationRollout, ...]) -> Condition | None:
    """The newest revert of all Rollouts; none where nothing ever failed."""
    reverts = sorted(
        ((r.revert.planned_at, f"{r.namespace}/{r.name}", r.revert) for r in records if r.revert is not None),
        key=lambda found: found[:2],
    )
    if not reverts:
        return None
    _, name, revert = reverts[-1]
    match revert.phase:
        case "Pushed":
            words = f"{name}: {revert.commit[:7]} takes {revert.bad[:7]} back"
            return _condition("Reverted", "True", "Pushed", words)
        case "AlreadyReverted":
            return _condition("Reverted", "True", "AlreadyReverted", f"{name}: {revert.message}")
        case "Superseded":
            return _condition("Reverted", "False", "Superseded", f"{name}: {revert.message}")
        case "Blocked":
            return _condition("Reverted", "False", "RevertBlocked", f"{name}: {revert.reason}: {revert.message}")
        case "Planned" | "PullRequestOpen":
            words = revert.message or f"taking {revert.bad[:7]} back"
            return _condition("Reverted", "False", revert.reason or revert.phase, f"{name}: {words}")
