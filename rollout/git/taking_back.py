"""One try to take a change back in Git: look at HEAD, invert, check the result by rendering, commit, push.

Blocking; `rollout.git.jobs` runs it in a thread while it holds the repository's lock.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from rollout.domain.sync.digest import rollout_template, template_digest
from rollout.domain.sync.message import REVERT_ID, commit_message
from rollout.domain.sync.objects import Rendered
from rollout.domain.sync.plan import (
    AlreadyReverted,
    Blocked,
    Pushed,
    RevertOutcome,
    RevertPlan,
    Superseded,
    TryAgain,
)
from rollout.domain.sync.sameness import other_differences
from rollout.errors import CoalmineError, GitError, RenderError, Transient
from rollout.git import revert
from rollout.git.errors import TooLarge
from rollout.git.mirror import Mirror, Remote
from rollout.git.refs import short
from rollout.git.signing import SigningKey
from rollout.git.writer import Published, Raced, Rejected, Signature, publish, write_commit

RACES_MAX = 10
NARROWED_MAX = 30
PATHS_MAX = 500


@dataclass(frozen=True, slots=True)
class Writing:
    """How the commit is written.

    Attributes:
        remote: with credentials that may push.
        author: name and address.
        key: signs; None leaves commits unsigned.
    """

    remote: Remote
    author: tuple[str, str]
    key: SigningKey | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a try may ask of the rest of the program.

    Attributes:
        render: the Application at a commit or tree; raises RenderError.
        shared: files that other Applications read too.
        wanted: whether the revert is still wanted; asked right before the push.
        shared_folders: folders of Applications of which no render is known; all files in them count as read.
    """

    render: Callable[[str], Rendered]
    shared: frozenset[str] = frozenset()
    wanted: Callable[[], bool] = lambda: True
    shared_folders: tuple[str, ...] = ()

    def is_shared(self, path: str) -> bool:
        """Whether another Application reads a file."""
        return path in self.shared or any(not f or path.startswith(f"{f}/") for f in self.shared_folders)


class _Stop(Exception):
    def __init__(self, outcome: RevertOutcome) -> None:
        super().__init__()
        self.outcome = outcome


def take_back(mirror: Mirror, plan: RevertPlan, writing: Writing, around: Surroundings) -> RevertOutcome:
    """Carry one plan out, building anew on each race; never raises for what a host or a tree does.

    Args:
        mirror: of the repository; its lock is held by the caller.
        plan: what is taken back.
        writing: how and as whom.
        around: rendering, files of others, and the last question.
    """
    try:
        for _ in range(RACES_MAX):
            outcome = _once(mirror, plan, writing, around)
            if outcome is not None:
                return outcome
    except _Stop as stop:
        return stop.outcome
    except Transient as error:
        return TryAgain(type(error).__name__, str(error))
    except TooLarge as error:
        return Blocked("TooLarge", str(error))
    except GitError as error:
        # A new password, a host that no longer answers with a page for people, room on a disk: all of it comes back
        # by itself, and nobody should have to tell us. What must not be pushed was told by a decision above.
        return TryAgain(type(error).__name__, str(error))
    except CoalmineError as error:
        return Blocked(type(error).__name__, str(error))
    return TryAgain("Raced", f"others pushed to {plan.branch} {RACES_MAX} times in between")


def _once(mirror: Mirror, plan: RevertPlan, writing: Writing, around: Surroundings) -> RevertOutcome | None:
    """One build on the newest head; None when somebody pushed in between."""
    head = mirror.fetch(writing.remote, f"refs/heads/{plan.branch}")
    _stop_if_settled(mirror, plan, head)
    # Whoever broke HEAD will mend it, and then the failed version is still to be taken back.
    unknown = TryAgain("HeadNotRenderable", "HEAD cannot be rendered, so nothing can be compared; mend it")
    before = _render(around, head, unknown)
    _stop_if_replaced(plan, before, head)
    plan = narrow(mirror, plan, around)
    merged = _invert(mirror, plan, head, before, around)
    after = _render(around, merged.tree, Blocked("ResultNotRenderable", "the result cannot be rendered"))
    _accept(plan, before, after)
    commit = _commit(mirror, plan, writing, head, merged)
    if not around.wanted():
        return Superseded("it was released, or pushes were stopped, before the push")
    return _push(mirror, plan, writing, head, commit)


def _stop_if_settled(mirror: Mirror, plan: RevertPlan, head: str) -> None:
    """Stop when our own commit is there already (a crash after the push, or another leader)."""
    if not (mirror.has(plan.good) and mirror.has(plan.bad)):
        raise _Stop(Blocked("HistoryRewritten", f"{short(plan.good)} or {short(plan.bad)} is not in the repository"))
    ours = (entry for entry in mirror.log(head, after=plan.bad) if plan.id in entry.values(REVERT_ID))
    found = next(ours, None)
    if found is not None:
        raise _Stop(Pushed(found.commit))


