"""The controller's side of the state machine: turns that are checked, rest, and everybody's best help."""

from dataclasses import replace
from typing import Any

import msgspec
from hypothesis.stateful import RuleBasedStateMachine

from analysis.verdict import AnalysisPhase
from rollout.api.keys import FINALIZER
from rollout.api.rollout import RolloutStatus
from rollout.domain.clock import rfc3339
from rollout.domain.decision import Decision
from rollout.domain.progress.runs import INCONCLUSIVE, NO_DATA, background, wanted
from rollout.domain.progress.standing import updating
from rollout.domain.rollout import decide
from tests.model import Model
from tests.properties.rollout_invariants import check_after, check_before, check_decision, check_rest
from tests.properties.rollout_reached import note
from tests.properties.rollout_specs import ANALYSIS

TURNS_MAX = 60


class RolloutLife(RuleBasedStateMachine):
    """One Rollout in a model of a cluster, without the rules by which others act on it."""

    model: Model
    written: dict[str, Any]
    """The spec as its users have it."""
    nonsense: bool
    """Whether it does not pass validation."""
    condemned: set[str]
    """Hashes of versions that failed, and that no user has tried again since."""

    @property
    def status(self) -> RolloutStatus:
        return self.model.rollout.status

    @property
    def updating(self) -> bool:
        return updating(self.model.world(), self.status)

    def running(self) -> bool:
        world = self.model.world()
        run = background(world, self.status)
        return run is not None and not run.phase.completed and updating(world, self.status)

    def edit(self, **changes: Any) -> None:
        self.written = {**self.written, **changes}
        self.model.edit(self.written)
        self.model.problems = self.found_problems()
        self.turn()

    def found_problems(self) -> tuple[str, ...]:
        """What validation says."""
        unproven = self.verifies() and "analysis" not in self.written["strategy"]["canary"]
        found = {"spec.strategy: names no strategy": self.nonsense, "verify: nobody gives a proof": unproven}
        return tuple(words for words, holds in found.items() if holds)

    def verifies(self) -> bool:
        return any("verify" in step for step in self.written["strategy"]["canary"]["steps"])

    def edit_canary(self, **changes: Any) -> None:
        canary = {**self.written["strategy"]["canary"], **changes}
        self.edit(strategy={"canary": {k: v for k, v in canary.items() if v is not None}})

    def turn(self, dies_after: int | None = None) -> Decision[RolloutStatus]:
        """One turn; each action is checked against the world in which it happens."""
        world = self.model.world()
        decision = decide(world, self.model.now)
        assert decide(world, self.model.now) == decision, "the same world was decided twice, differently"
        check_decision(world, decision, self.condemned)
        for action in decision.actions[:dies_after]:
            check_before(self.model, action)
            self.model.apply(action)
        if dies_after is None:
            self.model.rollout = msgspec.structs.replace(self.model.rollout, status=decision.status)
            check_after(world, self.model, decision)
            note(world, decision)
        return decision

    def quiesce(self) -> Decision[RolloutStatus]:
        """Turns until the controller has nothing left to do by itself; time stands still."""
        for _ in range(TURNS_MAX):
            before = self.model.world()
            decision = self.turn()
            if self.model.world() == before:
                return decision
        raise AssertionError("the controller never comes to rest")

    def rests(self) -> None:
        """A decided world is stable; an undecided one has a wake-up, or waits for an event."""
        decision = self.quiesce()
        check_rest(self.model, decision, expected=self._waits(decision.status))
        self._check_analysis(decision.status)

    def _waits(self, status: RolloutStatus) -> bool:
        """Whether an event is to come that asks for the next turn."""
        world = self.model.world()
        pods = any(rs.available != rs.replicas or rs.current != rs.replicas for rs in world.replica_sets)
        gateway = any(route.accepted is not True for route in world.routes)
        people = world.rollout.spec.paused or bool(status.pause_conditions) or status.abort or bool(world.problems)
        return pods or gateway or people or self.running()

    def _check_analysis(self, status: RolloutStatus) -> None:
        """An update that is to be watched has a run that nobody ended; one that is not is not held up by any."""
        world = self.model.world()
        if self.model.problems or not updating(world, status):
            return
        if wanted(world, status):
            run = background(world, status)
            assert run is not None, "an update goes on unwatched"
            assert not run.terminating or run.phase.completed
        reasons = {pause.reason for pause in status.pause_conditions}
        speaking = [run for run in world.runs if not run.terminating]
        assert NO_DATA not in reasons or any(run.no_data_since for run in speaking), "data of an ended run are missed"
        assert INCONCLUSIVE not in reasons or any(run.phase is AnalysisPhase.INCONCLUSIVE for run in speaking)

    def work(self) -> Decision[RolloutStatus]:
        """Pods, gateway and controller do their best until nothing moves."""
        for _ in range(TURNS_MAX):
            before = self.model.world()
            decision = self.turn()
            self.model.others()
            if self.model.world() == before:
                return decision
        raise AssertionError("it never settles")

    def it_could_be_deleted(self) -> None:
        """At any time: then routes and Services are given back. The history goes on as if it had not been."""
        saved = self.model
        self.model = Model(**{**vars(saved), "routes": dict(saved.routes), "services": dict(saved.services)})
        self.model._metadata(deletion_timestamp=rfc3339(self.model.now))
        held = FINALIZER in saved.rollout.metadata.finalizers
        self.quiesce()
        assert FINALIZER not in self.model.rollout.metadata.finalizers
        assert not held or all(route.original for route in self.model.routes.values())
        assert not held or not any(service.managed_by for service in self.model.services.values())
        self.model = saved

    def teardown(self) -> None:
        """In the end everything is made good: then the update completes, unless it was given up."""
        if not hasattr(self, "model"):
            return
        self.model.broken, self.nonsense = set(), False
        self.edit(paused=False)
        assert self.bring_home(TURNS_MAX), f"it never ends: {self.status}"
        self.rests()

    def bring_home(self, turns: int) -> bool:
        """Everybody helps the update until it is complete or given up; whether it is."""
        for _ in range(turns):
            decision = self.work()
            if decision.status.phase == "Healthy" and not self._retiring():
                return True
            if decision.status.abort and not self._retiring():
                assert decision.status.phase == "Degraded" or self.model.problems
                return True
            self.help(decision)
        return False

    def _retiring(self) -> bool:
        return any(rs.scale_down_at is not None and rs.replicas for rs in self.model.replica_sets.values())

    def help(self, decision: Decision[RolloutStatus]) -> None:
        status = decision.status
        self.model.now = max(decision.wake_at or 0.0, self.model.now + 2)
        if self.running():
            run = background(self.model.world(), status)
            assert run is not None
            steps = self.written["strategy"]["canary"]["steps"][: (status.current_step_index or 0) + 1]
            weight = next((s["setWeight"] for s in reversed(steps) if "setWeight" in s), 0)
            self.model.runs[run.name] = replace(run, no_data_since="", proven_at_weight=weight)
        if any(pause.reason != NO_DATA for pause in status.pause_conditions):
            self.model.status(pause_conditions=())
        if self.verifies() and "analysis" not in self.written["strategy"]["canary"]:
            self.edit_canary(analysis=ANALYSIS)
        if self.verifies() and not self.written["replicas"]:
            self.edit(replicas=2)  # Without pods nothing is ever proven.
