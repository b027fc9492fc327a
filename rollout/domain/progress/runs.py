"""The background AnalysisRun of an update: hearing its verdict, starting and ending it, recording the weights."""

from typing import Any

import msgspec

from analysis.background_spec import RolloutAnalysisBackground
from analysis.verdict import AnalysisPhase
from analysis.weights import MAX_CHANGES
from rollout.api.keys import UPDATE
from rollout.api.rollout import PauseCondition, RolloutAnalysisRunStatus, RolloutStatus
from rollout.domain.actions import Action, CreateRun, RecordWeights, TerminateRun
from rollout.domain.clock import epoch, rfc3339
from rollout.domain.decision import Decision, Event
from rollout.domain.progress.revision import latest_revision
from rollout.domain.progress.standing import current_step, skipping, step_index, updating
from rollout.domain.world import RunView, World

INCONCLUSIVE = "InconclusiveAnalysisRun"
NO_DATA = "NoData"
ANOMALY = "SentinelAnomaly"


def background(world: World, status: RolloutStatus) -> RunView | None:
    """The run that speaks for this update; one that failed before any other.

    A run that was asked to end speaks no more, except to say that the version failed: what it did not get to see is no
    reason to wait, and no proof either. Where an analysis is still wanted, another run takes its place.
    """
    speaking = [run for run in of_update(world, status) if not run.terminating or run.phase is AnalysisPhase.FAILED]
    return max(speaking, key=lambda run: (run.phase is AnalysisPhase.FAILED, run.created_at, run.name), default=None)


def of_update(world: World, status: RolloutStatus) -> list[RunView]:
    """The runs of this revision that were made for the update (or its retry), oldest first.

    A run carries the beginning of its update: its own creation time is that of the API server's clock, which may be
    behind ours. Then it would look older than its update, and one run after the other would be made.
    """
    mine = [
        run
        for run in world.runs
        if run.kind == "Background" and run.pod_hash == status.current_pod_hash and _belongs(run, status)
    ]
    return sorted(mine, key=lambda run: (run.created_at, run.name))


def _belongs(run: RunView, status: RolloutStatus) -> bool:
    started_at = status.duration.rollout_started_at
    if run.update_started_at and started_at:
        return run.update_started_at == started_at
    return run.created_at >= (epoch(started_at) if started_at else 0.0)


def judge(world: World, status: RolloutStatus, now: float) -> Decision[RolloutStatus]:
    """Let the run's verdict abort or pause the update. FAIL is heard before anything else happens in a turn."""
    run = background(world, status)
    # A user who takes an abort back has heard the verdict of that try: only a run of the next one speaks again.
    settled = status.abort or status.aborted_at is not None
    if run is None or not updating(world, status) or settled:
        return Decision(_without_pause(status, NO_DATA))
    heard = status.canary.current_background_analysis_run_status
    status = _mirror(status, run)
    match run.phase:
        case AnalysisPhase.FAILED | AnalysisPhase.ERROR:
            return _abort(world, status, run, now)
        case AnalysisPhase.INCONCLUSIVE:
            known = heard is not None and (heard.name, heard.status) == (run.name, str(run.phase))
            return _resume(world, status, now) if known and _resumed(status) else _pause_inconclusive(status, run, now)
        case _:
            turn = _hear_anomaly(status, run, heard, now)
            data = _pause_no_data if run.no_data_since else _with_data
            return turn.then(data(turn.status, run, now))


def _abort(world: World, status: RolloutStatus, run: RunView, now: float) -> Decision[RolloutStatus]:
    if skipping(world, status):
        return Decision(status)
    aborted = msgspec.structs.replace(status, abort=True, aborted_at=rfc3339(now))
    event = Event("Warning", "RolloutAborted", f"AnalysisRun {run.name} {run.phase}: {run.message}")
    return Decision(aborted, events=(event,))


def _resumed(status: RolloutStatus) -> bool:
    """Whether a user took back the pause of a verdict that was heard before (Argo's patches differ in the rest)."""
    return not status.promote_full and all(pause.reason != INCONCLUSIVE for pause in status.pause_conditions)


def _resume(world: World, status: RolloutStatus, now: float) -> Decision[RolloutStatus]:
    """The update goes on under a new run, which needs a new beginning; the resumed step's own pause is over too."""
    step = current_step(world, status)
    over = status.controller_pause and step is not None and step.pause is not None
    duration = msgspec.structs.replace(status.duration, rollout_started_at=rfc3339(now))
    canary = msgspec.structs.replace(status.canary, current_background_analysis_run_status=None)
    return Decision(msgspec.structs.replace(status, controller_pause=over, duration=duration, canary=canary))


def _pause_inconclusive(status: RolloutStatus, run: RunView, now: float) -> Decision[RolloutStatus]:
    if any(pause.reason == INCONCLUSIVE for pause in status.pause_conditions):
        return Decision(status)
    paused = _with_pause(status, INCONCLUSIVE, now)
    event = Event("Warning", "RolloutPaused", f"AnalysisRun {run.name} Inconclusive: {run.message}")
    return Decision(msgspec.structs.replace(paused, controller_pause=True), events=(event,))