def _stop_if_replaced(plan: RevertPlan, before: Rendered, head: str) -> None:
    """Stop when HEAD declares another template than the one that failed."""
    declared = declared_digest(before, plan)
    if declared == plan.healthy_digest:
        raise _Stop(AlreadyReverted(head))
    if declared is None:
        raise _Stop(Superseded(f"{short(head)} does not declare {plan.namespace}/{plan.name} any more"))
    if declared != plan.failed_digest:
        raise _Stop(Superseded(f"{short(head)} declares another version: fixed forward"))


def narrow(mirror: Mirror, plan: RevertPlan, around: Surroundings) -> RevertPlan:
    """The plan with the commit that first declared the failure, and the healthy one right before it.

    Several commits may have arrived in one fetch; what people changed beside the failure is not theirs to lose.
    """
    commits = mirror.first_parents(plan.good, plan.bad, NARROWED_MAX)
    first = plan.bad
    for commit in reversed(commits[:-1]):
        declared = _declared_at(around, commit, plan)
        if declared == plan.healthy_digest:
            return replace(plan, good=commit, bad=first)
        if declared != plan.failed_digest:
            return plan
        first = commit
    return replace(plan, bad=first)


def _invert(mirror: Mirror, plan: RevertPlan, head: str, before: Rendered, around: Surroundings) -> revert.Merged:
    """HEAD without the change, limited to files that this Application alone reads."""
    paths = before.closure | _closure(around, plan.good) | _closure(around, plan.bad)
    changed = mirror.changed_paths(plan.good, plan.bad) & paths
    shared = sorted(path for path in changed if around.is_shared(path))
    if shared:
        listed = ", ".join(shared[:5])
        raise _Stop(Blocked("SharedFiles", f"{listed} is read by other Applications too; revert it by hand"))
    match revert.invert(mirror, head, plan.good, plan.bad, paths):
        case revert.Merged() as merged:
            return merged
        case revert.AlreadyReverted():
            raise _Stop(AlreadyReverted(head))
        case revert.Conflicting(paths=files):
            listed = ", ".join(files[:5])
            raise _Stop(Blocked("Conflict", f"the same lines of {listed} were changed since {short(plan.bad)}"))
        case revert.NothingToRevert():
            raise _Stop(
                Blocked("NothingToRevert", "the files did not change between the healthy and the failed commit")
            )
        case revert.OutsidePaths(paths=files):
            raise _Stop(
                Blocked("OutsidePaths", f"the revert would change {', '.join(files[:5])} outside of the sources")
            )
        case revert.Rewritten():
            raise _Stop(Blocked("HistoryRewritten", f"{plan.branch} does not contain {short(plan.bad)} any more"))


def _accept(plan: RevertPlan, before: Rendered, after: Rendered) -> None:
    """The result must declare the healthy template, and change nothing else that is rendered."""
    if declared_digest(after, plan) != plan.healthy_digest:
        raise _Stop(Blocked("NotEquivalent", "the result does not declare the pod template that was healthy"))
    others = other_differences(before, after, plan.namespace, plan.name)
    if others:
        names = ", ".join(o.words for o in others[:5])
        raise _Stop(Blocked("OtherObjectsWouldChange", f"the revert would also change {names}"))


def _commit(mirror: Mirror, plan: RevertPlan, writing: Writing, head: str, merged: revert.Merged) -> str:
    """The commit, in the mirror only; the same plan on the same head gives the same one."""
    # The paths are arguments of a program, which has room for some thousands.
    commits = mirror.touching(plan.good, plan.bad, sorted(merged.changed)[:PATHS_MAX])
    signature = Signature(*writing.author, date=plan.planned_at)
    message = commit_message(plan, commits)
    return write_commit(mirror, merged.tree, head, message, signature, writing.key)


def _push(mirror: Mirror, plan: RevertPlan, writing: Writing, head: str, commit: str) -> RevertOutcome | None:
    match publish(mirror, writing.remote, plan.branch, commit, expected=head):
        case Published(commit=published):
            return Pushed(published)
        case Raced():
            return None
        case Rejected(words):
            return Blocked("PushRejected", f"the host refused the push: {words}")


def declared_digest(rendered: Rendered, plan: RevertPlan) -> str | None:
    """Digest of the pod template that a render declares for the plan's Rollout; None without that Rollout."""
    mine = (o for o in rendered.rollouts if (o.id.namespace, o.id.name) == (plan.namespace, plan.name))
    found = next(mine, None)
    return None if found is None else template_digest(rollout_template(found.obj))


def _declared_at(around: Surroundings, commit: str, plan: RevertPlan) -> str | None:
    try:
        return declared_digest(around.render(commit), plan)
    except RenderError:
        return None


def _render(around: Surroundings, revision: str, otherwise: Blocked | TryAgain) -> Rendered:
    try:
        return around.render(revision)
    except RenderError as error:
        raise _Stop(replace(otherwise, message=f"{otherwise.message}: {error}")) from None


def _closure(around: Surroundings, revision: str) -> frozenset[str]:
    """Files that a commit's render reads; none where it cannot be rendered."""
    try:
        return around.render(revision).closure
    except RenderError:
        return frozenset()
