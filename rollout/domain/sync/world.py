"""Everything an Application's decision may depend on, as values."""

from dataclasses import dataclass
from typing import Literal

from rollout.api.application import Application
from rollout.api.application_status import ImageDigest
from rollout.api.revert import RevertPolicy
from rollout.domain.sync.objects import ObjectId, Rendered, RenderReport
from rollout.domain.sync.plan import RevertOutcome

FailureCause = Literal["AnalysisFailed", "ProgressDeadlineExceeded", "AbortedByUser"]


@dataclass(frozen=True, slots=True)
class TrailerFact:
    """What one commit says of digests; `position` counts from the newest."""

    commit: str
    position: int
    rollout: str = ""
    failed: tuple[str, ...] = ()
    released: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RepositoryView:
    """The GitRepository, as its controller left it."""

    url: str
    branch: str = ""
    """Short name; empty where the ref is no branch."""
    commit: str = ""
    """The wanted commit; empty while it was never fetched."""
    label: str = ""
    """`<ref>@sha1:<commit>`."""
    error: str = ""
    """Why the last fetch failed."""
    writable: bool = False
    """Whether it has `write`."""
    suspended: bool = False
    valid: bool = True
    """Whether its spec has no problem."""
    trailers: tuple[TrailerFact, ...] = ()
    """Of the last 200 commits, newest first."""
    reverts_last_hour: int = 0
    """Reverts of all its Applications that were planned within the last hour."""
    reverts_per_hour_max: int = 4


@dataclass(frozen=True, slots=True)
class Failure:
    """A Rollout that gave its update up."""

    cause: FailureCause
    message: str
    at: str
    """RFC 3339."""
    weight_percent: int = 0
    """Traffic weight of the canary when it failed."""
    traffic_restored: bool = False
    """Whether stable has all traffic again."""
    analysis_run: str = ""
    images: tuple[ImageDigest, ...] = ()
    """Images of the failing pods."""


@dataclass(frozen=True, slots=True)
class RolloutView:
    """A Rollout of the Application, as it lives."""

    namespace: str
    name: str
    uid: str = ""
    template_digest: str = ""
    """Digest that the applier stamped on it, or that matches what it declares."""
    observed: bool = True
    """Whether its status is about its current spec."""
    healthy: bool = False
    """Whether the declared version is stable and complete."""
    aborted: bool = False
    failure: Failure | None = None
    images: tuple[ImageDigest, ...] = ()
    """Images of the stable pods."""
    policy: RevertPolicy | None = None
    """spec.revert of the Rollout itself."""


@dataclass(frozen=True, slots=True)
class ApplyReport:
    """What the last pass over the cluster found and did.

    Attributes:
        commit: what was applied.
        render_digest: of the objects.
        at: epoch seconds.
        checked_only: drift was looked for, nothing was written.
        failures: (object, words) for what could not be applied.
        repaired: objects that had drifted and were put right.
        drifted: objects that have drifted and were left.
        unhealthy: (object, words) for what is applied and not healthy yet.
        degraded: those of them that will not become healthy by waiting.
    """

    commit: str
    render_digest: str
    at: float
    checked_only: bool = False
    failures: tuple[tuple[ObjectId, str], ...] = ()
    repaired: tuple[ObjectId, ...] = ()
    drifted: tuple[ObjectId, ...] = ()
    unhealthy: tuple[tuple[ObjectId, str], ...] = ()
    degraded: frozenset[ObjectId] = frozenset()


@dataclass(frozen=True, slots=True)
class PruneReport:
    """What the last prune did; `at` is in epoch seconds."""

    commit: str
    gone: frozenset[ObjectId]
    failures: tuple[tuple[ObjectId, str], ...] = ()
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class ApplicationWorld:
    """One Application and all that it depends on."""

    application: Application
    problems: tuple[str, ...] = ()
    """What validation found, in words."""
    repository: RepositoryView | None = None
    report: RenderReport | None = None
    """The newest render that ended."""
    rollouts: tuple[RolloutView, ...] = ()
    applied: ApplyReport | None = None
    """Of this process; None after a restart."""
    pruned: PruneReport | None = None
    outcomes: tuple[tuple[str, RevertOutcome], ...] = ()
    """Results of revert jobs by revert id, not yet in the status."""
    running: frozenset[str] = frozenset()
    """Jobs that run: `render`, `apply`, `prune`, or a revert id."""
    touched: bool = False
    """Somebody wrote one of our objects since the last pass."""
    refresh_asked: str = ""
    """Value of the annotation by which a person asks for a full pass now."""
    refresh_answered: str = ""
    """Value of it when the last pass began."""
    in_use: frozenset[ObjectId] = frozenset()
    """ConfigMaps and Secrets that pods of any revision still read."""

    @property
    def rendered(self) -> Rendered | None:
        """The render of the wanted commit, if it is complete."""
        wanted = self.repository.commit if self.repository is not None else ""
        return self.report if isinstance(self.report, Rendered) and self.report.commit == wanted else None

    def rollout(self, namespace: str, name: str) -> RolloutView | None:
        """The live Rollout of a name."""
        return next((r for r in self.rollouts if (r.namespace, r.name) == (namespace, name)), None)
