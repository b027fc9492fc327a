"""`coalmine app diff NAME`: render what Git declares, and compare it with what lives by dry runs."""

import argparse
import asyncio
import tempfile
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from rollout.api.application import Application
from rollout.api.gitrepository import GitRepository
from rollout.api.keys import MANAGER
from rollout.api.validate_git import validate_application, validate_git_repository
from rollout.cli.arguments import FAILED
from rollout.cli.checkout import Checkout
from rollout.cli.differences import Difference, lines, summary
from rollout.cli.screen import make_screen
from rollout.cli.target import Cluster, in_cluster, patiently, show, tell, typed
from rollout.controllers.gitjobs import full_ref, remote_of
from rollout.controllers.workshop import read_secret
from rollout.domain.sync.driven import Driven, drivers
from rollout.domain.sync.files import Revisions
from rollout.domain.sync.objects import ObjectId, Rendered, RenderedObject
from rollout.domain.sync.syncing import blocking, inventory_ids
from rollout.errors import ApiError, CoalmineError, Conflict, InvalidSpec, NotFound
from rollout.git.credentials import ANONYMOUS, Credentials, credentials_from_secret
from rollout.git.mirror import Mirror
from rollout.kube.apply import desired_of
from rollout.kube.inventory import Owner, owner_of
from rollout.kube.resources import APPLICATIONS, GIT_REPOSITORIES, ROLLOUTS, Resource
from rollout.render.render import Scopes, render

Json = dict[str, Any]

