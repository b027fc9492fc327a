"""Properties of the inverse merge on generated histories, and of the decision on generated lives."""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rollout.domain.sync.application import decide
from rollout.domain.sync.digest import rollout_template, template_digest
from rollout.domain.sync.plan import AlreadyReverted, Blocked, Pushed, RevertOutcome, Superseded, TryAgain
from rollout.git.mirror import Mirror
from rollout.git.revert import AlreadyReverted as SameTree
from rollout.git.revert import Conflicting, Merged, NothingToRevert, OutsidePaths, invert
from tests.support.git_work import Work
from tests.unit.sync.harness import Cluster, rollout_object

PATHS = ["apps/web/a", "apps/web/b", "apps/web/sub/c", "apps/api/d", "docs/e"]
LINES = st.lists(st.sampled_from("pqrs"), min_size=1, max_size=8).map(lambda lines: "\n".join(lines) + "\n")
TREE = st.dictionaries(st.sampled_from(PATHS), LINES, min_size=1)


def own(path: str) -> bool:
    return path.startswith("apps/web/")


def commit_tree(work: Work, tree: dict[str, str], message: str) -> str:
    present = {path for path in PATHS if (work.folder / path).exists()}
    return work.commit(message, tree, remove=sorted(present - tree.keys()), push=False)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(good=TREE, bad=TREE, later=TREE)
def test_a_merge_touches_only_its_paths_and_inverts_them_where_nobody_else_did(
    good: dict[str, str], bad: dict[str, str], later: dict[str, str]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        work, mirror = Work(folder / "o.git", folder / "w"), Mirror(folder / "m.git")
        mirror.initialise()
        # What people do after the failure: anything, outside of the Application's files.
        after = {**{p: t for p, t in bad.items() if own(p)}, **{p: t for p, t in later.items() if not own(p)}}
        commits = [commit_tree(work, tree, str(n)) for n, tree in enumerate((good, bad, after))]
        work.git("push", "-q", str(mirror.directory), "HEAD:refs/coalmine/heads/main")
        outcome = invert(mirror, commits[2], commits[0], commits[1], [p for p in PATHS if own(p)])
        if {p: t for p, t in good.items() if own(p)} == {p: t for p, t in bad.items() if own(p)}:
            assert outcome == NothingToRevert()
            return
        # Renames across the border are the only reason not to merge, since nobody touched our files.
        if isinstance(outcome, OutsidePaths | Conflicting):
            return
        assert isinstance(outcome, Merged)
        files = mirror.files(outcome.tree)
        result = {path: text.decode() for path, text in mirror.read(files, 1 << 20).items()}
        assert {p: t for p, t in result.items() if own(p)} == {p: t for p, t in good.items() if own(p)}
        assert {p: t for p, t in result.items() if not own(p)} == {p: t for p, t in after.items() if not own(p)}
        assert all(own(path) for path in outcome.changed)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(good=TREE, bad=TREE, later=TREE)
def test_whatever_people_do_in_the_same_files_the_merge_never_touches_others(
    good: dict[str, str], bad: dict[str, str], later: dict[str, str]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        work, mirror = Work(folder / "o.git", folder / "w"), Mirror(folder / "m.git")
        mirror.initialise()
        commits = [commit_tree(work, tree, str(n)) for n, tree in enumerate((good, bad, later))]
        work.git("push", "-q", str(mirror.directory), "HEAD:refs/coalmine/heads/main")
        outcome = invert(mirror, commits[2], commits[0], commits[1], [p for p in PATHS if own(p)])
        assert isinstance(outcome, Merged | SameTree | Conflicting | NothingToRevert | OutsidePaths)
        if isinstance(outcome, Merged):
            assert all(own(path) for path in mirror.changed_paths(commits[2], outcome.tree))


class Life(RuleBasedStateMachine):
    """An Application through pushes, failures, retries, releases and whatever Git answers."""

    def __init__(self) -> None:
        super().__init__()
        self.cluster = Cluster()
        self.number = 0
        self.push("web:1")
        self.cluster.lives("web:1")
        self.rest()

    def push(self, image: str) -> None:
        self.number += 1
        self.image = image
        self.cluster.push(f"{self.number:040x}", rollout_object(image))

    def rest(self) -> None:
        self.cluster.settle(40)

    @rule(image=st.sampled_from(["web:1", "web:2", "web:3"]))
    def somebody_pushes(self, image: str) -> None:
        self.push(image)
        self.cluster.turn()

    @rule()
    def a_turn_is_taken(self) -> None:
        self.cluster.turn()

    @rule(seconds=st.integers(1, 2000))
    def time_passes(self, seconds: int) -> None:
        self.cluster.now += seconds
        self.rest()

    @rule()
    def the_declared_version_becomes_healthy(self) -> None:
        self.rest()
        running = self.cluster.world.rollout("shop", "web")
        if running is not None and running.template_digest == template_digest(
            rollout_template(rollout_object(self.image).obj)
        ):
            self.cluster.lives(self.image)
        self.rest()

    @rule(
        outcome=st.sampled_from(
            [Pushed("e" * 40), AlreadyReverted("e" * 40), Superseded("x"), Blocked("X", "x"), TryAgain("Y", "y")]
        )
    )
    def the_declared_version_fails(self, outcome: RevertOutcome) -> None:
        self.rest()
        self.cluster.outcome = outcome
        view = self.cluster.world.rollout("shop", "web")
        if view is not None and view.template_digest == template_digest(
            rollout_template(rollout_object(self.image).obj)
        ):
            self.cluster.fails(self.image)
            self.cluster.turn()

    @rule()
    def a_person_releases(self) -> None:
        self.cluster.now += 2
        self.cluster.annotate(release="all")
        self.rest()

    @precondition(lambda self: self.cluster.world.application.status.rollouts)
    @invariant()
    def what_is_in_quarantine_is_never_applied(self) -> None:
        record = self.cluster.record
        healthy = record.last_healthy.template_digest if record.last_healthy else ""
        active = {e.template_digest for e in record.quarantine if not e.released_at} - {healthy}
        decision = decide(self.cluster.world, self.cluster.now)
        for action in decision.actions:
            for declared in getattr(getattr(action, "rendered", None), "rollouts", ()):
                assert template_digest(rollout_template(declared.obj)) not in active

    @invariant()
    def one_failure_has_one_plan(self) -> None:
        """A version that fails again after a retry is another failure, planned at another time."""
        seen: dict[tuple[str, str], object] = {}
        for plan in self.cluster.plans:
            assert seen.setdefault((plan.id, plan.planned_at), plan) == plan

    @invariant()
    def deciding_again_changes_nothing(self) -> None:
        first = decide(self.cluster.world, self.cluster.now)
        assert decide(self.cluster.world, self.cluster.now) == first

    @invariant()
    def an_open_revert_has_a_next_look(self) -> None:
        records = self.cluster.world.application.status.rollouts
        if any(r.revert is not None and r.revert.phase == "Planned" for r in records):
            decision = decide(self.cluster.world, self.cluster.now)
            assert decision.actions or decision.wake_at is not None or decision.status != self.cluster.app.status


Life.TestCase.settings = settings(max_examples=100, stateful_step_count=25, deadline=None)
TestLife = Life.TestCase
