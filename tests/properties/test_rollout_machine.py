"""Whatever users, pods, gateways and verdicts do, and whenever: a Rollout stays safe, and gets somewhere."""

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from analysis.verdict import AnalysisPhase
from rollout.domain.clock import rfc3339
from rollout.domain.progress.revision import step_hash
from rollout.domain.progress.runs import background
from rollout.domain.progress.standing import skipping
from rollout.domain.rollout import decide
from tests.model import Model, spec
from tests.properties.playing import play
from tests.properties.rollout_life import TURNS_MAX, RolloutLife
from tests.properties.rollout_reached import REACHED
from tests.properties.rollout_specs import ANALYSES, METADATA, STEPS, VERDICTS, canaries, images, limits

EXAMPLES = 2000


class RolloutMachine(RolloutLife):
    """One Rollout in a model of a cluster. Rules are what others do; each is followed by the controller's turn."""

    @initialize(
        routing=st.sampled_from(["routes", "pods", "pods behind Services"]),
        metadata=st.booleans(),
        slow=st.booleans(),
        canary=canaries,
        limits=limits,
        replicas=st.sampled_from([4, 1, 2, 3, 5, 6, 0]),
        begun=st.sampled_from(["under way", "under way", "just released", "deployed", "not yet"]),
    )
    def deploy(
        self,
        routing: str,
        metadata: bool,
        slow: bool,
        canary: dict[str, Any],
        limits: dict[str, Any],
        replicas: int,
        begun: str,
    ) -> None:
        """Most histories begin where most can happen: beside an update that is under way."""
        canary = {k: v for k, v in canary.items() if v is not None} | (METADATA if metadata else {})
        routed = routing == "routes"
        if routing == "pods behind Services":
            canary |= {"stableService": "stable", "canaryService": "canary"}
        self.written = spec(routed=routed, replicas=replicas, canary=canary, **limits)
        if replicas == 0:
            self.written["replicas"] = None
        names = () if routing == "pods" else ("stable", "canary")
        self.model = Model.of(self.written, services=names, routes=("web",) if routed else ())
        self.model.slow = slow
        self.nonsense = False
        self.model.problems = self.found_problems()
        self.condemned: set[str] = set()
        REACHED.examples += 1
        self.turn()
        if begun != "not yet":
            self.work()
            self.model.now += 60
        if begun in {"under way", "just released"}:
            self.release("v2")
        if begun == "under way":
            self.work()

    # What users do.

    @rule(image=images)
    def release(self, image: str) -> None:
        template = spec(image)["template"]
        if template != self.written["template"]:
            self.condemned.clear()
        self.model.now += 1  # Runs are told apart by whole seconds, and nobody edits twice in one.
        self.edit(template=template)

    @rule(image=images, helped=st.integers(1, 6))
    def a_release_takes_its_course(self, image: str, helped: int) -> None:
        self.model.now += 2
        self.release(image)
        self.bring_home(helped)

    @rule(steps=st.sampled_from(STEPS), analysis=st.sampled_from(ANALYSES))
    def a_watched_release_gets_going(self, steps: list[dict[str, Any]], analysis: dict[str, Any]) -> None:
        """The next image, so that something is there to judge; a user has mended what stood in the way."""
        self.nonsense = False
        self.model.now += 2
        self.condemned.clear()
        self.model.broken = set()
        image = f"v{int(self.written['template']['spec']['containers'][0]['image'][1:]) % 4 + 1}"
        self.written |= {"template": spec(image)["template"], "paused": False, "rollbackWindow": None}
        self.edit_canary(steps=steps, analysis=analysis)
        self.work()

    @rule(steps=st.sampled_from(STEPS))
    def change_steps(self, steps: list[dict[str, Any]]) -> None:
        if steps != self.written["strategy"]["canary"]["steps"]:
            self.condemned.clear()
        self.model.now += 1
        self.edit_canary(steps=steps)

    @rule(change=st.sampled_from([{"analysis": None}, *({"analysis": a} for a in ANALYSES), *range(8)]))
    def change_the_rest(self, change: dict[str, Any] | int) -> None:
        """The analysis, or the number of pods."""
        if isinstance(change, int):
            self.edit(replicas=change)
        else:
            self.edit_canary(**change)

    @rule(how=st.sampled_from(["abort", "pause", "go on", "nonsense", "sense", "restart", "restart later", "window"]))
    def interfere(self, how: str) -> None:
        match how:
            case "abort":
                self.model.status(abort=True)
                self.turn()
            case "pause" | "go on":
                self.edit(paused=how == "pause")
            case "nonsense" | "sense":
                self.nonsense = how == "nonsense"
                self.edit()
            case "restart" | "restart later":
                self.edit(restartAt=rfc3339(self.model.now + (10 if how == "restart later" else 0)))
            case _:
                self.condemned.clear()  # The way back to a recent version is not watched.
                self.edit(rollbackWindow=None if self.written.get("rollbackWindow") else {"revisions": 2})

    @precondition(lambda self: self.updating)
    @rule(how=st.sampled_from(["as it asks", "promote full", "as it asks", "skip the step", "retry", "promote"]))
    def answer(self, how: str) -> None:
        """What people and the command line patch into the status, whether it waits for an answer or not."""
        self.model.now += 2
        following = (self.status.current_step_index or 0) + 1
        if how == "as it asks":
            how = "retry" if self.status.abort else "promote"
        match how:
            case "retry":
                self.condemned.clear()
                self.model.status(abort=False)
            case "promote":
                self.model.status(pause_conditions=())
            case "skip the step":
                self.model.status(pause_conditions=(), controller_pause=False, current_step_index=following)
            case _:
                self.condemned.clear()
                self.model.status(promote_full=True)
        self.turn()

    # What pods, gateways, other hands and analyses do.

    @rule(which=st.integers(0, 3), what=st.sampled_from(["one ready", "one dies", "all ready", "broken", "mended"]))
    def pods(self, which: int, what: str) -> None:
        names = sorted(self.model.replica_sets)
        name = names[which % len(names)] if names else ""
        match what:
            case "one ready" if name:
                self.model.one_ready(name)
            case "one dies" if name:
                self.model.one_dies(name)
            case "broken":
                self.model.broken = {self.status.current_pod_hash}
            case "mended":
                self.model.broken = set()
            case _:
                self.model.kubelet()
        self.turn()

    @precondition(lambda self: self.model.routes)
    @rule(what=st.sampled_from([True, False, 0, 33, 100]))
    def others_touch_the_route(self, what: bool | int) -> None:
        """The gateway takes it or refuses, or somebody writes another weight."""
        for name, route in self.model.routes.items():
            if isinstance(what, bool):
                self.model.routes[name] = replace(route, accepted=what)
            else:
                foreign = replace(route, canary_weight_percent=what, accepted=None, original=False)
                self.model.routes[name] = foreign
        self.turn()

    @precondition(lambda self: self.updating and self.model.replica_sets)
    @rule(which=st.integers(0, 3))
    def others_delete_a_replica_set(self, which: int) -> None:
        names = sorted(self.model.replica_sets)
        name = names[which % len(names)]
        if self.model.replica_sets[name].pod_hash == self.status.current_pod_hash:
            return  # Its pods would begin again, with nothing remembered.
        if self.model.replica_sets[name].pod_hash == self.status.stable_rs:
            self.condemned.clear()  # Who takes away the version to go back to leaves only the other one.
        self.model.remove(name)
        self.turn()

    @precondition(lambda self: self.running())
    @rule(phase=st.sampled_from(VERDICTS))
    def a_verdict_falls(self, phase: AnalysisPhase) -> None:
        world = self.model.world()
        run = background(world, self.status)
        assert run is not None
        if phase is AnalysisPhase.SUCCESSFUL and self.verifies():
            return  # A run that compares, as proofs need it, never ends by itself.
        bad = phase in {AnalysisPhase.FAILED, AnalysisPhase.ERROR}
        # Steps that changed while the spec was invalid begin the update afresh, with a run of its own.
        outdated = self.status.current_step_hash != step_hash(world)
        if bad and not outdated and not skipping(world, self.status):
            self.condemned.add(run.pod_hash)
        known = "" if phase is AnalysisPhase.SUCCESSFUL else run.no_data_since  # No data is never a success.
        self._report(phase=phase, message="errors doubled" if bad else "", no_data_since=known)

    @precondition(lambda self: self.running())
    @rule(phase=st.sampled_from([AnalysisPhase.FAILED, AnalysisPhase.ERROR]))
    def a_verdict_falls_at_the_last_moment(self, phase: AnalysisPhase) -> None:
        """Everything helps the update, and the verdict comes with what would have promoted it."""
        for _ in range(TURNS_MAX):
            if not self.running():
                return
            decision = decide(self.model.world(), self.model.now)
            if decision.status.stable_rs == self.status.current_pod_hash:
                self.a_verdict_falls(phase)
                return
            before = self.model.world()
            self.turn()
            self.model.others()
            if self.model.world() == before:
                self.help(decision)

    @precondition(lambda self: self.running())
    @rule(what=st.sampled_from(["no data", "no data", "data", 25, 30, 50]))
    def a_run_reports(self, what: str | int) -> None:
        """That data are missing, or back, or that no harm is proven at a weight."""
        if isinstance(what, int):
            self._report(proven_at_weight=what, phase=AnalysisPhase.RUNNING)
        else:
            since = rfc3339(self.model.now) if what == "no data" else ""
            self._report(no_data_since=since, phase=AnalysisPhase.RUNNING)

    def _report(self, **fields: Any) -> None:
        run = background(self.model.world(), self.status)
        assert run is not None
        self.model.runs[run.name] = replace(run, **fields)
        self.turn()

    @rule(phase=st.sampled_from([AnalysisPhase.INCONCLUSIVE, AnalysisPhase.SUCCESSFUL]))
    def ended_runs_say_so(self, phase: AnalysisPhase) -> None:
        self.model.ends_as = phase
        self.model.analyses()
        self.turn()

    @rule(seconds=st.sampled_from([1, 6, 31, 61, 601]))
    def time_passes(self, seconds: int) -> None:
        self.model.now += seconds
        self.turn()

    @rule(times=st.integers(1, 3))
    def the_next_wake_up_comes(self, times: int) -> None:
        """Pauses end, proofs and deadlines are due, old pods may go."""
        for _ in range(times):
            wake_at = self.quiesce().wake_at
            if wake_at is None:
                return
            self.model.now = wake_at
            self.turn()

    @rule(seconds=st.sampled_from([0, 2]))
    def everything_works(self, seconds: int) -> None:
        self.model.now += seconds
        self.work()

    @rule(actions=st.integers(0, 4))
    def the_controller_dies(self, actions: int) -> None:
        """In the middle of a turn: some actions happened, and no status was published."""
        self.turn(dies_after=actions)
        self.turn()

    # What must hold.

    @rule(at=st.sampled_from(["rest", "deletion"]))
    def look(self, at: str) -> None:
        (self.rests if at == "rest" else self.it_could_be_deleted)()


def test_whatever_happens_a_rollout_stays_safe_and_gets_somewhere() -> None:
    play(RolloutMachine, EXAMPLES)
    assert REACHED.examples >= EXAMPLES


def test_the_examples_reach_every_phase_action_and_reason() -> None:
    if not REACHED.examples:
        play(RolloutMachine, EXAMPLES)
    assert REACHED.unreached == []
    assert REACHED.unknown == []