_AUTOSCALERS = Resource("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
_CONCURRENCY_MAX = 8
_RACES_MAX = 4


def run(arguments: argparse.Namespace) -> int:
    """Show the differences."""
    return in_cluster(arguments, lambda cluster: _diff(cluster, arguments.name, arguments.path))


async def _diff(cluster: Cluster, name: str, path: Path | None) -> int:
    application = typed(await cluster.find(APPLICATIONS, name), Application)
    _refuse(f"Application {name}", validate_application(application.spec))
    rendered = await patiently(_rendered(cluster, application, path), "rendering")
    for block in blocking(rendered, application.status.rollouts):
        tell(f"a sync would hold this revision: {block.words}; lift it with `coalmine app release {name}`")
    for warning in rendered.warnings:
        tell(warning)
    found = await patiently(_differences(cluster, application, rendered), "comparing with the cluster")
    differing = [difference for difference in found if difference.verb]
    screen = make_screen()
    for difference in differing:
        show([*lines(difference, screen), ""])
    show([f"Application {name} against {_words(rendered, path)}: {summary(differing)}"])
    return FAILED if differing else 0


def _refuse(what: str, problems: Iterable[InvalidSpec]) -> None:
    """Raise for a spec that the operator would not carry out."""
    if words := "; ".join(map(str, problems)):
        raise CoalmineError(f"{what} is invalid: {words}")


def _words(rendered: Rendered, path: Path | None) -> str:
    return f"commit {rendered.commit[:12]}" if path is None else str(path)


async def _rendered(cluster: Cluster, application: Application, path: Path | None) -> Rendered:
    """The render of a checkout, or of the wanted commit of the repository."""
    if path is not None:
        return await _render(cluster, application, Checkout(path), "checkout")
    live = await cluster.find(GIT_REPOSITORIES, application.spec.source.repository_ref.name)
    repository = typed(live, GitRepository)
    # What the operator refuses to fetch from, such as plain http, gets our credentials no sooner.
    _refuse(f"GitRepository {repository.metadata.name}", validate_git_repository(repository.spec))
    credentials = await _credentials(cluster, repository)
    with tempfile.TemporaryDirectory(prefix="coalmine-diff-") as folder:
        mirror = Mirror.of(Path(folder), repository.spec.url)
        remote = remote_of(repository.spec, credentials)
        commit = await asyncio.to_thread(partial(mirror.fetch, remote, full_ref(repository.spec.ref)))
        return await _render(cluster, application, mirror, commit)


async def _credentials(cluster: Cluster, repository: GitRepository) -> Credentials:
    """The credentials for reading that the repository's Secret holds; they stay in memory and private files."""
    if repository.spec.secret_ref is None:
        return ANONYMOUS
    try:
        data = await read_secret(cluster.client, cluster.namespace, repository.spec.secret_ref, "spec.secretRef")
    except ApiError as error:
        if error.status == 403:
            raise CoalmineError(
                f"you may not read Secret {repository.spec.secret_ref.name}, which opens the repository; "
                "render your own checkout with --path DIR"
            ) from error
        raise
    return credentials_from_secret(data, "spec.secretRef")


async def _render(cluster: Cluster, application: Application, files: Revisions, revision: str) -> Rendered:
    """Render, and once more where discovery knows a kind's scope better."""
    namespace = application.spec.destination.namespace or application.metadata.namespace
    call = partial(render, files, revision, application.spec.source, namespace)
    rendered = await asyncio.to_thread(call)
    scopes = await _scopes(cluster, rendered)
    return await asyncio.to_thread(partial(call, scopes=scopes))


async def _scopes(cluster: Cluster, rendered: Rendered) -> Scopes:
    kinds = {(o.obj["apiVersion"], o.id.kind) for o in rendered.objects}
    served = {kind: await cluster.client.discover(*kind) for kind in sorted(kinds)}
    return {kind: resource.namespaced for kind, resource in served.items() if resource is not None}


async def _differences(cluster: Cluster, application: Application, rendered: Rendered) -> list[Difference]:
    """Every declared object, and what is applied and declared no more."""
    owner = Owner(application.metadata.namespace, application.metadata.name)
    driven = drivers([*await _others(cluster, rendered), *(o.obj for o in rendered.objects)])
    gate = asyncio.Semaphore(_CONCURRENCY_MAX)

    async def one(wanted: RenderedObject) -> Difference:
        async with gate:
            return await _difference(cluster, wanted, owner, driven)

    changed = await asyncio.gather(*map(one, rendered.objects))
    return [*changed, *await _undeclared(cluster, application, rendered, owner)]


async def _others(cluster: Cluster, rendered: Rendered) -> list[Json]:
    """Live Rollouts and autoscalers of the namespaces, which drive fields of what is declared."""
    found: list[Json] = []
    for namespace in sorted({o.id.namespace for o in rendered.objects if o.id.namespace}):
        for resource in (ROLLOUTS, _AUTOSCALERS):
            try:
                found += await cluster.client.list(resource, namespace)
            except NotFound:
                continue  # This cluster does not serve autoscaling/v2, so nothing is scaled by it.
    return found


async def _difference(cluster: Cluster, wanted: RenderedObject, owner: Owner, driven: Driven) -> Difference:
    """One object, by a dry run of the apply that a sync would do."""
    resource = await cluster.client.discover(wanted.obj["apiVersion"], wanted.id.kind)
    if resource is None:
        return Difference(wanted.id, None, wanted.obj, "its kind is not served yet, so nothing checked it")
    for _ in range(_RACES_MAX):
        try:
            live = await cluster.client.get(resource, wanted.id.namespace or None, wanted.id.name)
            desired = desired_of(wanted, live, owner, driven)
            planned = await cluster.client.apply(resource, desired, manager=MANAGER, force=True, dry_run=True)
            return Difference(wanted.id, live, planned)
        except NotFound:
            return Difference(wanted.id, None, wanted.obj, "its namespace does not exist yet, so nothing checked it")
        except Conflict:
            continue  # The operator wrote what it drives between our read and our dry run.
        except ApiError as error:
            raise CoalmineError(f"{wanted.id.words} ({wanted.path}) would be refused: {error}") from error
    raise CoalmineError(f"{wanted.id.words} changes faster than it can be compared; try again")


async def _undeclared(cluster: Cluster, application: Application, rendered: Rendered, owner: Owner) -> list[Difference]:
    """What a prune would delete; without `prune` it stays."""
    if not application.spec.sync.prune:
        return []
    versions = {entry.id: entry.v for entry in application.status.inventory.entries}
    gone = sorted(inventory_ids(application.status.inventory) - {o.id for o in rendered.objects})
    found = [await _live(cluster, object_id, versions.get(str(object_id), "v1")) for object_id in gone]
    mine = ((i, obj) for i, obj in zip(gone, found, strict=True) if obj is not None and owner_of(obj) == owner.id)
    return [Difference(object_id, obj, None, "declared no more") for object_id, obj in mine]


async def _live(cluster: Cluster, object_id: ObjectId, version: str) -> Json | None:
    api_version = f"{object_id.group}/{version}" if object_id.group else version
    resource = await cluster.client.discover(api_version, object_id.kind)
    return None if resource is None else await cluster.client.get(resource, object_id.namespace or None, object_id.name)
