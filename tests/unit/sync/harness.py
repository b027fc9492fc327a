"""Worlds of an Application, and a loop that plays the jobs: world in, actions out."""

from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from rollout.api.application import Application
from rollout.api.application_status import ImageDigest
from rollout.domain.clock import rfc3339
from rollout.domain.decision import Decision
from rollout.domain.sync.actions import ConsumeRelease, RetryRollout, StartApply, StartPrune, StartRender, StartRevert
from rollout.domain.sync.application import decide
from rollout.domain.sync.digest import digest, images_of, rollout_template, template_digest
from rollout.domain.sync.objects import ObjectId, Rendered, RenderedObject, RenderReport
from rollout.domain.sync.plan import RevertOutcome, RevertPlan
from rollout.domain.sync.world import (
    ApplicationWorld,
    ApplyReport,
    Failure,
    FailureCause,
    PruneReport,
    RepositoryView,
    RolloutView,
    TrailerFact,
)

URL = "https://example.com/shop"
A, B, C, D = (letter * 40 for letter in "abcd")


def commit_of(letter: str) -> str:
    return letter * 40


def template(image: str, env: str = "") -> dict[str, Any]:
    container: dict[str, Any] = {"name": "web", "image": image}
    if env:
        container["env"] = [{"name": "MODE", "value": env}]
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}


def rollout_object(image: str, env: str = "", name: str = "web") -> RenderedObject:
    obj = {
        "apiVersion": "coalmine.dev/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"template": template(image, env)},
    }
    return RenderedObject(ObjectId.of(obj), obj, f"apps/{name}/rollout.yaml")


def config_object(name: str, kind: str = "ConfigMap") -> RenderedObject:
    obj = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "shop"}, "data": {}}
    return RenderedObject(ObjectId.of(obj), obj, f"apps/web/{name}.yaml")


def rendered(commit: str, *objects: RenderedObject) -> Rendered:
    content = [o.obj for o in objects]
    return Rendered(commit, tuple(sorted(objects, key=lambda o: o.id)), frozenset({"x"}), digest(content), "sha256:c")


def digest_of(image: str, env: str = "") -> str:
    return template_digest(template(image, env))


def application(**spec: Any) -> Application:
    source = {"repositoryRef": {"name": "shop"}, "path": "apps/web"}
    raw = {"metadata": {"name": "web", "namespace": "shop", "generation": 1}, "spec": {"source": source, **spec}}
    return msgspec.convert(raw, Application)


