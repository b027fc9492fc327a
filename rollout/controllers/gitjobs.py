"""Slow work for the Git kinds, off the turns: fetch, render, take back. Each job ends, and tells what came out.

Jobs get values and return values; they know no cache and no queue.
"""

import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from threading import Lock

from rollout.api.application import ApplicationSource
from rollout.api.gitrepository import GitRef, GitRepositorySpec
from rollout.api.values import duration_seconds
from rollout.domain.sync.message import FAILED_DIGEST, RELEASE, ROLLOUT
from rollout.domain.sync.objects import Rendered, RenderFailure, RenderReport
from rollout.domain.sync.plan import RevertOutcome, RevertPlan
from rollout.domain.sync.world import TrailerFact
from rollout.errors import CoalmineError, InvalidSpec, RenderError, Transient
from rollout.git.credentials import ANONYMOUS, Credentials
from rollout.git.mirror import LogEntry, Mirror, Remote
from rollout.git.pool import GitPool
from rollout.git.taking_back import Surroundings, Writing, take_back
from rollout.render.limits import MEBIBYTE
from rollout.render.render import Scopes, render

_CACHED_RENDERS_MAX = 64
_CACHED_CHANGES_MAX = 4
_CACHED_BYTES_MAX = 256 * MEBIBYTE
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_DIGESTS_MAX = 20
_NAME_LENGTH_MAX = 320


@dataclass(frozen=True, slots=True)
class RepositoryState:
    """What the host has, or why we do not know.

    Attributes:
        commit: the wanted commit; empty while it was never fetched.
        label: `<ref>@sha1:<commit>`.
        error: why the last try failed; empty after success.
        reason: the error in one word.
        transient: whether time may mend the error.
        trailers: of the last 200 commits, newest first.
    """

    commit: str = ""
    label: str = ""
    error: str = ""
    reason: str = "Fetched"
    transient: bool = False
    trailers: tuple[TrailerFact, ...] = ()


@dataclass(slots=True)
class RenderCache:
    """Renders by what determines them, bounded in number and bytes; the oldest go first."""

    _renders: dict[tuple[str, ...], Rendered] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)
    _changes: dict[tuple[str, str, str], frozenset[str]] = field(default_factory=dict)
    _asking: Lock = field(default_factory=Lock)

    def get(self, key: tuple[str, ...]) -> Rendered | None:
        """The render of a key, if it is still here."""
        return self._renders.get(key)

    def put(self, key: tuple[str, ...], rendered: Rendered) -> None:
        """Remember a render."""
        with self._lock:  # Renders run in threads.
            self._renders[key] = rendered
            while len(self._renders) > _CACHED_RENDERS_MAX or self._total_bytes() > _CACHED_BYTES_MAX:
                self._renders.pop(next(iter(self._renders)))

    def changed(self, mirror: Mirror, old: str, new: str) -> frozenset[str] | None:
        """Paths that differ between two commits, asked once for all Applications; None where git cannot tell."""
        key = (str(mirror.directory), old, new)
        with self._asking:
            if key not in self._changes:
                try:
                    self._changes[key] = mirror.changed_paths(old, new)
                except CoalmineError:
                    return None  # The older commit may have left the mirror.
                while len(self._changes) > _CACHED_CHANGES_MAX:
                    self._changes.pop(next(iter(self._changes)))
            return self._changes[key]

    def _total_bytes(self) -> int:
        return sum(rendered.size_bytes for rendered in self._renders.values())


def full_ref(ref: GitRef) -> str:
    """The ref to fetch: refs/heads/x, refs/tags/x, or a commit id."""
    if ref.branch is not None:
        return f"refs/heads/{ref.branch}"
    if ref.tag is not None:
        return f"refs/tags/{ref.tag}"
    if ref.commit is not None:
        return ref.commit
    raise InvalidSpec("spec.ref", "needs branch, tag or commit")


def remote_of(spec: GitRepositorySpec, credentials: Credentials = ANONYMOUS) -> Remote:
    """The remote of a repository with our credentials."""
    return Remote(spec.url, credentials, duration_seconds(spec.timeout))


async def fetch_job(
    pool: GitPool, spec: GitRepositorySpec, credentials: Credentials, known: RepositoryState
) -> RepositoryState:
    """Ask the host for the wanted commit, and bring it here when it is new; never raises for what hosts do.

    Args:
        pool: mirrors and threads.
        spec: the repository, validated.
        credentials: for reading.
        known: the state before; stays valid while the host is down.
    """
    mirror = pool.mirror(spec.url)
    try:
        async with pool.lock(spec.url):
            return await pool.run(partial(_fetch, mirror, spec, credentials, known))
    except Transient as error:
        return _failed(known, error, transient=True)
    except CoalmineError as error:
        return _failed(known, error, transient=False)


def _failed(known: RepositoryState, error: CoalmineError, *, transient: bool) -> RepositoryState:
    reason = type(error).__name__
    return RepositoryState(known.commit, known.label, str(error), reason, transient, known.trailers)


