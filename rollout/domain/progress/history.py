"""Forgetting: old ReplicaSets and finished AnalysisRuns beyond their limits."""

from analysis.verdict import AnalysisPhase
from rollout.api.rollout import AnalysisRunStrategy, RolloutStatus
from rollout.domain.actions import Action, DeleteReplicaSet, DeleteRun
from rollout.domain.decision import Decision
from rollout.domain.progress.runs import background, of_update
from rollout.domain.world import RunView, World

DEFAULT_REVISIONS = 10
DEFAULT_RUNS = 5


def collect(world: World, status: RolloutStatus, now: float) -> Decision[RolloutStatus]:
    """Delete what is beyond the history limits, oldest first; never anything that an update needs."""
    del now
    return Decision(status, (*_replica_sets(world, status), *_runs(world, status)))


def _replica_sets(world: World, status: RolloutStatus) -> tuple[Action, ...]:
    limit = world.rollout.spec.revision_history_limit
    kept = DEFAULT_REVISIONS if limit is None else limit
    idle = [
        rs
        for rs in world.replica_sets
        if rs.pod_hash not in {status.current_pod_hash, status.stable_rs}
        and not rs.deleting
        and rs.replicas == 0
        and rs.current == 0
    ]
    newest_first = sorted(idle, key=lambda rs: (-rs.revision, -rs.created_at))
    return tuple(DeleteReplicaSet(rs.name, rs.uid) for rs in newest_first[kept:])


def _runs(world: World, status: RolloutStatus) -> tuple[Action, ...]:
    limits = world.rollout.spec.analysis or AnalysisRunStrategy()
    shown = {background(world, status), *of_update(world, status)[-1:]}
    finished = [run for run in world.runs if run.phase.completed and run not in shown]
    successful = [run for run in finished if run.phase is AnalysisPhase.SUCCESSFUL]
    others = [run for run in finished if run.phase is not AnalysisPhase.SUCCESSFUL]
    return (
        *_beyond(successful, limits.successful_run_history_limit),
        *_beyond(others, limits.unsuccessful_run_history_limit),
    )


def _beyond(runs: list[RunView], limit: int | None) -> tuple[Action, ...]:
    kept = DEFAULT_RUNS if limit is None else limit
    newest_first = sorted(runs, key=lambda run: (-run.created_at, run.name))
    return tuple(DeleteRun(run.name, run.uid) for run in newest_first[kept:])
