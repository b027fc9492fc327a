"""From caches and memory to the world of an Application. No I/O."""

from typing import Any

import msgspec

from rollout.api.application import Application
from rollout.api.gitrepository import GitRepository
from rollout.api.keys import REFRESH
from rollout.api.validate_git import validate_application, validate_git_repository
from rollout.controllers.context import Context
from rollout.controllers.recent import reverts_last_hour
from rollout.controllers.rollout_view import rollout_view
from rollout.controllers.workshop import GitWorkshop, Memory
from rollout.domain.sync.digest import digest
from rollout.domain.sync.objects import ObjectId, Rendered, RenderedObject
from rollout.domain.sync.references import config_references
from rollout.domain.sync.world import ApplicationWorld, RepositoryView, RolloutView
from rollout.git.mirror import normalised_url
from rollout.kube.cache import Key
from rollout.kube.drift import essence
from rollout.kube.resources import ANALYSIS_RUNS, GIT_REPOSITORIES, PODS, REPLICA_SETS, ROLLOUTS

Json = dict[str, Any]
Digests = dict[tuple[str, str], dict[str, str]]


def observe_application(
    context: Context, workshop: GitWorkshop, application: Application, digests: Digests
) -> ApplicationWorld:
    """The world of an Application.

    Args:
        context: caches and clock.
        workshop: results of jobs.
        application: the manifest.
        digests: image digests seen so far; grows.
    """
    key = (application.metadata.namespace, application.metadata.name)
    memory = workshop.memory(key, application.metadata.uid)
    repository = _repository(context, workshop, application)
    of_this = repository is not None and memory.source == source_key(application, repository.url)
    return ApplicationWorld(
        application,
        problems=tuple(str(problem) for problem in validate_application(application.spec)),
        repository=repository,
        report=memory.report if of_this else None,
        rollouts=_rollouts(context, application, memory, digests),
        applied=memory.applied,
        pruned=memory.pruned,
        outcomes=tuple(sorted(memory.outcomes.items(), key=lambda item: item[0])),
        running=_running(workshop, application, key),
        touched=asked_refresh(application) != memory.refresh or memory.essences != essences(context, application),
        refresh_asked=asked_refresh(application),
        refresh_answered=memory.refresh,
        in_use=_in_use(context, application),
    )


def source_key(application: Application, url: str) -> str:
    """What a render is of, beside the commit: another path or renderer gives another one of the same commit."""
    spec = application.spec
    return repr((url, spec.source, spec.destination.namespace or application.metadata.namespace))


def job_name(key: Key, job: str) -> str:
    """Name of a background job of an Application."""
    return f"{job} {key[0]}/{key[1]}"


def _running(workshop: GitWorkshop, application: Application, key: Key) -> frozenset[str]:
    reverts = {r.revert.id for r in application.status.rollouts if r.revert is not None}
    names = {"render", "apply", "prune", *reverts}
    return frozenset(name for name in names if workshop.background.is_running(job_name(key, name)))


def _repository(context: Context, workshop: GitWorkshop, application: Application) -> RepositoryView | None:
    key = (application.metadata.namespace, application.spec.source.repository_ref.name)
    live = context.caches[GIT_REPOSITORIES].get(key)
    if live is None:
        return None
    repository = msgspec.convert(live, GitRepository)
    spec, state = repository.spec, workshop.fetch_of(key, repository.metadata.uid).state
    problems = "; ".join(str(problem) for problem in validate_git_repository(spec))
    return RepositoryView(
        url=normalised_url(spec.url) if not problems else spec.url,
        branch=spec.ref.branch or "",
        commit="" if problems else state.commit,
        label=state.label,
        error=problems or state.error,
        writable=spec.write is not None,
        suspended=spec.suspend,
        valid=not problems,
        trailers=state.trailers,
        reverts_last_hour=reverts_last_hour(context, key),
        reverts_per_hour_max=spec.write.max_reverts_per_hour if spec.write is not None else 0,
    )


def _rollouts(context: Context, application: Application, memory: Memory, digests: Digests) -> tuple[RolloutView, ...]:
    """Live Rollouts that the render declares, or that the status remembers."""
    declared: dict[Key, RenderedObject | None] = {(r.namespace, r.name): None for r in application.status.rollouts}
    if isinstance(memory.report, Rendered):
        declared |= {(o.id.namespace, o.id.name): o for o in memory.report.rollouts}
    views = (_view(context, key, wanted, digests) for key, wanted in sorted(declared.items(), key=lambda i: i[0]))
    return tuple(view for view in views if view is not None)


def _view(context: Context, key: Key, declared: RenderedObject | None, digests: Digests) -> RolloutView | None:
    live = context.caches[ROLLOUTS].get(key)
    if live is None:
        return None
    uid = live["metadata"]["uid"]
    sets = context.caches[REPLICA_SETS].owned(uid)
    pods = (pod for rs in sets for pod in context.caches[PODS].owned(rs["metadata"]["uid"]))
    return rollout_view(live, declared, context.caches[ANALYSIS_RUNS].owned(uid), pods, digests, context.now())


def _in_use(context: Context, application: Application) -> frozenset[ObjectId]:
    """ConfigMaps and Secrets that ReplicaSets of the namespaces still name: old revisions may come back."""
    namespaces = {application.spec.destination.namespace or application.metadata.namespace}
    namespaces |= {entry.id.partition("_")[0] for entry in application.status.inventory.entries}
    return frozenset(
        ObjectId("", kind, where, name)
        for namespace in namespaces
        if namespace
        for replica_set in context.caches[REPLICA_SETS].all(namespace)
        for kind, where, name in config_references(replica_set, namespace)
    )


def asked_refresh(application: Application) -> str:
    """The annotation by which a person asks for a full check now; any new value will do."""
    return application.metadata.annotations.get(REFRESH, "")


def essences(context: Context, application: Application) -> dict[ObjectId, str]:
    """Digests of what is declared of the Application's live objects, where a cache holds their kind."""
    caches = {(resource.group, resource.kind): cache for resource, cache in context.caches.items()}
    found = {}
    for entry in application.status.inventory.entries:
        identity = ObjectId.parse(entry.id)
        cache = caches.get((identity.group, identity.kind))
        live = cache.get((identity.namespace, identity.name)) if cache is not None else None
        if cache is not None:
            found[identity] = digest(essence(live)) if live is not None else ""
    return found
