"""An Application's turns beside jobs that end when they like, in processes that die between any two steps."""

from dataclasses import dataclass, field, replace
from typing import Any, assert_never

import msgspec
from hypothesis.stateful import RuleBasedStateMachine

from rollout.api.application import Application
from rollout.api.application_status import ApplicationStatus, ImageDigest
from rollout.domain.clock import rfc3339
from rollout.domain.decision import Decision
from rollout.domain.sync import actions as act
from rollout.domain.sync.application import decide
from rollout.domain.sync.digest import images_of, template_digest
from rollout.domain.sync.objects import RenderReport
from rollout.domain.sync.plan import Blocked, Pushed, RevertOutcome, TryAgain
from rollout.domain.sync.reverting import SETTLED
from rollout.domain.sync.world import (
    ApplicationWorld,
    ApplyReport,
    Failure,
    FailureCause,
    PruneReport,
    RepositoryView,
    RolloutView,
)
from tests.properties.revert_git import Git
from tests.properties.revert_reached import REACHED, note
from tests.unit.sync.harness import URL, application, digest_of, template

TURNS_MAX = 60


@dataclass
class Memory:
    """What a process knows, and loses when it dies."""

    jobs: dict[str, tuple[act.SyncAction, frozenset[str]]] = field(default_factory=dict)
    """Name -> what it does, and the reverts that the branch had when it began."""
    outcomes: dict[str, RevertOutcome] = field(default_factory=dict)
    report: RenderReport | None = None
    applied: ApplyReport | None = None
    pruned: PruneReport | None = None


def job_name(action: act.SyncAction) -> str:
    """Jobs of one name run one at a time."""
    match action:
        case act.StartRender():
            return "render"
        case act.StartApply():
            return "apply"
        case act.StartPrune():
            return "prune"
        case act.StartRevert():
            return action.plan.id
        case act.ConsumeRelease() | act.RetryRollout():
            return ""
        case _:
            assert_never(action)


