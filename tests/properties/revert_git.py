"""A branch for the revert's state machine: what commits declare, and what was pushed for which failure."""

from collections import Counter
from dataclasses import dataclass, field

from rollout.domain.sync.objects import Rendered
from rollout.domain.sync.plan import AlreadyReverted, Pushed, RevertOutcome, RevertPlan, Superseded
from rollout.domain.sync.world import TrailerFact
from tests.unit.sync.harness import config_object, digest_of, rendered, rollout_object


@dataclass
class Git:
    """One branch. It stops no second push by itself, so that one is seen."""

    declared: list[tuple[str, bool]] = field(default_factory=list)
    """By commit, oldest first: the image of the Rollout, and whether a ConfigMap stands beside it."""
    reverts: dict[str, str] = field(default_factory=dict)
    """Revert id -> the commit that carries it."""
    trailers: tuple[TrailerFact, ...] = ()
    pushes: Counter[str] = field(default_factory=Counter)
    """How often a commit was pushed for a revert id."""

    @property
    def head(self) -> str:
        return f"{len(self.declared):040x}"

    @property
    def image(self) -> str:
        """The image that the newest commit declares."""
        return self.declared[-1][0]

    def commit(self, image: str, *, config: bool) -> str:
        self.declared.append((image, config))
        return self.head

    def render(self, commit: str) -> Rendered:
        image, config = self.declared[int(commit, 16) - 1]
        others = [f"conf-{number}" for number in range(5 if config else 4)]  # One less is no large prune.
        return rendered(commit, rollout_object(image), *map(config_object, others))

    def take_back(self, plan: RevertPlan, seen: frozenset[str]) -> RevertOutcome:
        """What the job does, by the reverts that it saw on the branch when it began."""
        if plan.id in seen:
            return Pushed(self.reverts[plan.id])
        if digest_of(self.image) == plan.healthy_digest:
            return AlreadyReverted(self.head)
        if digest_of(self.image) != plan.failed_digest:
            return Superseded("Git declares another version")
        image, config = self.declared[int(plan.good, 16) - 1]
        commit = self.commit(image, config=config)
        self.pushes[plan.id] += 1
        self.reverts[plan.id] = commit
        fact = TrailerFact(commit, 0, f"{plan.namespace}/{plan.name}", failed=(plan.failed_digest,))
        self.trailers = (fact, *self.trailers)
        return Pushed(commit)
