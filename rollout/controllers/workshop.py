"""What the Git kinds keep in memory between turns: results of jobs, never decisions. All of it can be lost."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from rollout.api.meta import NameRef
from rollout.controllers.background import Background
from rollout.controllers.gitjobs import RenderCache, RepositoryState
from rollout.domain.sync.objects import ObjectId, RenderReport
from rollout.domain.sync.plan import RevertOutcome
from rollout.domain.sync.world import ApplyReport, PruneReport
from rollout.errors import InvalidSpec
from rollout.git.pool import GitPool
from rollout.kube.cache import Key
from rollout.kube.client import KubeClient
from rollout.kube.resources import SECRETS
from rollout.render.render import Scopes

BUSY_SECONDS = 1.0
"""When a job is tried again that could not be started, since as many run as may."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What the last fetch of a GitRepository told."""

    uid: str = ""
    url: str = ""
    """Normalised."""
    state: RepositoryState = field(default_factory=RepositoryState)
    at: float = 0.0
    generation: int = 0
    webhook_path: str = ""
    webhook_token: str = field(default="", repr=False)
    write_problem: str = ""
    refresh: str = ""
    """Value of the annotation `coalmine.dev/refresh` that was answered."""
    notified: str = ""
    """Value of the annotation `coalmine.dev/notified` that was answered."""


@dataclass(slots=True)
class Memory:
    """What is known of one Application beside its status."""

    uid: str = ""
    report: RenderReport | None = None
    source: str = ""
    """What was rendered; a report of another source is none."""
    scopes: Scopes = field(default_factory=dict)
    closure: tuple[str, frozenset[str]] = ("", frozenset())
    """Normalised URL, and the files that its last complete render read."""
    applied: ApplyReport | None = None
    pruned: PruneReport | None = None
    outcomes: dict[str, RevertOutcome] = field(default_factory=dict)
    essences: dict[ObjectId, str] = field(default_factory=dict)
    """Digests of its live objects as they were when the last pass began."""
    refresh: str = ""
    """Value of the annotation `coalmine.dev/refresh` that was answered."""
    rests: dict[str, float] = field(default_factory=dict)
    """Until when a job is not started again since it broke off, epoch seconds."""


class GitWorkshop:
    """Mirrors, background jobs, and their results.

    Args:
        root: folder of the mirrors.
        now: epoch seconds.
        hinted: told the GitRepository that a notification is about.
    """

    def __init__(self, root: Path, now: Callable[[], float], hinted: Callable[[Key], None]) -> None:
        self.pool = GitPool(root)
        self.renders = RenderCache()
        self.background = Background()
        self.fetched: dict[Key, Fetched] = {}
        self.hints: set[Key] = set()
        self.memories: dict[Key, Memory] = {}
        self._now, self._hinted = now, hinted

    async def __aenter__(self) -> Self:
        await self.pool.__aenter__()
        await self.background.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.background.__aexit__(kind, error, trace)
        finally:
            await self.pool.close()

    async def begin(self) -> None:
        """Begin a term of leading: others may have led since the last one, so nothing that was known then counts."""
        await self.background.cancel()
        self.fetched.clear()
        self.hints.clear()
        self.memories.clear()

    def memory(self, key: Key, uid: str) -> Memory:
        """The memory of an Application; one of the same name that was made anew begins with none."""
        known = self.memories.get(key)
        if known is None or known.uid != uid:
            known = self.memories[key] = Memory(uid)
        return known

    def fetch_of(self, key: Key, uid: str) -> Fetched:
        """What was fetched for a GitRepository; nothing for one of the same name that was made anew."""
        known = self.fetched.get(key)
        return known if known is not None and known.uid == uid else Fetched(uid)

    def forget_repository(self, key: Key) -> None:
        """A GitRepository is gone, and with the last one of its URL the mirror."""
        gone = self.fetched.pop(key, Fetched())
        self.hints.discard(key)
        self._drop_mirror(gone.url)

    def _drop_mirror(self, url: str) -> None:
        if url and all(other.url != url for other in self.fetched.values()):
            self.background.start(f"drop {url}", lambda: self.pool.drop(url))

    def hint(self, key: Key) -> None:
        """There may be something new in a GitRepository: ask the host soon."""
        self.hints.add(key)
        self._hinted(key)

    def remember_fetch(self, key: Key, fetched: Fetched) -> None:
        """Keep the result of a fetch; the older webhook stays while its Secret cannot be read."""
        old = self.fetch_of(key, fetched.uid)
        if not fetched.webhook_path and fetched.state.error:
            fetched = replace(fetched, webhook_path=old.webhook_path, webhook_token=old.webhook_token)
        self.fetched[key] = fetched
        if old.url != fetched.url:
            self._drop_mirror(old.url)


def fault(error: Exception) -> str:
    """What users are told of an error that nobody foresaw; its words may hold anything, so only the log has them."""
    told = error.strerror if isinstance(error, OSError) else "please report it, with the operator's log"
    return f"the operator failed: {type(error).__name__}: {told}; trying again"


async def read_secret(api: KubeClient, namespace: str, ref: NameRef, field_path: str) -> dict[str, str]:
    """A Secret's `data` (base64); raises InvalidSpec where it does not exist."""
    secret = await api.get(SECRETS, namespace, ref.name)
    if secret is None:
        raise InvalidSpec(field_path, f"Secret {ref.name} does not exist", "create it, or correct the name")
    return {str(key): str(value) for key, value in (secret.get("data") or {}).items()}
