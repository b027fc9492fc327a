"""`coalmine app get NAME`: an Application in words. Pure but for the reading."""

import argparse
from collections.abc import Iterator

from rollout.api.application import Application
from rollout.api.application_status import ApplicationRollout, QuarantineEntry, RevertStatus, RolloutRevision
from rollout.api.gitrepository import GitRepository
from rollout.cli.screen import Screen, facts, make_screen, table
from rollout.cli.target import Cluster, in_cluster, show, typed
from rollout.errors import CoalmineError
from rollout.kube.resources import APPLICATIONS, GIT_REPOSITORIES

SHORT = len("sha256:") + 12


def run(arguments: argparse.Namespace) -> int:
    """Show it."""
    return in_cluster(arguments, lambda cluster: _get(cluster, arguments.name))


async def _get(cluster: Cluster, name: str) -> int:
    application = typed(await cluster.find(APPLICATIONS, name), Application)
    try:
        found = await cluster.find(GIT_REPOSITORIES, application.spec.source.repository_ref.name)
        repository = typed(found, GitRepository)
    except CoalmineError:
        repository = None  # It is missing, which the conditions say, or may not be read.
    show(describe(application, repository, make_screen()))
    return 0


def describe(application: Application, repository: GitRepository | None, screen: Screen) -> list[str]:
    """The whole text."""
    status = application.status
    lines = facts(
        [
            ("Name", application.metadata.name),
            ("Namespace", application.metadata.namespace),
            ("Source", _source(application, repository)),
            ("Sync", _policy(application)),
            ("Desired", status.desired_revision),
            ("Applied", status.applied_revision),
            ("Objects", str(status.inventory.count)),
        ]
    )
    if status.observed_generation != application.metadata.generation:
        generation = application.metadata.generation
        lines.append(f"This is about an older spec: the operator has not seen generation {generation}")
    rows = [(c.type, screen.status(c.status), c.reason, c.message) for c in status.conditions]
    lines += ["", *table(("CONDITION", "STATUS", "REASON", "MESSAGE"), rows)]
    for record in status.rollouts:
        lines += ["", *_rollout(record)]
    return lines


def _source(application: Application, repository: GitRepository | None) -> str:
    source = application.spec.source
    path, name = source.path or "/", source.repository_ref.name
    if repository is None:
        return f"{path} of GitRepository {name}"
    ref = repository.spec.ref
    wanted = ref.branch or ref.tag or ref.semver or ref.commit
    return f"{path} of {repository.spec.url} at {wanted} (GitRepository {name})"


def _policy(application: Application) -> str:
    sync = application.spec.sync
    words = [sync.mode, f"every {sync.interval}"]
    words += ["self-heal"] if sync.self_heal else []
    words += ["prune"] if sync.prune else []
    return ", ".join([*words, *(["suspended"] if application.spec.suspend else [])])


def _rollout(record: ApplicationRollout) -> list[str]:
    """One Rollout: its versions, what is in quarantine, its revert."""
    healthy, current = record.last_healthy, record.current
    pairs = [
        ("  Declared", _version(current) if current else ""),
        ("  Last healthy", f"{_version(healthy)}  {healthy.at}" if healthy else ""),
        ("  Quarantine", "\n".join(_entry(entry) for entry in record.quarantine)),
        ("  Revert", "\n".join(_revert(record.revert)) if record.revert else ""),
    ]
    return [f"Rollout {record.namespace}/{record.name}", *facts(pairs)]


def _version(revision: RolloutRevision) -> str:
    images = ", ".join(image.reference for image in revision.images)
    return f"{revision.revision[:12]}  {revision.template_digest[:SHORT]}  {images}"


def _entry(entry: QuarantineEntry) -> str:
    """`sha256:1f2e3d4c5b6a  failed at 25 %, declared by 1a2b3c, ...`."""
    parts = [entry.reason or "failed", f"since {entry.since}"]
    parts += [f"declared by {entry.revision[:12]}"] if entry.revision else []
    parts += [f"AnalysisRun {entry.analysis_run}"] if entry.analysis_run else []
    parts += [f"images {', '.join(entry.references)}"] if entry.references else []
    parts += [f"released at {entry.released_at}"] if entry.released_at else []
    return f"{entry.template_digest[:SHORT]}  {', '.join(parts)}"


def _revert(revert: RevertStatus) -> Iterator[str]:
    what = f"{revert.phase}: {revert.commit[:12]} takes" if revert.commit else f"{revert.phase}: takes"
    yield f"{what} {revert.bad[:12]} back to {revert.good[:12]} (id {revert.id}, planned {revert.planned_at})"
    if revert.reason or revert.message:
        yield ": ".join(part for part in (revert.reason, revert.message) if part)
    if revert.cause:
        yield f"because {revert.cause}"
