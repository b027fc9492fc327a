"""Whatever users, pods, gateways and verdicts do, and whenever: a Rollout stays safe, and gets somewhere."""

from collections import Counter
from dataclasses import replace
from typing import Any

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from analysis.verdict import AnalysisPhase
from rollout.api.keys import FINALIZER
from rollout.api.rollout import RolloutStatus
from rollout.domain import actions as act
from rollout.domain.clock import rfc3339
from rollout.domain.decision import Decision
from rollout.domain.progress.invalid import problems
from rollout.domain.progress.runs import background
from rollout.domain.progress.standing import skipping, updating
from rollout.domain.progress.weights import room
from rollout.domain.rollout import decide
from rollout.domain.world import World
from tests.model import Model, spec

TURNS_MAX = 60
REACHED: Counter[str] = Counter()
"""Phases, reasons and kinds of action that any example has come to."""
ABORTS = {"verdict": "AnalysisRun", "user": "A user aborted", "deadline": "made no progress", "verify": "onTimeout"}

STEPS: tuple[list[dict[str, Any]], ...] = (
    [{"setWeight": 50}, {"pause": {}}],
    [{"setWeight": 20}, {"pause": {"duration": "30s"}}, {"setWeight": 60}, {"pause": {"duration": 5}}],
    [{"setWeight": 25}, {"verify": {}}, {"setWeight": 75}],
    [{"setWeight": 50}, {"verify": {"timeout": "1m"}}],
    [{"setWeight": 50}, {"verify": {"timeout": "1m", "onTimeout": "Abort"}}],
    [{"setWeight": 30}, {"verify": {"timeout": "1m", "onTimeout": "Continue"}}, {"pause": {}}],
    [{"setWeight": 80}, {"setWeight": 10}, {"pause": {"duration": 5}}],
    [],
)
ANALYSIS = {"templates": [{"templateName": "errors"}]}
METADATA = {"canaryMetadata": {"labels": {"role": "canary"}}, "stableMetadata": {"labels": {"role": "stable"}}}

canaries = st.fixed_dictionaries(
    {"steps": st.sampled_from(STEPS)},
    optional={
        "maxSurge": st.sampled_from([0, 1, "50%"]),
        "maxUnavailable": st.sampled_from([0, 1, "50%"]),
        "scaleDownDelaySeconds": st.sampled_from([0, 30]),
        "scaleDownDelayRevisionLimit": st.sampled_from([0, 1]),
        "abortScaleDownDelaySeconds": st.sampled_from([0, 10]),
        "analysis": st.sampled_from([ANALYSIS, {**ANALYSIS, "startingStep": 1}]),
    },
)
limits = st.fixed_dictionaries(
    {},
    optional={
        "progressDeadlineSeconds": st.sampled_from([60, 600]),
        "progressDeadlineAbort": st.booleans(),
        "revisionHistoryLimit": st.sampled_from([0, 1]),
        "analysis": st.just({"successfulRunHistoryLimit": 0, "unsuccessfulRunHistoryLimit": 1}),
        "rollbackWindow": st.just({"revisions": 2}),
    },
)
images = st.sampled_from(["v1", "v2", "v3", "v4"])