def _hear_anomaly(
    status: RolloutStatus, run: RunView, heard: RolloutAnalysisRunStatus | None, now: float
) -> Decision[RolloutStatus]:
    """Pause once for what the sentinel saw. The run goes on: evidence that comes later still aborts.

    Who takes the pause back has seen the anomaly; this run pauses no more for it.
    """
    known = heard is not None and (heard.name, heard.message) == (run.name, run.anomaly)
    if not run.anomaly or known or run.phase.completed:
        return Decision(status)
    event = Event("Warning", "RolloutPaused", f"AnalysisRun {run.name}: {run.anomaly}")
    return Decision(_with_pause(_without_pause(status, ANOMALY), ANOMALY, now), events=(event,))


def _with_data(status: RolloutStatus, _run: RunView, _now: float) -> Decision[RolloutStatus]:
    return Decision(_without_pause(status, NO_DATA))


def _pause_no_data(status: RolloutStatus, run: RunView, now: float) -> Decision[RolloutStatus]:
    if any(pause.reason == NO_DATA for pause in status.pause_conditions):
        return Decision(status)
    event = Event("Warning", "RolloutPaused", f"AnalysisRun {run.name} has no data since {run.no_data_since}")
    return Decision(_with_pause(status, NO_DATA, now), events=(event,))


def _with_pause(status: RolloutStatus, reason: str, now: float) -> RolloutStatus:
    condition = PauseCondition(reason=reason, start_time=rfc3339(now))
    return msgspec.structs.replace(status, pause_conditions=(*status.pause_conditions, condition))


def _without_pause(status: RolloutStatus, reason: str) -> RolloutStatus:
    left = tuple(pause for pause in status.pause_conditions if pause.reason != reason)
    return status if left == status.pause_conditions else msgspec.structs.replace(status, pause_conditions=left)


def _mirror(status: RolloutStatus, run: RunView) -> RolloutStatus:
    """Show the run in the Rollout's status, where users look first."""
    words = run.message if run.phase.completed else run.anomaly or run.message
    seen = RolloutAnalysisRunStatus(name=run.name, status=str(run.phase), message=words)
    canary = msgspec.structs.replace(status.canary, current_background_analysis_run_status=seen)
    return msgspec.structs.replace(status, canary=canary)


def wanted(world: World, status: RolloutStatus) -> bool:
    """Whether a background run belongs beside the update now."""
    analysis = world.canary.analysis
    return (
        analysis is not None
        and bool(analysis.templates)
        and updating(world, status)
        and not status.abort
        and not skipping(world, status)
        and not world.rollout.spec.paused
        and step_index(world, status) >= (analysis.starting_step or 0)
    )


def keep(world: World, status: RolloutStatus, now: float) -> Decision[RolloutStatus]:
    """Start the run when its step has come, keep its weight timeline, end every run that has lost its purpose."""
    current = background(world, status) if wanted(world, status) else None
    actions: list[Action] = [
        TerminateRun(run.name)
        for run in world.runs
        if not run.phase.completed
        and not run.terminating
        and not (current and run.name == current.name)
        and not _suspended(world, status, run)
    ]
    arms = (status.current_pod_hash, status.stable_rs)
    if wanted(world, status) and current is None and world.run_spec is not None and world.run_arms == arms:
        actions.append(_create(world, status, world.run_spec, now))
    if current is not None and not current.phase.completed:
        actions += _record(world, status, current, now)
    return Decision(status, tuple(actions))


def _suspended(world: World, status: RolloutStatus, run: RunView) -> bool:
    """A user's pause keeps the run that belongs to the update."""
    return (
        world.rollout.spec.paused and updating(world, status) and not status.abort and run == background(world, status)
    )


def _create(world: World, status: RolloutStatus, spec: dict[str, Any], now: float) -> CreateRun:
    new = world.by_hash(status.current_pod_hash)
    number = new.revision if new else latest_revision(world)
    base = f"{world.rollout.metadata.name}-{status.current_pod_hash}-{number}"
    taken = {run.name for run in world.runs}
    name = next(n for n in (base, *(f"{base}.{i}" for i in range(1, len(taken) + 2))) if n not in taken)
    metadata = (world.canary.analysis or RolloutAnalysisBackground()).analysis_run_metadata
    timeline = _timeline_entry(reached_weight_percent(world, status), now)
    return CreateRun(
        name,
        status.current_pod_hash,
        number,
        "Background",
        spec,
        dict(metadata.labels),
        {**metadata.annotations, "coalmine.dev/weights": timeline, UPDATE: status.duration.rollout_started_at or ""},
    )


def reached_weight_percent(world: World, status: RolloutStatus) -> int:
    """The canary's share that is in force: what the router has, or the ratio of available pods."""
    if world.routed:
        return min((max(route.canary_weight_percent, 0) for route in world.routes), default=0)
    weights = status.canary.weights
    return weights.canary.weight if weights else 0


def _record(world: World, status: RolloutStatus, run: RunView, now: float) -> tuple[Action, ...]:
    """Append the weight once it is a new step's: the evidence restarts at each increase (analysis.md 2.5)."""
    weight = reached_weight_percent(world, status)
    last = run.weights.rsplit("=", 1)[-1]
    planned = {step.set_weight for step in world.canary.steps} | {0, 100}
    if weight not in planned or last == str(weight):
        return ()
    kept = [entry for entry in run.weights.split(",") if entry][-(MAX_CHANGES - 1) :]
    return (RecordWeights(run.name, ",".join([*kept, _timeline_entry(weight, now)])),)


def _timeline_entry(weight_percent: int, now: float) -> str:
    return f"{rfc3339(now)}={weight_percent}"