@dataclass
class Cluster:
    """An Application whose jobs are played at once; Git and the Rollout are set by the test."""

    app: Application = field(default_factory=application)
    commits: dict[str, RenderReport] = field(default_factory=dict)
    now: float = 1_000_000.0
    world: ApplicationWorld = field(init=False)
    applied: list[str] = field(default_factory=list)
    pruned: list[ObjectId] = field(default_factory=list)
    plans: list[RevertPlan] = field(default_factory=list)
    retried: list[str] = field(default_factory=list)
    outcome: RevertOutcome | None = None
    apply_failures: tuple[tuple[ObjectId, str], ...] = ()

    def __post_init__(self) -> None:
        self.world = ApplicationWorld(self.app, repository=RepositoryView(URL, "main", writable=True))

    def push(self, commit: str, *objects: RenderedObject, trailers: tuple[TrailerFact, ...] = ()) -> None:
        """Git declares these objects at a new head."""
        self.commits[commit] = rendered(commit, *objects)
        self.head(commit, trailers)

    def head(self, commit: str, trailers: tuple[TrailerFact, ...] = ()) -> None:
        assert self.world.repository is not None
        repository = replace(self.world.repository, commit=commit, label=f"main@sha1:{commit}", trailers=trailers)
        self.world = replace(self.world, repository=repository)

    def lives(self, image: str, env: str = "", *, healthy: bool = True, name: str = "web") -> None:
        """The Rollout runs this template."""
        known = images_of(template(image, env))
        images = tuple(msgspec.structs.replace(i, digest=f"sha256:{i.reference}") for i in known)
        view = RolloutView("shop", name, "uid", digest_of(image, env), healthy=healthy, images=images)
        others = tuple(r for r in self.world.rollouts if r.name != name)
        self.world = replace(self.world, rollouts=(*others, view))

    def fails(
        self,
        image: str,
        env: str = "",
        *,
        cause: FailureCause = "AnalysisFailed",
        restored: bool = True,
        age: float = 0,
    ) -> None:
        """The Rollout gave this template up."""
        failing = (ImageDigest(name="web", reference=image, digest=f"sha256:{image}"),)
        failure = Failure(cause, "errors doubled", rfc3339(self.now - age), 25, restored, "web-7", failing)
        view = RolloutView("shop", "web", "uid", digest_of(image, env), aborted=True, failure=failure)
        self.world = replace(self.world, rollouts=(view,))

    def turn(self) -> Decision[Any]:
        """One turn: decide, publish, play the jobs."""
        decision = decide(self.world, self.now)
        status_before = self.world.application.status
        self.app = msgspec.structs.replace(self.world.application, status=decision.status)
        self.world = replace(self.world, application=self.app, outcomes=())
        for action in decision.actions:
            if isinstance(action, StartRevert):
                published = [r.revert.id for r in status_before.rollouts if r.revert is not None]
                assert action.plan.id in published, "the intent must be in the status before the job starts"
            self.play(action)
        return decision

    def play(self, action: object) -> None:
        match action:
            case StartRender(commit):
                self.world = replace(self.world, report=self.commits[commit])
            case StartApply(render, check_only):
                self.applied += [] if check_only else [render.commit]
                report = ApplyReport(render.commit, render.digest, self.now, check_only, self.apply_failures)
                self.world = replace(self.world, applied=report, touched=False)
                if not check_only:
                    self.stamp(render)
            case StartPrune(commit, objects):
                self.pruned += objects
                self.world = replace(self.world, pruned=PruneReport(commit, frozenset(objects)))
            case StartRevert(plan):
                self.plans.append(plan)
                if self.outcome is not None:
                    self.world = replace(self.world, outcomes=((plan.id, self.outcome),))
            case ConsumeRelease():
                meta = msgspec.structs.replace(self.app.metadata, annotations={})
                self.app = msgspec.structs.replace(self.app, metadata=meta)
                self.world = replace(self.world, application=self.app)
            case RetryRollout(_, name):
                self.retried.append(name)
                views = tuple(replace(r, aborted=False, failure=None) for r in self.world.rollouts)
                self.world = replace(self.world, rollouts=views)

    def stamp(self, render: Rendered) -> None:
        """Applying a new template makes the Rollout progress; the same one leaves it as it is."""
        for declared in render.rollouts:
            view = self.world.rollout("shop", declared.id.name)
            new = template_digest(rollout_template(declared.obj))
            if view is None or view.template_digest != new:
                others = tuple(r for r in self.world.rollouts if r.name != declared.id.name)
                fresh = RolloutView("shop", declared.id.name, "uid", new)
                self.world = replace(self.world, rollouts=(*others, fresh))

    def settle(self, turns: int = 20) -> None:
        """Turns until nothing changes any more."""
        for _ in range(turns):
            before = self.world
            if not self.turn().actions and self.world == before:
                return
        raise AssertionError("the turns do not come to rest")

    def annotate(self, **annotations: str) -> None:
        keys = {f"coalmine.dev/{key.replace('_', '-')}": value for key, value in annotations.items()}
        meta = msgspec.structs.replace(self.app.metadata, annotations=keys)
        self.app = msgspec.structs.replace(self.world.application, metadata=meta)
        self.world = replace(self.world, application=self.app)

    def condition(self, kind: str) -> tuple[str, str]:
        found = next((c for c in self.world.application.status.conditions if c.type == kind), None)
        return (found.status, found.reason) if found is not None else ("", "")

    @property
    def record(self) -> Any:
        return self.world.application.status.rollouts[0]


def healthy_cluster(**spec: Any) -> Cluster:
    """Version 1 is applied from commit A and healthy."""
    cluster = Cluster(application(**spec))
    cluster.push(A, rollout_object("web:1"), config_object("conf"))
    cluster.settle()
    cluster.lives("web:1")
    cluster.settle()
    return cluster


def failed_cluster(**spec: Any) -> Cluster:
    """Version 2 was declared by commit B, deployed, and failed; stable has the traffic."""
    cluster = healthy_cluster(**spec)
    cluster.push(B, rollout_object("web:2"), config_object("conf"))
    cluster.settle()
    cluster.fails("web:2")
    return cluster