class RevertLife(RuleBasedStateMachine):
    """One Application with one Rollout, without the rules by which others act on it."""

    def __init__(self) -> None:
        super().__init__()
        REACHED.examples += 1
        self.now = 1_000_000.0
        self.git, self.memory = Git(), Memory()
        self.app: Application = application(sync={"prune": True})
        self.live = "web:1"
        """The image whose template the Rollout has."""
        self.view = self.running("web:1", healthy=True)
        self.git.commit("web:1", config=True)
        self.bring_home()

    # The Rollout.

    def running(self, image: str, *, healthy: bool) -> RolloutView:
        images = tuple(msgspec.structs.replace(i, digest=f"sha256:{image}") for i in images_of(template(image)))
        return RolloutView("shop", "web", "uid", digest_of(image), healthy=healthy, images=images)

    def failing(self, cause: FailureCause, weight_percent: int) -> RolloutView:
        """Given up, while the canary still has traffic."""
        images = (ImageDigest(name="web", reference=self.live, digest=f"sha256:{self.live}"),)
        failure = Failure(cause, "errors doubled", rfc3339(self.now), weight_percent, False, "web-7", images)
        return RolloutView("shop", "web", "uid", digest_of(self.live), aborted=True, failure=failure)

    def traffic_returns(self) -> None:
        if self.view.failure is not None:
            self.view = replace(self.view, failure=replace(self.view.failure, traffic_restored=True))

    # Turns.

    def world(self) -> ApplicationWorld:
        head = self.git.head
        repository = RepositoryView(URL, "main", head, f"main@sha1:{head}", writable=True, trailers=self.git.trailers)
        memory = self.memory
        return ApplicationWorld(
            self.app,
            repository=repository,
            report=memory.report,
            rollouts=(self.view,),
            applied=memory.applied,
            pruned=memory.pruned,
            outcomes=tuple(memory.outcomes.items()),
            running=frozenset(memory.jobs),
        )

    def turn(self, *, published: bool = True, dies_after: int | None = None) -> Decision[ApplicationStatus]:
        """Decide, publish, start what is to be started; without `published` the write of the status fails."""
        world = self.world()
        decision = decide(world, self.now)
        assert decide(world, self.now) == decision, "the same world was decided twice, differently"
        self.check(world, decision)
        if not published:
            return decision
        note(decision)
        self.app = msgspec.structs.replace(self.app, status=decision.status)
        for identity, _ in world.outcomes:
            self.memory.outcomes.pop(identity)
        for action in decision.actions[:dies_after]:
            self.start(action)
        if dies_after is not None:
            self.dies()
        return decision

    def check(self, world: ApplicationWorld, decision: Decision[ApplicationStatus]) -> None:
        """Traffic before the intent, the intent before Git, and Git once."""
        known = {r.revert.id: r.revert for r in world.application.status.rollouts if r.revert is not None}
        for record in decision.status.rollouts:
            revert = record.revert
            if revert is None or revert.phase != "Planned":
                continue
            if revert.id not in known or known[revert.id].phase != "Planned":
                view = world.rollout(record.namespace, record.name)
                assert revert.id not in known or known[revert.id].phase != "Pushed", "what was pushed is planned again"
                assert view is not None
                assert view.aborted, "a revert was planned before the abort was published"
                assert view.failure is not None
                assert view.failure.traffic_restored, "a revert was planned while the failed version had traffic"
        for action in decision.actions:
            match action:
                case act.StartRevert(plan):
                    assert plan.id in known, "Git was touched before the intent was published"
                    assert known[plan.id].phase == "Planned", "a settled revert was started again"
                    assert plan.id not in world.running, "two jobs for one revert"
                    assert plan.id not in dict(world.outcomes), "an answer was not waited for"
                case act.StartApply(rendered, _):
                    self.check_quarantine(decision.status, {o.id.name: o.obj for o in rendered.rollouts})
        assert all(count == 1 for count in self.git.pushes.values()), "two pushes for one revert"

    def check_quarantine(self, status: ApplicationStatus, declared: dict[str, dict[str, Any]]) -> None:
        """What failed is not deployed again, whoever declares it."""
        for record in status.rollouts:
            healthy = record.last_healthy.template_digest if record.last_healthy else ""
            active = {e.template_digest for e in record.quarantine if not e.released_at} - {healthy}
            if record.name in declared:
                assert template_digest(declared[record.name]["spec"]["template"]) not in active

    def start(self, action: act.SyncAction) -> None:
        """Jobs go on beside the turns; small writes happen at once."""
        match action:
            case act.ConsumeRelease():
                self.app = msgspec.structs.replace(
                    self.app, metadata=msgspec.structs.replace(self.app.metadata, annotations={})
                )
            case act.RetryRollout():
                self.view = self.running(self.live, healthy=False)
            case _:
                self.memory.jobs.setdefault(job_name(action), (action, frozenset(self.git.reverts)))

    def dies(self) -> None:
        """The process dies: jobs end where they are, and what was not published is forgotten."""
        self.memory = Memory()

    # Jobs.

    def job_ends(self, name: str, *, how: str = "well") -> None:
        """A job ends; `how` is what the host does to a push."""
        action, seen = self.memory.jobs.pop(name)
        match action:
            case act.StartRender(commit):
                self.memory.report = self.git.render(commit)
            case act.StartApply(rendered, check_only):
                self.memory.applied = ApplyReport(rendered.commit, rendered.digest, self.now, check_only)
                if not check_only:
                    self.stamp(rendered.rollouts[0].obj["spec"]["template"]["spec"]["containers"][0]["image"])
            case act.StartPrune(commit, objects):
                self.memory.pruned = PruneReport(commit, frozenset(objects))
            case act.StartRevert(plan):
                self.pushed(plan.id, action, seen, how)

    def pushed(self, identity: str, action: act.StartRevert, seen: frozenset[str], how: str) -> None:
        if how in {"down", "refused"}:
            REACHED.note("Git", how)
            down = TryAgain("RemoteUnavailable", "connection refused")
            self.memory.outcomes[identity] = down if how == "down" else Blocked("PushRejected", "protected branch")
            return
        before = self.git.pushes[identity]
        outcome = self.git.take_back(action.plan, seen)
        if isinstance(outcome, Pushed):
            REACHED.note("Git", "pushed" if self.git.pushes[identity] > before else "found its push again")
        if how == "dies":
            REACHED.note("Git", "push without an answer")
            self.dies()
        else:
            self.memory.outcomes[identity] = outcome

    def stamp(self, image: str) -> None:
        """A new template makes the Rollout begin an update; the same one leaves it as it is."""
        if image != self.live:
            self.live = image
            self.view = self.running(image, healthy=False)

    # The end.

    def bring_home(self) -> None:
        """Everything ends well, in as many turns as it takes."""
        for _ in range(TURNS_MAX):
            before = self.world()
            decision = self.turn()
            for name in list(self.memory.jobs):
                self.job_ends(name)
            self.traffic_returns()
            if self.world() != before or decision.actions:
                continue
            waits = [r.revert for r in self.app.status.rollouts if r.revert is not None and r.revert.phase == "Planned"]
            if not waits:
                return
            assert decision.wake_at is not None, "nobody looks at an open revert again"
            self.now = max(decision.wake_at, self.now + 1)
        raise AssertionError(f"it never comes to rest: {self.app.status}")

    def check_end(self) -> None:
        """A failure that stands was taken back, or the Application says why not."""
        failure = self.view.failure
        if failure is None or failure.cause != "AnalysisFailed":
            return
        record = self.app.status.rollouts[0]
        if record.last_healthy is not None and record.last_healthy.template_digest == self.view.template_digest:
            return  # What was healthy before is not blamed.
        entry = next((e for e in record.quarantine if e.template_digest == self.view.template_digest), None)
        if entry is None or entry.released_at:
            return
        if digest_of(self.git.image) == self.view.template_digest:
            assert record.revert is not None
            assert record.revert.phase in SETTLED
            assert record.revert.template_digest == self.view.template_digest
            assert record.revert.reason != "Released", "a failure after a retry was not taken back"