class RolloutMachine(RuleBasedStateMachine):
    @initialize(
        routed=st.booleans(), metadata=st.booleans(), canary=canaries, limits=limits, replicas=st.integers(0, 6)
    )
    def deploy(
        self, routed: bool, metadata: bool, canary: dict[str, Any], limits: dict[str, Any], replicas: int
    ) -> None:
        canary = canary | (METADATA if metadata else {})
        self.written = spec(routed=routed, replicas=replicas, canary=canary, **limits)
        if replicas == 0:
            del self.written["replicas"]
        names = ("stable", "canary") if routed else ()
        self.model = Model.of(self.written, services=names, routes=("web",) if routed else ())
        self.condemned: set[str] = set()
        self.model.settle()
        REACHED["Healthy"] += self.model.rollout.status.phase == "Healthy"

    # What users do.

    def _edit(self, **changes: Any) -> None:
        self.written = {**self.written, **changes}
        self.model.edit(self.written)
        self.turn()

    def _edit_canary(self, **changes: Any) -> None:
        canary = {**self.written["strategy"]["canary"], **changes}
        self._edit(strategy={"canary": {k: v for k, v in canary.items() if v is not None}})

    @rule(image=images)
    def release(self, image: str) -> None:
        self.condemned.clear()
        self._edit(template=spec(image)["template"])

    @rule(steps=st.sampled_from(STEPS))
    def change_steps(self, steps: list[dict[str, Any]]) -> None:
        self.condemned.clear()
        self._edit_canary(steps=steps)

    @rule(analysis=st.sampled_from([None, ANALYSIS]))
    def change_analysis(self, analysis: dict[str, Any] | None) -> None:
        self._edit_canary(analysis=analysis)

    @rule(replicas=st.integers(0, 7))
    def scale(self, replicas: int) -> None:
        self._edit(replicas=replicas)

    @rule(paused=st.booleans())
    def pause(self, paused: bool) -> None:
        self._edit(paused=paused)

    @rule(window=st.sampled_from([None, {"revisions": 2}]))
    def change_rollback_window(self, window: dict[str, int] | None) -> None:
        self.condemned.clear()
        self.written.pop("rollbackWindow", None)
        self._edit(**({"rollbackWindow": window} if window else {}))

    @rule(wrong=st.booleans())
    def write_nonsense(self, wrong: bool) -> None:
        self.model.problems = ("spec.strategy: names no strategy",) if wrong else ()
        self._edit()

    @rule(ahead=st.sampled_from([0, 10]))
    def restart(self, ahead: int) -> None:
        self._edit(restartAt=rfc3339(self.model.now + ahead))

    @rule()
    def abort(self) -> None:
        self.model.status(abort=True)
        self.turn()

    @rule()
    def retry(self) -> None:
        self.condemned.clear()
        self.model.now += 2
        self.model.status(abort=False)
        self.turn()

    @rule()
    def resume(self) -> None:
        self.model.now += 2
        self.model.status(pause_conditions=())
        self.turn()

    @precondition(lambda self: any(p.reason == "InconclusiveAnalysisRun" for p in self.status.pause_conditions))
    @rule()
    def skip_the_step(self) -> None:
        following = (self.status.current_step_index or 0) + 1
        self.model.now += 2
        self.model.status(pause_conditions=(), controller_pause=False, current_step_index=following)
        self.turn()

    @rule()
    def promote_full(self) -> None:
        self.condemned.clear()
        self.model.status(promote_full=True)
        self.turn()

    # What pods, gateways and analyses do.

    @property
    def status(self) -> RolloutStatus:
        return self.model.rollout.status

    @rule(data=st.data(), ready=st.booleans())
    def one_pod(self, data: st.DataObject, ready: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.model.replica_sets)))
        (self.model.one_ready if ready else self.model.one_dies)(name)
        self.turn()

    @rule()
    def pods_become_ready(self) -> None:
        self.model.kubelet()
        self.turn()

    @rule(broken=st.booleans())
    def break_the_canary(self, broken: bool) -> None:
        self.model.broken = {self.status.current_pod_hash} if broken else set()
        self.turn()

    @rule(accepted=st.booleans())
    def gateway_answers(self, accepted: bool) -> None:
        self.model.routes = {name: replace(r, accepted=accepted) for name, r in self.model.routes.items()}
        self.turn()

    @precondition(lambda self: self.running())
    @rule(phase=st.sampled_from([AnalysisPhase.FAILED, AnalysisPhase.ERROR, AnalysisPhase.INCONCLUSIVE]))
    def verdict(self, phase: AnalysisPhase) -> None:
        world = self.model.world()
        run = background(world, self.status)
        assert run is not None
        self.model.runs[run.name] = replace(run, phase=phase, message="errors doubled")
        if phase is not AnalysisPhase.INCONCLUSIVE and not skipping(world, self.status):
            self.condemned.add(run.pod_hash)
        REACHED[f"run {phase}"] += 1
        self.turn()

    @precondition(lambda self: self.running())
    @rule(missing=st.booleans())
    def data(self, missing: bool) -> None:
        self._report(no_data_since=rfc3339(self.model.now) if missing else "")

    @precondition(lambda self: self.running())
    @rule(weight=st.sampled_from([25, 30, 50]))
    def proof(self, weight: int) -> None:
        self._report(proven_at_weight=weight)

    def _report(self, **fields: Any) -> None:
        run = background(self.model.world(), self.status)
        assert run is not None
        self.model.runs[run.name] = replace(run, **fields)
        self.turn()

    def running(self) -> bool:
        world = self.model.world()
        run = background(world, self.status)
        return run is not None and not run.phase.completed and updating(world, self.status)

    @rule(seconds=st.sampled_from([1, 6, 31, 61, 601]))
    def time_passes(self, seconds: int) -> None:
        self.model.now += seconds
        self.turn()

    @rule()
    def everything_works(self) -> None:
        self._work()

    # What must hold.

    def turn(self) -> Decision[RolloutStatus]:
        """One turn; each action is checked against the world in which it happens."""
        world = self.model.world()
        decision = decide(world, self.model.now)
        assert decide(world, self.model.now) == decision, "the same world was decided twice, differently"
        if not problems(world) and not world.rollout.metadata.deletion_timestamp:
            self._check(world, decision)
        for action in decision.actions:
            self._check_before(action)
            self.model.apply(action)
        self.model.rollout = msgspec.structs.replace(self.model.rollout, status=decision.status)
        self._note(decision)
        self._check_services(decision)
        return decision

    def _note(self, decision: Decision[RolloutStatus]) -> None:
        REACHED.update(type(action).__name__ for action in decision.actions)
        REACHED.update(pause.reason for pause in decision.status.pause_conditions)
        REACHED[decision.status.phase] += 1
        words = [event.message for event in decision.events if event.reason == "RolloutAborted"]
        REACHED.update(f"abort by {who}" for who, part in ABORTS.items() if any(part in text for text in words))

    def _check(self, world: World, decision: Decision[RolloutStatus]) -> None:
        status, actions = decision.status, decision.actions
        weights = [a.canary_weight_percent for a in actions if isinstance(a, act.SetWeight)]
        new = world.by_hash(status.current_pod_hash)
        available = min(new.available, new.replicas) if new else 0
        enough = bool(available) and available >= world.replicas
        carried = 100 if enough else available * 100 // max(world.replicas, 1)
        assert all(0 <= weight <= carried for weight in weights), (weights, carried)
        assert not (status.abort and any(weights)), "a failed version got traffic"
        if status.stable_rs != world.rollout.status.stable_rs:
            assert status.stable_rs not in self.condemned, "a version that failed was promoted"
            assert not status.abort
        self._check_order(world, decision)
        if world.routed and world.by_hash(status.stable_rs):
            self._check_stable(world, decision)
        else:
            self._check_rolling(world, decision)

    def _check_order(self, world: World, decision: Decision[RolloutStatus]) -> None:
        if not decision.status.abort:
            return
        present = {route.name: route.canary_weight_percent for route in world.routes}
        sizes = {rs.name: rs.replicas for rs in world.replica_sets}
        lowering, others = [], []
        for index, action in enumerate(decision.actions):
            match action:
                case act.SetWeight() if action.canary_weight_percent < present[action.route]:
                    lowering.append(index)
                case act.SelectPods():
                    others.append(index)
                case act.ScaleReplicaSet() if action.replicas < sizes[action.name]:
                    others.append(index)
        assert not lowering or not others or max(lowering) < min(others), "pods or Services went before the traffic"

    def _check_stable(self, world: World, decision: Decision[RolloutStatus]) -> None:
        stable = world.by_hash(decision.status.stable_rs)
        assert stable is not None
        for action in decision.actions:
            if isinstance(action, act.ScaleReplicaSet) and action.name == stable.name:
                assert action.replicas >= world.replicas

    def _check_rolling(self, world: World, decision: Decision[RolloutStatus]) -> None:
        after = {rs.name: rs.replicas for rs in world.replica_sets}
        after |= {a.name: a.replicas for a in decision.actions if isinstance(a, act.ScaleReplicaSet)}
        bounds = room(world.canary.max_surge, world.canary.max_unavailable, world.replicas)
        sets = world.replica_sets
        before = sum(max(rs.replicas, rs.current) for rs in sets)
        total = sum(max(after[rs.name], min(rs.current, rs.replicas)) for rs in sets)
        assert total <= max(world.replicas + bounds.surge, before)
        available = sum(min(rs.available, rs.replicas) for rs in sets)
        left = sum(min(rs.available, after[rs.name]) for rs in sets)
        assert left >= min(world.replicas - bounds.unavailable, available), "we took pods that were needed"

    def _check_before(self, action: act.Action) -> None:
        match action:
            case act.SelectPods() if action.pod_hash:
                target = self.model.world().by_hash(action.pod_hash)
                assert target is not None
                assert target.available >= 1, "a Service would select nothing"
            case act.SetWeight() if action.canary_weight_percent > 0:
                assert FINALIZER in self.model.rollout.metadata.finalizers
            case act.ScaleReplicaSet() if self.model.rollout.spec.replicas:
                rs = self.model.replica_sets[action.name]
                selected = any(service.pod_hash == rs.pod_hash for service in self.model.services.values())
                assert action.replicas or not (selected and rs.available), "a Service lost all its pods"

    def _check_services(self, decision: Decision[RolloutStatus]) -> None:
        """Traffic goes to a version that is wanted, or to stable."""
        if decision.status.abort and not self.model.problems:
            assert all(route.canary_weight_percent == 0 for route in self.model.routes.values())

    def _quiesce(self) -> Decision[RolloutStatus]:
        """Turns until the controller has nothing left to do by itself; time stands still."""
        for _ in range(TURNS_MAX):
            before = self.model.world()
            decision = self.turn()
            if self.model.world() == before:
                assert not decision.actions
                assert not decision.events
                return decision
        raise AssertionError("the controller never comes to rest")

    @rule()
    def rests(self) -> None:
        """A decided world is stable; an undecided one has a wake-up, or waits for an event."""
        decision = self._quiesce()
        if decision.wake_at is not None:
            assert decision.wake_at > self.model.now
        elif not self.model.deleted:
            assert decision.status.phase == "Healthy" or self._waits(decision.status), decision.status
        if not self.model.problems and self.model.routes:
            differs = not all(route.original for route in self.model.routes.values())
            assert (FINALIZER in self.model.rollout.metadata.finalizers) == differs

    def _waits(self, status: RolloutStatus) -> bool:
        """Whether an event is to come that asks for the next turn."""
        world = self.model.world()
        pods = any(rs.available != rs.replicas or rs.current != rs.replicas for rs in world.replica_sets)
        gateway = any(route.accepted is not True for route in world.routes)
        people = world.rollout.spec.paused or bool(status.pause_conditions) or status.abort
        return pods or gateway or people or self.running()

    def _work(self) -> Decision[RolloutStatus]:
        """Pods, gateway and controller do their best until nothing moves."""
        for _ in range(TURNS_MAX):
            before = self.model.world()
            decision = self.turn()
            self.model.kubelet()
            self.model.gateway()
            if self.model.world() == before:
                return decision
        raise AssertionError("it never settles")

    @precondition(lambda self: self.model.rollout.metadata.deletion_timestamp is None)
    @rule(chance=st.integers(0, 9))
    def delete(self, chance: int) -> None:
        if chance:
            return
        REACHED["deleted"] += 1
        saved = self.model
        self.model = Model(**{**vars(saved), "routes": dict(saved.routes), "services": dict(saved.services)})
        self.model._metadata(deletion_timestamp=rfc3339(self.model.now))
        held = FINALIZER in saved.rollout.metadata.finalizers
        self._quiesce()
        assert FINALIZER not in self.model.rollout.metadata.finalizers
        assert all(route.original for route in self.model.routes.values())
        assert not held or not any(service.managed_by for service in self.model.services.values())
        self.model = saved

    def teardown(self) -> None:
        """In the end everything is made good: then the update completes, unless it was given up."""
        if not hasattr(self, "model"):
            return
        self.model.broken, self.model.problems = set(), ()
        self._edit(paused=False)
        for _ in range(TURNS_MAX):
            decision = self._work()
            if decision.status.phase == "Healthy" and not self._retiring():
                break
            if decision.status.abort and not self._retiring():
                assert decision.status.phase == "Degraded"
                break
            self._help(decision)
        else:
            raise AssertionError(f"it never ends: {self.model.rollout.status}")
        self.rests()

    def _retiring(self) -> bool:
        return any(rs.scale_down_at is not None and rs.replicas for rs in self.model.replica_sets.values())

    def _help(self, decision: Decision[RolloutStatus]) -> None:
        status = decision.status
        self.model.now = max(decision.wake_at or 0.0, self.model.now + 2)
        if self.running():
            run = background(self.model.world(), status)
            assert run is not None
            steps = self.written["strategy"]["canary"]["steps"][: (status.current_step_index or 0) + 1]
            weight = next((s["setWeight"] for s in reversed(steps) if "setWeight" in s), 0)
            self.model.runs[run.name] = replace(run, no_data_since="", proven_at_weight=weight)
        if any(pause.reason != "NoData" for pause in status.pause_conditions):
            self.model.status(pause_conditions=())
        verifying = any("verify" in step for step in self.written["strategy"]["canary"]["steps"])
        if verifying and "analysis" not in self.written["strategy"]["canary"]:
            self._edit_canary(analysis=ANALYSIS)  # Validation would have refused a proof that nobody gives.


TestRolloutMachine = RolloutMachine.TestCase
TestRolloutMachine.settings = settings(
    max_examples=200,
    derandomize=True,  # The same examples for everybody; more of them are a task of their own.
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
