"""Which files of a branch other Applications read: a revert must not change what is not its Application's alone."""

from dataclasses import dataclass

import msgspec

from rollout.api.application import Application
from rollout.api.gitrepository import GitRepository
from rollout.api.validate_git import validate_git_repository
from rollout.controllers.context import Context
from rollout.controllers.workshop import GitWorkshop
from rollout.git.mirror import normalised_url
from rollout.kube.cache import Key
from rollout.kube.resources import APPLICATIONS, GIT_REPOSITORIES


@dataclass(frozen=True, slots=True)
class Sharing:
    """What others read.

    Attributes:
        files: that their last complete renders read.
        folders: of plain directories that were not rendered since the start; they read nothing else.
        unknown: Applications with another renderer that were not rendered since the start: they may read anything.
    """

    files: frozenset[str] = frozenset()
    folders: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def sharing(context: Context, workshop: GitWorkshop, key: Key, url: str, branch: str) -> Sharing:
    """What other Applications read of a branch.

    Args:
        context: caches.
        workshop: what the last renders read; lost by a restart, so that nothing may be concluded from its absence.
        key: the Application that asks.
        url: normalised.
        branch: short name; others may follow another branch, which a push to this one does not change.
    """
    files: set[str] = set()
    folders, unknown = [], []
    for live in context.caches[APPLICATIONS].all():
        try:
            other = msgspec.convert(live, Application)
        except msgspec.ValidationError:
            continue  # Its own turns do nothing either.
        name = (other.metadata.namespace, other.metadata.name)
        if name == key or not _follows(context, other, url, branch):
            continue
        of_url, closure = workshop.memory(name, other.metadata.uid).closure
        if of_url == url:
            files |= closure
        elif other.spec.source.kustomize is None:
            folders.append(other.spec.source.path.strip("/"))
        else:
            unknown.append("/".join(name))
    return Sharing(frozenset(files), tuple(sorted(folders)), tuple(sorted(unknown)))


def _follows(context: Context, application: Application, url: str, branch: str) -> bool:
    """Whether an Application reads this branch of this repository."""
    name = application.spec.source.repository_ref.name
    live = context.caches[GIT_REPOSITORIES].get((application.metadata.namespace, name))
    if live is None:
        return False
    try:
        spec = msgspec.convert(live, GitRepository).spec
    except msgspec.ValidationError:
        return False
    return not validate_git_repository(spec) and (normalised_url(spec.url), spec.ref.branch) == (url, branch)