def _fetch(
    mirror: Mirror, spec: GitRepositorySpec, credentials: Credentials, known: RepositoryState
) -> RepositoryState:
    remote, ref = remote_of(spec, credentials), full_ref(spec.ref)
    if spec.ref.commit is None:
        wanted = mirror.ls_remote(remote, ref)
    else:
        mirror.ask(remote)
        wanted = ref
    if not (wanted == known.commit and mirror.has(wanted)):
        wanted = mirror.fetch(remote, ref)
    name = spec.ref.branch or spec.ref.tag or "commit"
    return RepositoryState(wanted, f"{name}@sha1:{wanted}", trailers=_trailers(mirror.log(wanted)))


def _trailers(entries: tuple[LogEntry, ...]) -> tuple[TrailerFact, ...]:
    """Digests that commits declare failed or released, newest first."""
    return tuple(
        TrailerFact(
            commit=entry.commit,
            position=position,
            rollout=next((v.partition("@")[0] for v in entry.values(ROLLOUT)), "")[:_NAME_LENGTH_MAX],
            failed=_digests(entry, FAILED_DIGEST),
            released=_digests(entry, RELEASE),
        )
        for position, entry in enumerate(entries)
    )


def _digests(entry: LogEntry, key: str) -> tuple[str, ...]:
    """Digests in a commit's trailers; anybody who may push writes these, so their form and number are checked."""
    return tuple(value for value in entry.values(key) if _DIGEST.fullmatch(value))[:_DIGESTS_MAX]


async def take_over(
    pool: GitPool, cache: RenderCache, url: str, commit: str, earlier: Rendered, path: str
) -> Rendered | None:
    """An earlier render as that of another commit, where nothing that it read has changed; None: render anew.

    Args:
        pool: mirrors and threads.
        cache: of what commits change.
        url: of the repository.
        commit: the wanted one; it was fetched before.
        earlier: of the same source, with the same scopes.
        path: of the source.
    """
    changed = await pool.run(partial(cache.changed, pool.mirror(url), earlier.commit, commit))
    return None if changed is None else carried(earlier, changed, path, commit)


def carried(earlier: Rendered, changed: frozenset[str], path: str, commit: str) -> Rendered | None:
    """An earlier render as that of another commit; None where what changed between them may alter it."""
    return None if touches(changed, earlier, path) else replace(earlier, commit=commit)


def touches(changed: frozenset[str], rendered: Rendered, path: str) -> bool:
    """Whether a change may alter a render: of a file it read, of one beside those, or of one below its folder.

    A file beside those it read may be another kustomization, which is an error; so may one that was not there.
    """
    folder = path.strip("/")
    beside = {posixpath.dirname(read) for read in rendered.closure}
    return any(
        not folder or one == folder or one.startswith(f"{folder}/") or posixpath.dirname(one) in beside
        for one in changed
    )


async def render_job(
    pool: GitPool,
    cache: RenderCache,
    url: str,
    commit: str,
    source: ApplicationSource,
    namespace: str,
    scopes: Scopes | None = None,
) -> RenderReport:
    """Render a commit; never raises for what a tree holds.

    Args:
        pool: mirrors and threads.
        cache: of renders.
        url: of the repository.
        commit: to render; it was fetched before.
        source: renderer and path.
        namespace: of objects that name none.
        scopes: what discovery knows of kinds.
    """
    call = renderer(pool.mirror(url), cache, source, namespace, scopes)
    try:
        return await pool.run(partial(call, commit))
    except Transient as error:
        return RenderFailure(commit, str(error), transient=True)
    except CoalmineError as error:
        return RenderFailure(commit, str(error))


def renderer(
    mirror: Mirror, cache: RenderCache, source: ApplicationSource, namespace: str, scopes: Scopes | None = None
) -> Callable[[str], Rendered]:
    """Renders commits or trees of one Application; raises RenderError."""

    def rendered(revision: str) -> Rendered:
        key = (str(mirror.directory), revision, repr(source), namespace, repr(sorted((scopes or {}).items())))
        found = cache.get(key)
        if found is None:
            try:
                found = render(mirror, revision, source, namespace, scopes=scopes)
            except (OSError, MemoryError) as error:
                raise RenderError(f"the renderer could not run: {error}") from error
            cache.put(key, found)
        return found

    return rendered


async def revert_job(pool: GitPool, plan: RevertPlan, writing: Writing, around: Surroundings) -> RevertOutcome:
    """Carry a planned revert out while holding the repository; never raises for what hosts and trees do.

    Args:
        pool: mirrors and threads.
        plan: persisted in the Application's status before.
        writing: remote, author and key.
        around: rendering, files that others read, and the last question before the push.
    """
    url = writing.remote.url
    async with pool.lock(url):
        return await pool.run(partial(take_back, pool.mirror(url), plan, writing, around))
