"""Whatever fails, whenever processes die: traffic before Git, the intent before the push, and one push a failure."""

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from rollout.domain.sync.actions import StartRevert
from rollout.domain.sync.application import RELEASE
from rollout.domain.sync.world import FailureCause
from tests.properties.playing import play
from tests.properties.revert_life import RevertLife
from tests.properties.revert_reached import REACHED
from tests.unit.sync.harness import digest_of

EXAMPLES = 1000
CAUSES: tuple[FailureCause, ...] = ("AnalysisFailed", "AnalysisFailed", "AnalysisFailed", "AbortedByUser")

PUSHES = ("not yet", "well", "dies", "down", "refused")
PEOPLE = ("a person reverts first", "a person fixes it first")


class RevertMachine(RevertLife):
    """Rules are what people, pods, hosts and processes do."""

    @rule(image=st.sampled_from(["web:2", "web:3", "web:1"]), config=st.booleans())
    def somebody_pushes(self, image: str, config: bool) -> None:
        self.git.commit(image, config=config)

    @rule(image=st.sampled_from(["web:2", "web:3"]))
    def a_release_is_deployed(self, image: str) -> None:
        self.git.commit(image, config=True)
        self.now += 2
        self.bring_home()

    @rule(
        image=st.sampled_from(["web:2", "web:3"]), cause=st.sampled_from(CAUSES), how=st.sampled_from(PUSHES + PEOPLE)
    )
    def a_release_is_deployed_and_fails(self, image: str, cause: FailureCause, how: str) -> None:
        """As far as the push, or its answer."""
        self.a_release_is_deployed(image)
        if self.view.failure is not None or self.view.healthy:
            return
        self.view = self.failing(cause, 25)
        self.turn()
        self.traffic_returns()
        if how == "not yet":
            return
        self.turn()
        self.turn()
        for name, (action, _) in list(self.memory.jobs.items()):
            if not isinstance(action, StartRevert):
                continue
            if how in PEOPLE:
                good, _ = self.git.declared[int(action.plan.good, 16) - 1]
                self.git.commit(good if how == PEOPLE[0] else "web:4", config=True)
            self.job_ends(name, how="well" if how in PEOPLE else how)

    @rule(published=st.booleans())
    def a_turn_is_taken(self, published: bool) -> None:
        self.turn(published=published)

    @rule(actions=st.integers(0, 2))
    def a_process_dies_in_its_turn(self, actions: int) -> None:
        self.turn(dies_after=actions)

    @precondition(lambda self: self.memory.jobs)
    @rule(which=st.integers(0, 1), how=st.sampled_from(PUSHES[1:]), turns=st.integers(0, 1))
    def a_job_ends(self, which: int, how: str, turns: int) -> None:
        names = sorted(self.memory.jobs)
        self.job_ends(names[which % len(names)], how=how)
        for _ in range(turns):
            self.turn()

    @precondition(lambda self: self.view.failure is None and not self.view.healthy)
    @rule(cause=st.sampled_from(CAUSES), weight=st.sampled_from([25, 0]))
    def the_update_fails(self, cause: FailureCause, weight: int) -> None:
        self.view = self.failing(cause, weight)

    @precondition(lambda self: self.view.failure is not None)
    @rule(turns=st.integers(0, 3))
    def the_traffic_returns(self, turns: int) -> None:
        self.traffic_returns()
        for _ in range(turns):
            self.turn()

    @precondition(lambda self: self.view.failure is None)
    @rule(turns=st.integers(0, 3))
    def the_update_completes(self, turns: int) -> None:
        self.view = self.running(self.live, healthy=True)
        for _ in range(turns):
            self.turn()

    @precondition(lambda self: self.view.failure is not None)
    @rule(turns=st.integers(0, 2))
    def a_user_retries(self, turns: int) -> None:
        self.now += 2
        self.view = self.running(self.live, healthy=False)
        for _ in range(turns):
            self.turn()

    @rule(everything=st.booleans())
    def people_release(self, everything: bool) -> None:
        self.now += 2
        annotations = {RELEASE: "all" if everything else digest_of("web:2")}
        metadata = msgspec.structs.replace(self.app.metadata, annotations=annotations)
        self.app = msgspec.structs.replace(self.app, metadata=metadata)
        self.turn()

    @rule(seconds=st.sampled_from([1, 30, 700, 4000]))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds
        self.turn()

    def teardown(self) -> None:
        self.bring_home()
        self.check_end()


def test_whenever_processes_die_a_failure_is_taken_back_once_and_after_its_traffic() -> None:
    play(RevertMachine, EXAMPLES)
    assert REACHED.examples >= EXAMPLES


def test_the_examples_reach_every_action_and_every_end_of_a_revert() -> None:
    if not REACHED.examples:
        play(RevertMachine, EXAMPLES)
    assert REACHED.unreached == []
    assert REACHED.unknown == []
